"""The plants of the garden and how often they want water."""

from dataclasses import dataclass
from datetime import date


@dataclass
class Plant:
    name: str
    every: int  # days between two waterings
    watered: date

    def __post_init__(self):
        if self.every < 1:
            raise ValueError(f"{self.name}: must be watered at least once in a while")


def read_plants(text):
    """Reads lines such as `tomato, 2, 2024-06-01`."""
    plants = []
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        name, every, watered = (part.strip() for part in line.split(","))
        plants.append(Plant(name, int(every), date.fromisoformat(watered)))
    return plants
