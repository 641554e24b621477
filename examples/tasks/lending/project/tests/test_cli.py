import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from lending.cli import main


class CliTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = str(Path(folder.name) / "loans.json")

    def run_cli(self, today, *words):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["--file", self.file, "--today", today, *words])
        return status, out.getvalue(), err.getvalue()

    def test_lend_and_list(self):
        self.assertEqual(self.run_cli("2024-03-01", "lend", "saw", "Bo"), (0, "saw is due on 2024-03-15\n", ""))
        self.assertEqual(self.run_cli("2024-03-01", "lend", "drill", "Ann")[0], 0)
        status, out, _ = self.run_cli("2024-03-02", "list")
        self.assertEqual(out, "drill: Ann until 2024-03-15\nsaw: Bo until 2024-03-15\n")

    def test_lent_already(self):
        self.run_cli("2024-03-01", "lend", "saw", "Bo")
        status, _, err = self.run_cli("2024-03-01", "lend", "saw", "Ann")
        self.assertEqual((status, err), (2, "lending: saw is lent already\n"))

    def test_overdue(self):
        self.run_cli("2024-03-01", "lend", "drill", "Ann")
        self.assertEqual(self.run_cli("2024-03-20", "overdue"), (1, "drill (Ann): 5 days\n", ""))


if __name__ == "__main__":
    unittest.main()
