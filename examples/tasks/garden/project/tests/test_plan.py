import unittest
from datetime import date

from garden.plan import as_text, next_watering, plan
from garden.plants import Plant, read_plants

PLANTS = """
# name, every so many days, last watered
tomato, 2, 2024-06-01
cactus, 14, 2024-06-03   # on the window sill
"""


class PlanTest(unittest.TestCase):
    def test_within_a_month(self):
        tomato = Plant("tomato", 2, date(2024, 6, 1))
        self.assertEqual(next_watering(tomato), date(2024, 6, 3))
        self.assertEqual(next_watering(tomato, after=date(2024, 6, 3)), date(2024, 6, 5))

    def test_plan(self):
        days = plan(read_plants(PLANTS), date(2024, 6, 15), date(2024, 6, 18))
        self.assertEqual(as_text(days), "2024-06-15: tomato\n2024-06-17: cactus, tomato")

    def test_into_the_next_month(self):
        fern = Plant("fern", 3, date(2024, 6, 29))
        self.assertEqual(next_watering(fern), date(2024, 7, 2))


if __name__ == "__main__":
    unittest.main()
