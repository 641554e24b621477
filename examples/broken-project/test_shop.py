import unittest

from shop import largest, total


class TestShop(unittest.TestCase):
    def test_total(self):
        self.assertEqual(total([5, 38, 7]), 50)

    def test_largest(self):
        self.assertEqual(largest([5, 38, 7]), 38)


if __name__ == "__main__":
    unittest.main()
