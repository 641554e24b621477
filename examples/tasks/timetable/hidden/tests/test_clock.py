import ast
import unittest
from pathlib import Path

from timetable import departures, opening
from timetable.clock import format_time, parse_time

OLD = {"_to_minutes", "_to_text", "parse_clock", "clock_text"}


class ClockTest(unittest.TestCase):
    def test_parse(self):
        self.assertEqual(parse_time("07:05"), 425)
        self.assertEqual(parse_time(" 7:05 "), 425)
        self.assertEqual(parse_time("00:00"), 0)
        self.assertEqual(parse_time("23:59"), 1439)

    def test_not_a_time(self):
        for text in ["", "7", "7:5", "7:055", "24:00", "12:60", "-1:00", "ab:cd"]:
            with self.assertRaises(ValueError) as caught:
                parse_time(text)
            self.assertEqual(str(caught.exception), f"not a time: {text!r}")

    def test_format(self):
        self.assertEqual(format_time(425), "07:05")
        self.assertEqual(format_time(0), "00:00")
        self.assertEqual(format_time(24 * 60 + 15), "00:15")

    def test_one_copy(self):
        for module in departures, opening:
            tree = ast.parse(Path(module.__file__).read_text())
            defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            self.assertFalse(defined & OLD, f"{module.__name__} still has its own functions")
            modules = set()
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom):
                    modules |= {str(node.module)} | {name.name for name in node.names}
                elif isinstance(node, ast.Import):
                    modules |= {name.name for name in node.names}
            self.assertTrue({"clock", "timetable.clock"} & modules, f"{module.__name__} does not use the clock")


if __name__ == "__main__":
    unittest.main()
