import sqlite3
import unittest
from pathlib import Path

SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, day TEXT NOT NULL, cancelled INTEGER NOT NULL DEFAULT 0);
CREATE TABLE items (order_id INTEGER NOT NULL, plant TEXT NOT NULL, pieces INTEGER NOT NULL, cents INTEGER NOT NULL);
CREATE TABLE payments (order_id INTEGER NOT NULL, day TEXT NOT NULL, cents INTEGER NOT NULL);
"""


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.database = sqlite3.connect(":memory:")
        self.addCleanup(self.database.close)
        self.database.executescript(SCHEMA)

    def customer(self, id, name):
        self.database.execute("INSERT INTO customers VALUES (?, ?)", (id, name))

    def order(self, id, customer, items, payments=(), cancelled=0):
        self.database.execute("INSERT INTO orders VALUES (?, ?, '2024-01-01', ?)", (id, customer, cancelled))
        for pieces, cents in items:
            self.database.execute("INSERT INTO items VALUES (?, 'rose', ?, ?)", (id, pieces, cents))
        for cents in payments:
            self.database.execute("INSERT INTO payments VALUES (?, '2024-01-02', ?)", (id, cents))

    def report(self):
        cursor = self.database.execute(Path("report.sql").read_text())
        self.assertEqual([column[0] for column in cursor.description], ["customer", "ordered", "paid", "open"])
        return cursor.fetchall()

    def test_instalments(self):
        self.customer(1, "Ann")
        self.order(1, 1, [(3, 700)], [1000, 500, 600])
        self.assertEqual(self.report(), [("Ann", 2100, 2100, 0)])

    def test_several_items(self):
        self.customer(1, "Ann")
        self.order(1, 1, [(1, 900), (10, 50)], [1400])
        self.assertEqual(self.report(), [("Ann", 1400, 1400, 0)])

    def test_equal_rows_count_each(self):
        self.customer(1, "Ann")
        self.order(1, 1, [(2, 100), (2, 100)], [50, 50])
        self.order(2, 1, [(2, 100)], [50])
        self.assertEqual(self.report(), [("Ann", 600, 150, 450)])

    def test_not_paid_yet(self):
        self.customer(1, "Ann")
        self.order(1, 1, [(1, 900), (2, 50)])
        self.assertEqual(self.report(), [("Ann", 1000, 0, 1000)])

    def test_without_orders(self):
        self.customer(1, "Cy")
        self.customer(2, "Bo")
        self.order(1, 2, [(1, 5)], [5])
        self.assertEqual(self.report(), [("Bo", 5, 5, 0), ("Cy", 0, 0, 0)])

    def test_cancelled_orders_do_not_count(self):
        self.customer(1, "Ann")
        self.customer(2, "Bo")
        self.order(1, 1, [(1, 900)], [100, 200])
        self.order(2, 1, [(1, 5000)], [5000], cancelled=1)
        self.order(3, 2, [(1, 70), (1, 80)], [70], cancelled=1)
        self.assertEqual(self.report(), [("Ann", 900, 300, 600), ("Bo", 0, 0, 0)])

    def test_by_name(self):
        for id, name in [(1, "Dee"), (2, "Ann"), (3, "Cy")]:
            self.customer(id, name)
        self.assertEqual([row[0] for row in self.report()], ["Ann", "Cy", "Dee"])


if __name__ == "__main__":
    unittest.main()
