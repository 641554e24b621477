import unittest

from timetable.departures import Departures
from timetable.opening import Opening


class DeparturesTest(unittest.TestCase):
    def setUp(self):
        self.ferry = Departures(["18:40", "7:05", "12:30"])

    def test_sorted(self):
        self.assertEqual(str(self.ferry), "07:05 12:30 18:40")

    def test_next(self):
        self.assertEqual(self.ferry.next_after("07:05"), "07:05")
        self.assertEqual(self.ferry.next_after("07:06"), "12:30")
        self.assertEqual(self.ferry.next_after("23:00"), "07:05")

    def test_arrival_after_midnight(self):
        self.assertEqual(Departures(["23:50"]).arrival("12:00", 25), "00:15")

    def test_not_a_time(self):
        for text in ["", "7", "7:5", "24:00", "12:60", "ab:cd"]:
            with self.assertRaises(ValueError):
                Departures([text])


class OpeningTest(unittest.TestCase):
    def test_open(self):
        office = Opening("9:00-12:30")
        self.assertEqual(str(office), "09:00-12:30")
        self.assertTrue(office.is_open("09:00"))
        self.assertFalse(office.is_open("12:30"))
        self.assertEqual(office.left("11:45"), "00:45")
        self.assertEqual(office.left("13:00"), "00:00")

    def test_not_hours(self):
        for text in ["09:00", "12:00-09:00", "9-12"]:
            with self.assertRaises(ValueError):
                Opening(text)


if __name__ == "__main__":
    unittest.main()
