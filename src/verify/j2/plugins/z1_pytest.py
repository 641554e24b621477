"""Runs pytest and tells z1 what it found, test by test. A script and pytest's plugin in one: started by its path, so
that no file of the project stands before it, pytest or the standard library on the path of modules.
"""

import os
import sys

import pytest
import z1_channel
import z1_parts

_states = {}
_parts = z1_parts.Parts(
    modules=[
        "_pytest.python",
        "_pytest.runner",
        "_pytest.reports",
        "_pytest.unittest",
        "_pytest.skipping",
        "_pytest.outcomes",
        "_pytest.python_api",
        "_pytest.raises",
        "_pytest.assertion",
        "_pytest.assertion.rewrite",
        "unittest.case",
    ]
)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    state = _states[item.nodeid] = {"returned": False, "reports": [], "error": None}
    yield
    outcomes = [outcome for _, outcome, _ in state["reports"]]
    if any(xfailed for _, _, xfailed in state["reports"]):
        outcome = "xfailed"
    elif "failed" in outcomes or not outcomes:
        outcome = "failed"
    elif "skipped" in outcomes:
        outcome = "skipped"
    else:
        outcome = "passed" if state["returned"] else "failed"
    z1_channel.send_test(item.nodeid, outcome, state["error"])
    _parts.look()


@pytest.hookimpl(hookwrapper=True, trylast=True)
def pytest_runtest_call(item):
    # What counts is that the test itself came back, whatever the reports say later.
    outcome = yield
    _states[item.nodeid]["returned"] = outcome.excinfo is None and not getattr(item, "_excinfo", None)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    state = _states[item.nodeid]
    state["reports"].append((report.when, report.outcome, hasattr(report, "wasxfail")))
    if call.excinfo is not None and report.outcome == "failed":
        state["error"] = call.excinfo.value


def pytest_collectreport(report):
    if report.failed:
        z1_channel.send(collect=report.nodeid, text=z1_channel.clip(str(report.longrepr)[-2000:]))


def pytest_sessionfinish(session, exitstatus):
    z1_channel.send(replaced=sorted(_parts.look()))
    z1_channel.send(end=int(exitstatus), collected=session.testscollected)


if __name__ == "__main__":
    sys.path.insert(0, z1_channel.ROOT)
    # The project's own cache is not written to, and a plugin that wants one has one. Its path is whole: pytest takes another from
    # the folder of its settings, and refuses one that leads upwards.
    cache = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cache")
    sys.exit(pytest.main(sys.argv[1:] + ["-o", "cache_dir=" + cache], plugins=[sys.modules[__name__]]))
