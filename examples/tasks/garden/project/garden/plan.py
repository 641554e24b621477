"""When each plant gets its water."""


def next_watering(plant, after=None):
    """The first day after `after` (or after the last watering) on which the plant wants water."""
    day = plant.watered
    while True:
        day = day.replace(day=day.day + plant.every)
        if after is None or day > after:
            return day


def plan(plants, first, last):
    """Maps each day from `first` to `last` on which there is something to do to the plants' names."""
    days = {}
    for plant in plants:
        day = plant.watered
        while True:
            day = next_watering(plant, after=day)
            if day > last:
                break
            if day >= first:
                days.setdefault(day, []).append(plant.name)
    return {day: sorted(days[day]) for day in sorted(days)}


def as_text(days):
    return "\n".join(f"{day.isoformat()}: {', '.join(names)}" for day, names in days.items())
