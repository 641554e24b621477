"""Runs unittest and tells z1 what it found, test by test, on a private channel."""

import sys
import unittest

from z1_channel import ROOT, send, send_test
from z1_parts import Parts

# What unittest is before any file of the project is loaded; put back before the tests run.
OWNERS = (unittest.TestCase, unittest.TestResult, unittest.TestSuite)
PRISTINE = [(owner, dict(vars(owner))) for owner in OWNERS]
PARTS = Parts(owners=OWNERS)


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.failed_subtests = set()

    def tell(self, test, outcome, error=None):
        send_test(test.id(), outcome, error)

    def addSuccess(self, test):
        super().addSuccess(test)
        if test.id() not in self.failed_subtests:
            self.tell(test, "passed")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell(test, "failed", err[1])

    def addError(self, test, err):
        super().addError(test, err)
        self.tell(test, "failed", err[1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell(test, "skipped")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.tell(test, "xfailed")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.tell(test, "failed", AssertionError("passed where a failure is expected"))

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None and test.id() not in self.failed_subtests:
            self.failed_subtests.add(test.id())
            self.tell(test, "failed", err[1])


class Runner:
    def __init__(self, *_args, **_kwargs):
        pass

    def run(self, test):
        for owner, members in PRISTINE:
            for name, value in members.items():
                if vars(owner).get(name) is not value and not name.startswith("__"):
                    setattr(owner, name, value)
        result = Result()
        test(result)
        send(replaced=sorted(PARTS.look()))
        send(end=0 if result.wasSuccessful() else 1, collected=result.testsRun)
        return result


sys.path.insert(0, ROOT)
program = unittest.main(module=None, argv=["unittest", *sys.argv[1:]], testRunner=Runner, exit=False)
sys.exit(0 if program.result.wasSuccessful() else 1)
