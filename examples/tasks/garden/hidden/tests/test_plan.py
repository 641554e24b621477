import unittest
from datetime import date

from garden.plan import as_text, next_watering, plan
from garden.plants import Plant, read_plants


class PlanTest(unittest.TestCase):
    def test_within_a_month(self):
        tomato = Plant("tomato", 2, date(2024, 6, 1))
        self.assertEqual(next_watering(tomato), date(2024, 6, 3))
        self.assertEqual(next_watering(tomato, after=date(2024, 6, 3)), date(2024, 6, 5))
        self.assertEqual(next_watering(tomato, after=date(2024, 6, 4)), date(2024, 6, 5))

    def test_into_the_next_month(self):
        self.assertEqual(next_watering(Plant("fern", 3, date(2024, 6, 29))), date(2024, 7, 2))
        self.assertEqual(next_watering(Plant("fern", 1, date(2024, 1, 31))), date(2024, 2, 1))

    def test_leap_years(self):
        self.assertEqual(next_watering(Plant("fern", 2, date(2024, 2, 28))), date(2024, 3, 1))
        self.assertEqual(next_watering(Plant("fern", 2, date(2023, 2, 28))), date(2023, 3, 2))

    def test_into_the_next_year(self):
        self.assertEqual(next_watering(Plant("fern", 7, date(2023, 12, 30))), date(2024, 1, 6))

    def test_longer_than_a_month(self):
        cactus = Plant("cactus", 45, date(2024, 1, 1))
        self.assertEqual(next_watering(cactus), date(2024, 2, 15))
        self.assertEqual(next_watering(cactus, after=date(2024, 2, 15)), date(2024, 3, 31))

    def test_plan(self):
        plants = read_plants("tomato, 2, 2024-06-25\ncactus, 14, 2024-06-17\n")
        days = plan(plants, date(2024, 6, 29), date(2024, 7, 3))
        self.assertEqual(as_text(days), "2024-06-29: tomato\n2024-07-01: cactus, tomato\n2024-07-03: tomato")

    def test_nothing_else_changed(self):
        with self.assertRaises(ValueError):
            Plant("stone", 0, date(2024, 1, 1))
        fern = Plant("fern", 3, date(2024, 6, 29))
        next_watering(fern, after=date(2024, 8, 1))
        self.assertEqual(fern.watered, date(2024, 6, 29))


if __name__ == "__main__":
    unittest.main()
