#!/usr/bin/env bash
# A test whose subtest fails has failed: so says unittest, and so does pytest of its own `subtests`. Of a `unittest.TestCase` that
# calls `self.subTest`, pytest says PASSED, by the very id of the test, and beside it SUBFAILED for what failed within: who gathers
# outcomes by id ("every test that passed before still passes") counts it as passed, or has two answers for one id. The exit code is
# right, and so is the JUnit report. The numbers below are no numbers of tests either: two tests, "3 failed, 1 passed". Seen with
# pytest 9.2.0, CPython 3.11, 2026-11-28:
#
#   PASSED test_both.py::Own::test_unittest
#   SUBFAILED(n=1) test_both.py::Own::test_unittest
#   FAILED test_both.py::test_pytest
#   SUBFAILED(n=1) test_both.py::test_pytest
#   3 failed, 1 passed, 4 subtests passed
#   exit 1
#
# Needs python3 and a network. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check pytest==9.2.0
cat >test_both.py <<'PY'
import unittest


class Own(unittest.TestCase):
    def test_unittest(self):
        for n in range(3):
            with self.subTest(n=n):
                self.assertNotEqual(n, 1)


def test_pytest(subtests):
    for n in range(3):
        with subtests.test(n=n):
            assert n != 1
PY
python/bin/pytest --version
rc=0
python/bin/pytest -p no:cacheprovider -q -rA >report || rc=$?
said=$(
    sed -n 's/^\(\(PASSED\|FAILED\|SUBFAILED([^)]*)\) [^ ]*\).*/\1/p' report | sort -t: -k3
    sed -n 's/^=* *\([0-9]* failed.*\) in .*/\1/p' report
    echo "exit $rc"
)
echo "$said"
wanted=$(cat <<'END'
PASSED test_both.py::Own::test_unittest
SUBFAILED(n=1) test_both.py::Own::test_unittest
FAILED test_both.py::test_pytest
SUBFAILED(n=1) test_both.py::test_pytest
3 failed, 1 passed, 4 subtests passed
exit 1
END
)
[ "$(sort <<<"$said")" = "$(sort <<<"$wanted")" ] || { echo "changed"; exit 1; }
