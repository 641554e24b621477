import unittest

from shop import area, discount


class TestShop(unittest.TestCase):
    def test_discount(self):
        self.assertEqual(discount(200, 10), 180)

    def test_nothing_off(self):
        self.assertEqual(discount(50, 0), 50)

    def test_area(self):
        self.assertEqual(area(3, 4), 12)


if __name__ == "__main__":
    unittest.main()
