import sqlite3
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

    def filled(self):
        migrate(self.database, last=2)
        self.database.executescript("""
            INSERT INTO patients VALUES (1, 'Ann', '1980-02-03', '111', '222');
            INSERT INTO patients VALUES (2, 'Bo', '1981-02-03', '333', '');
            INSERT INTO patients VALUES (5, 'Cy', '1982-02-03', NULL, '444');
            INSERT INTO patients VALUES (6, 'Di', '1983-02-03', '', '');
            INSERT INTO visits (id, patient_id, day) VALUES (1, 1, '2024-01-02'), (2, 2, '2024-01-03'), (3, 2, '2024-01-04');
        """)
        migrate(self.database, last=3)

    def test_keeps_what_is_there(self):
        self.filled()
        self.assertEqual(
            self.rows("SELECT patient_id, kind, number FROM phones ORDER BY number"),
            [(1, "home", "111"), (1, "mobile", "222"), (2, "home", "333"), (5, "mobile", "444")],
        )
        self.assertEqual(
            self.rows("SELECT id, name, born FROM patients ORDER BY id"),
            [(1, "Ann", "1980-02-03"), (2, "Bo", "1981-02-03"), (5, "Cy", "1982-02-03"), (6, "Di", "1983-02-03")],
        )
        self.assertEqual(self.rows("SELECT id, patient_id FROM visits ORDER BY id"), [(1, 1), (2, 2), (3, 2)])

    def test_columns_go(self):
        self.filled()
        self.assertEqual({row[1] for row in self.rows("PRAGMA table_info(patients)")}, {"id", "name", "born"})

    def test_view(self):
        self.filled()
        self.assertEqual(
            self.rows("SELECT id, name, phone FROM contact_list ORDER BY id"),
            [(1, "Ann", "222"), (2, "Bo", "333"), (5, "Cy", "444"), (6, "Di", None)],
        )

    def test_any_number_of_phones(self):
        self.filled()
        self.database.execute("INSERT INTO phones (patient_id, kind, number) VALUES (1, 'mobile', '555'), (2, 'home', '666')")
        rows = self.rows("SELECT id, phone FROM contact_list ORDER BY id")
        self.assertEqual([row[0] for row in rows], [1, 2, 5, 6])
        self.assertIn(rows[0][1], ["222", "555"])
        self.assertIn(rows[1][1], ["333", "666"])

    def test_numbers_go_with_the_patient(self):
        self.filled()
        self.database.execute("DELETE FROM patients WHERE id = 1")
        self.assertEqual(self.rows("SELECT count(*) FROM phones"), [(2,)])
        self.assertEqual(self.rows("SELECT count(*) FROM visits"), [(2,)])

    def test_visits_still_belong_to_patients(self):
        self.filled()
        self.assertEqual(self.rows("PRAGMA foreign_key_check"), [])
        with self.assertRaises(sqlite3.IntegrityError):
            self.database.execute("INSERT INTO visits (patient_id, day) VALUES (99, '2024-01-02')")
        with self.assertRaises(sqlite3.IntegrityError):
            self.database.execute("INSERT INTO phones (patient_id, kind, number) VALUES (99, 'home', '1')")

    def test_new_database(self):
        migrate(self.database, last=3)
        self.database.execute("INSERT INTO patients (name, born) VALUES ('Ed', '1990-01-01')")
        self.assertEqual(self.rows("SELECT name, phone FROM contact_list"), [("Ed", None)])


if __name__ == "__main__":
    unittest.main()
