"""Tests that patch what the program uses, or leave files for it, can only run where the program runs. Here both
share an interpreter, as BigCodeBench publishes its tests: the program and then the tests in one module. Follows
`wire.py`.

A program that sets out to cheat is hindered here and not kept out. What must not pass by accident, or by the
usual tricks, does not: the order with the tests comes through the channel and never lies in a file; the report
needs a word that only this file's closures hold; looking into frames and memory is refused and told; a runner,
a built-in function or an assertion that was replaced is told; every test that the text defines must have
succeeded by its name; and a process that ends early has reported nothing.
"""

import ast
import io
import traceback
import unittest
import unittest.mock

FAILURES_MAX = 20
TEXT_CHARS_MAX = 1000
PROGRAM_FILE = "candidate.py"

# What shows a program its callers' frames, or other processes' and its own memory.
DENIED_EVENTS = {
    "sys._getframe", "sys._current_frames", "sys._current_exceptions", "sys.settrace", "sys.setprofile",
    "gc.get_objects", "gc.get_referrers", "gc.get_referents", "ctypes.dlopen",
}  # fmt: skip
DENIED_ATTRIBUTES = {"tb_frame", "gi_frame", "cr_frame", "ag_frame"}
# The same by their names in the program's text. No honest answer to such a problem needs them.
DENIED_NAMES = DENIED_ATTRIBUTES | {"f_back", "f_locals", "f_globals", "f_code", "co_consts", "cell_contents", "_getframe"}
# Comparisons that a class of the program's may claim to pass.
CLAIMS = ("__eq__", "__contains__", "__lt__", "__le__", "__gt__", "__ge__")


class Tampered(RuntimeError):
    """The program reached for what decides."""


def tests_of(tree):
    """The cases of unittest that the tests define: class and method, by their names."""
    return {
        (node.name, inner.name)
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for inner in node.body
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)) and inner.name.startswith("test")
    }


def forbidden(tree):
    """The first name in the program that only serves to look at its callers."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in DENIED_NAMES:
            return node.attr, node.lineno
    return None


class Guard:
    """Notices what a program does to its judge. Its marks cannot be taken back."""

    OWNERS = (builtins, unittest, unittest.case, unittest.suite, unittest.loader, unittest.result, unittest.mock,
              unittest.TestCase, unittest.TestSuite, unittest.TestLoader, unittest.TestResult)  # fmt: skip

    def __init__(self, tests_file, tests, frame_of=sys._getframe):
        self.tests_file, self.frame_of, self.marks, self.whole = tests_file, frame_of, [], []
        # Some problems are about libraries that are loaded by hand; their tests say so.
        self.denied_events = DENIED_EVENTS - ({"ctypes.dlopen"} if "ctypes" in tests else set())

    def remember(self, *more):
        owners = [*self.OWNERS, *more]
        self.whole = [(o, n, v) for o in owners for n, v in list(vars(o).items()) if callable(v)]
        self.modules = {name: sys.modules[name] for name in ("builtins", "unittest", "unittest.mock", "unittest.case")}

    def check(self):
        for owner, name, value in self.whole:
            if vars(owner).get(name) is not value:
                self.marks.append(f"replaces `{name}` of {owner.__name__}")
        for name, module in self.modules.items():
            if sys.modules.get(name) is not module:
                self.marks.append(f"replaces the module {name}")

    def of_program(self, frame):
        """Whether a frame runs text of the program's, also text that it compiled itself."""
        name = frame.f_code.co_filename
        return not (name.startswith(("/", "<frozen ")) or name in (self.tests_file, "z1_main.py"))

    def watch(self, without_sockets):
        """Begins to look. `without_sockets` is called where a socket is asked for that the walls do not allow."""
        hold = []

        def hook(event, args):
            if event == "socket.__new__" and without_sockets:
                without_sockets()
            if hold or not self.denied(event, args):
                return
            hold.append(True)
            try:
                frame = self.frame_of(1)
                while frame is not None and frame.f_code.co_filename.endswith("/inspect.py"):
                    frame = frame.f_back
                theirs = frame is not None and self.of_program(frame)
            finally:
                hold.clear()
            if theirs:
                self.marks.append(f"reaches for {event}")
                raise Tampered(event)

        sys.addaudithook(hook)

    def denied(self, event, args):
        if event == "open":
            path = args[0]
            path = path.decode("utf-8", "replace") if isinstance(path, bytes) else path
            return isinstance(path, str) and path.startswith("/proc/") and path.endswith(("/mem", "/maps"))
        if event == "object.__getattr__":
            return args[1] in DENIED_ATTRIBUTES
        return event in self.denied_events

    def honest_classes(self, build=builtins.__build_class__):
        """Classes of the program's whose objects may not equal, contain or exceed what nobody can expect."""

        def made(function, name, *bases, **more):
            kind = build(function, name, *bases, **more)
            if getattr(function, "__code__", None) and function.__code__.co_filename == PROGRAM_FILE:
                for claim in CLAIMS:
                    own = vars(kind).get(claim) if isinstance(kind, type) else None
                    if isinstance(own, types.FunctionType):
                        setattr(kind, claim, self.honest(own, claim))
            return kind

        builtins.__build_class__ = made

    def honest(self, own, claim):
        def compared(one, other):
            answer = own(one, other)
            if answer is True and not isinstance(other, type(one)):
                try:
                    claims = own(one, int.from_bytes(os.urandom(8), "big") >> 3) is True
                    claims = claims and (claim in ("__eq__", "__contains__") or own(one, -(1 << 70)) is True)
                except Exception:
                    claims = False
                if claims:
                    self.marks.append("has an object that claims to equal everything")
                    return False
            return answer

        compared.__name__ = own.__name__
        return compared


