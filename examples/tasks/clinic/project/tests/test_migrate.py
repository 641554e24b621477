import unittest

from migrate import connect, migrate


class MigrateTest(unittest.TestCase):
    def setUp(self):
        self.database = connect(":memory:")
        self.addCleanup(self.database.close)

    def rows(self, query):
        return self.database.execute(query).fetchall()

    def test_runs_each_once(self):
        self.assertEqual(migrate(self.database, last=2), ["001_patients.sql", "002_visits.sql"])
        self.assertEqual(migrate(self.database, last=2), [])

    def test_phones(self):
        migrate(self.database, last=2)
        self.database.execute("INSERT INTO patients VALUES (1, 'Ann', '1980-02-03', '111', '222')")
        self.assertEqual(migrate(self.database, last=3), ["003_phones.sql"])
        self.assertEqual(
            self.rows("SELECT patient_id, kind, number FROM phones ORDER BY kind"),
            [(1, "home", "111"), (1, "mobile", "222")],
        )
        self.assertEqual(self.rows("SELECT id, name, phone FROM contact_list"), [(1, "Ann", "222")])


if __name__ == "__main__":
    unittest.main()