class Together(unittest.TestResult):
    """Which tests succeeded, by their names, and what went wrong with the others."""

    def __init__(self, tests_file, lines, program):
        super().__init__()
        self.tests_file, self.lines, self.program = tests_file, lines, program
        self.good, self.events = set(), []

    def addSuccess(self, test):
        super().addSuccess(test)
        self.good.add((type(test).__name__, test._testMethodName))

    def tell(self, kind, name, got, frame=None):
        if len(self.events) < FAILURES_MAX:
            text = [part.encode("utf-8", "replace").decode() for part in (name[:TEXT_CHARS_MAX], got[:TEXT_CHARS_MAX])]
            self.events.append({"event": "fail", "kind": kind, "name": text[0], "got": text[1], "frame": frame, "passed": len(self.good)})

    def broke(self, name, error):
        kind = "wrong" if isinstance(error, AssertionError) else "crash"
        if isinstance(error, SyntaxError) and error.filename == PROGRAM_FILE:
            kind = "syntax"
        frame, line = None, ""
        for step, number in traceback.walk_tb(error.__traceback__):
            file = step.f_code.co_filename
            if file == PROGRAM_FILE and number:
                frame = [number, step.f_code.co_name, self.program[number - 1].strip() if number <= len(self.program) else ""]
            elif file == self.tests_file and number and number <= len(self.lines):
                line = self.lines[number - 1].strip()
        text = f"{type(error).__name__}: {plain_str(str(error))}".strip(": ")
        self.tell(kind, f"{name}: {line}".strip(": "), text, frame if kind != "wrong" else None)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.broke(test.id().split(".", 1)[-1], err[1])

    def addError(self, test, err):
        super().addError(test, err)
        self.broke(test.id().split(".", 1)[-1], err[1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.broke(subtest.id().split(".", 1)[-1], err[1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tell("wrong", test.id().split(".", 1)[-1], f"the test was skipped: {reason}")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.tell("wrong", test.id().split(".", 1)[-1], "passed where a failure is expected")

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.good.add((type(test).__name__, test._testMethodName))


def prepared(order):
    """The tests as code, and what they define; says why where they are none."""
    try:
        tree = ast.parse(order["tests"])
    except SyntaxError as error:
        raise Unfit(f"the tests are not valid Python: {error}") from error
    expected = tests_of(tree)
    if not expected:
        raise Unfit("the tests define no case of unittest")
    return compile(tree, order["file"], "exec"), expected


class Unfit(Exception):
    """The tests themselves cannot run here; says why. Never the program's fault."""


def loaded(order, guard, result, space):
    """Runs the program's own text; False where that failed, which is told then."""
    try:
        tree = ast.parse(order["program"], PROGRAM_FILE)
        found = forbidden(tree)
        if found:
            guard.marks.append(f"names `{found[0]}` in line {found[1]}")
            return False
        code = compile(order["program"], PROGRAM_FILE, "exec")
        guard.honest_classes()
        guard.remember(Together)
        exec(code, space)
    except BaseException as error:
        result.broke("", error)
        return False
    guard.check()
    return not guard.marks


def walls_forbid_sockets(tests):
    """Asked only where the tests are about sockets: then a refusal is no finding about the program."""
    if "socket" not in tests:
        return False
    import socket

    try:
        socket.socket().close()
    except OSError:
        return True
    return False


def judged(order, guard, report):
    """Program, tests, and what came of them."""
    result = Together(order["file"], order["tests"].splitlines(), order["program"].splitlines())
    code, expected = prepared(order)
    module = types.ModuleType("__test__")
    module.__file__ = "__test__.py"
    module.__dict__.update({"sys": sys, "os": os, "environ": os.environ, "__builtins__": builtins})
    sys.modules["__test__"] = module
    # Nothing of this file is found by looking for the main module.
    sys.modules["__main__"] = types.ModuleType("__main__")
    why = "the tests need sockets, which the walls do not allow"
    forbidden = walls_forbid_sockets(order["tests"])
    guard.watch(forbidden and (lambda: report([{"event": "unfit", "why": why}])))
    if loaded(order, guard, result, module.__dict__):
        try:
            exec(code, module.__dict__)
        except ImportError as error:
            raise Unfit(f"the tests need a module that is not there: {error}") from error
        except BaseException as error:
            result.broke("", error)
        else:
            run(module, expected, result)
            guard.check()
    for mark in dict.fromkeys(guard.marks):
        result.tell("cheat", "", f"the program {mark}")
    missing = sorted(expected - result.good)
    if missing and not result.events:
        result.tell("wrong", ".".join(missing[0]), "the test did not run to its end")
    return [*result.events, {"event": "done", "passed": len(expected & result.good), "failed": len(result.events), "calls": len(expected)}]


def run(module, expected, result):
    for name in sorted({name for name, _ in expected}):
        case = getattr(module, name, None)
        if isinstance(case, type) and issubclass(case, unittest.TestCase):
            try:
                unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
            except BaseException as error:
                # What ends a process must not end the judging.
                result.broke(name, error)


def main():
    line = Line(3, 4)
    order = json.loads(line.receive())
    os.close(3)
    word = order.pop("word")
    sys.argv = [PROGRAM_FILE]
    sys.path.insert(0, os.getcwd())
    kept, sys.stdout, sys.stderr = sys.stderr, io.StringIO(), io.StringIO()
    write, encode, leave = os.write, to_text, os._exit

    def report(events):
        data = encode({"word": word, "events": events}) + b"\n"
        while data:
            data = data[write(4, data) :]
        # Threads of the program's, and what it registered for the end, have nothing more to say.
        leave(0)

    try:
        report(judged(order, Guard(order["file"], order["tests"]), report))
    except Unfit as error:
        report([{"event": "unfit", "why": str(error)}])
    except BaseException:
        traceback.print_exc(file=kept)
        leave(1)


main()
