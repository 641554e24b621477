"""The judge: holds the tests and asks the worker, through the parent, for every call of the candidate's
code. It runs in a sandbox of its own and never runs a line of the candidate. Follows
`wire.py`, `remote.py` and `shims.py`.

Towards the parent each line begins with `>` (for the worker) or `=` (a report); from the parent with
`<` (from the worker) or `!` (the worker is gone, and why).
"""

import ast
import io
import symtable

FAILURES_MAX = 20
LITERAL_CHARS_MAX = 20_000  # of an output that is read as a value


# -- asserts, one by one ------------------------------------------------------------------------------


class Rewriter(ast.NodeTransformer):
    """Makes every assert report itself. Where an AssertionError may be meant to be caught (in a `try`, in a
    class of tests), the assert still raises; elsewhere judging goes on behind it."""

    def __init__(self, source):
        self.source, self.hard, self.texts, self.temps = source, 0, {}, 0

    def _hardened(self, node):
        self.hard += 1
        node = self.generic_visit(node)
        self.hard -= 1
        return node

    visit_ClassDef = visit_Try = visit_With = visit_AsyncWith = _hardened

    def visit_Assert(self, node):
        node = self.generic_visit(node)
        number = node.lineno * 1000 + node.col_offset % 1000
        self.texts[number] = ast.get_source_segment(self.source, node) or "assert"
        if self.hard:
            return [node, self._statement(f"__z1__.held({number})", node)]
        self.temps += 1
        left, right, value = (f"__z1_{self.temps}{side}" for side in "abv")
        test, known = node.test, ""
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            first = self._statement(f"{left} = 0", node)
            first.value = test.left
            second = self._statement(f"{right} = 0", node)
            second.value = test.comparators[0]
            both = ast.Compare(self._name(left, test), test.ops, [self._name(right, test)])
            body, test, known = [first, second], ast.copy_location(both, test), f", {left}, {right}"
        else:
            body = []
        last = self._statement(f"{value} = 0", node)
        last.value = test
        guard = self._statement(
            f"try:\n pass\nexcept BaseException as __z1_e:\n __z1__.broke({number}, __z1_e)\n"
            f"else:\n __z1__.judge({number}, {value}{known})",
            node,
        )
        guard.body = [*body, last]
        return guard

    def _name(self, name, like):
        return ast.copy_location(ast.Name(name, ast.Load()), like)

    def _statement(self, text, like):
        node = ast.parse(text).body[0]
        for inner in ast.walk(node):
            if "lineno" in inner._attributes:
                ast.copy_location(inner, like)
        return node


class Judge:
    """Counts what held and describes what did not. The rewritten tests know it as `__z1__`."""

    def __init__(self, link, line, rewriter):
        self.link, self.line, self.texts = link, line, rewriter.texts
        self.lines = rewriter.source.splitlines()
        self.passed, self.failures, self.candidate_on_right = 0, 0, set()

    def report(self, **event):
        for key in ("name", "got", "expected"):
            if isinstance(event.get(key), str):
                event[key] = event[key].encode("utf-8", "replace").decode()
        self.line.send(b"=" + to_text({**event, "passed": self.passed, "calls": self.link.calls}))

    def held(self, _number):
        self.passed += 1

    def judge(self, number, value, *sides):
        try:
            held = bool(value)
        except Stop:
            raise
        except BaseException as error:
            return self.broke(number, error)
        if held:
            self.passed += 1
            return None
        got, expected = (sides[1], sides[0]) if number in self.candidate_on_right and sides else (sides or ("", ""))
        self.fail("wrong", self.texts[number], show(got) if sides else "", show(expected) if sides else None)
        return None

    def broke(self, number, error):
        self.fail(*self.describe(error, self.texts[number]))
        if isinstance(error, Stop):
            raise error

    def describe(self, error, name):
        if isinstance(error, Stop):
            return "gone", name, str(error), None, None
        if isinstance(error, Unfit):
            raise error
        if isinstance(error, ImportError) and not hasattr(error, "z1_frames"):
            raise Unfit(f"the tests need a module that is not there: {error}") from error
        if isinstance(error, Unsupported):
            return "wrong", name, str(error), None, None
        frames = getattr(error, "z1_frames", None)
        if frames is None:
            kind = "wrong" if isinstance(error, AssertionError) else "crash"
            text = f"{type(error).__name__}: {error}".strip(": ")
            return kind, name, text[:1000], None, None
        text = f"{error.z1_name}: {error.z1_text}".strip(": ")
        return "crash", name, text[:1000], None, frames[-1] if frames else None

    def fail(self, kind, name, got, expected=None, frame=None):
        self.failures += 1
        if not got and self.link.returned:
            got = f"{self.link.last} returned {show(self.link.returned[0])}"
        call = (self.link.last or "").encode("utf-8", "replace").decode()
        frame = [str(part).encode("utf-8", "replace").decode() for part in frame] if frame else None
        self.report(event="fail", kind=kind, name=name[:1000], got=got, expected=expected, call=call, frame=frame)
        if self.failures >= FAILURES_MAX:
            raise Stop("enough failures")

    def unit(self, name, run):
        """Runs one test function: a pass, unless its asserts were already counted one by one."""
        passed, failures = self.passed, self.failures
        try:
            run()
        except Stop as stop:
            if self.failures == failures:
                self.fail(*self.describe(stop, name))
            raise
        except BaseException as error:
            self.fail(*self.describe(error, self.text_of(error) or name))
        else:
            if (self.passed, self.failures) == (passed, failures):
                self.passed += 1

    def text_of(self, error):
        """The test's own line that an exception came out of."""
        import traceback

        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if frame.filename == "tests.py" and frame.lineno <= len(self.lines):
                return self.lines[frame.lineno - 1].strip()
        return None


# -- what the tests need ------------------------------------------------------------------------------


def free_names(source):
    """Names that the tests use and do not define."""
    used, bound = set(), set()

    def walk(table):
        for symbol in table.get_symbols():
            if table.get_type() == "module":
                if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                    bound.add(symbol.get_name())
                elif symbol.is_referenced():
                    used.add(symbol.get_name())
            elif symbol.is_global() and symbol.is_referenced():
                used.add(symbol.get_name())
            elif symbol.is_declared_global() and symbol.is_assigned():
                bound.add(symbol.get_name())
        for child in table.get_children():
            walk(child)

    walk(symtable.symtable(source, "tests.py", "exec"))
    return used - bound


def tested_builtins(tree):
    """Built-in names in the place of the tested function: `assert sum(10, 15) == 25`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            side = node.test.left if isinstance(node.test, ast.Compare) else node.test
            if isinstance(side, ast.Call) and isinstance(side.func, ast.Name):
                found.add(side.func.id)
    return found


def wanted_names(tree, spec):
    """The names that the candidate must bring. A built-in or a module is the candidate's only where the
    problem says so: otherwise a program could redefine `abs` or `math` under the tests."""
    free = free_names(spec["tests"])
    own = set(spec.get("names") or [])
    if spec.get("entry"):
        own.add(spec["entry"])
    wanted = {name for name in free if name in own or not hasattr(builtins, name)}
    if not wanted and not own:
        wanted = free & tested_builtins(tree)
    return wanted | ({spec["entry"]} if spec.get("entry") else set())


def only_called(tree):
    """Names that the tests call and never take an attribute of: with these they cannot mean a module."""
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    asked = {node.value.id for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)}
    return called - asked


def is_module(name):
    if name in getattr(sys, "stdlib_module_names", sys.builtin_module_names):
        return True
    try:
        import importlib.util

        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


class Imports(ast.NodeTransformer):
    """`from solution import f` names the candidate, whatever its file would be called."""

    KNOWN = {"candidate", "solution", "main", "program", "submission", "answer", "your_module", "module"}
    # A library that is not installed is missing; it is not the program that lacks what it brings.
    LIBRARIES = set(
        "PIL aiohttp astropy attr attrs bs4 chardet click cryptography cv2 dateutil django docx faker fastapi flask "
        "freezegun geopandas geopy gensim holidays httpx hypothesis jax joblib keras librosa lxml matplotlib mock "
        "mpl_toolkits multipledispatch networkx nltk numpy openpyxl pandas parameterized psutil pycryptodome Crypto "
        "pydantic pyquery pytz regex requests responses rsa scipy seaborn sendgrid shapely skimage sklearn sqlalchemy "
        "statsmodels sympy tensorflow textblob texttable torch torchvision tqdm transformers urllib3 werkzeug wordcloud "
        "wordninja xlrd xlwt xmltodict yaml".split()
    )

    def __init__(self, link, tree, own):
        self.link, self.names, self.own, self.asked = link, set(), own, {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                self.asked.setdefault(node.value.id, set()).add(node.attr)

    def _ours(self, module, named):
        """Whether a module is the program's: by its name, or, where nothing else is called so, by what the tests
        want of it (where the problem says what the program defines) or by not being a library's name."""
        root = (module or "").split(".")[0]
        if root in self.KNOWN:
            return True
        if is_module(root) or root in SHIMS:
            return False
        return not self.own.isdisjoint(named) if self.own else root not in self.LIBRARIES

    def visit_ImportFrom(self, node):
        if node.level == 0 and not self._ours(node.module, {alias.name for alias in node.names}):
            return node
        pairs = [(alias.name, alias.asname or alias.name) for alias in node.names if alias.name != "*"]
        self.names.update(name for name, _ in pairs)
        lines = [f"{local} = __z1_module__.{name}" for name, local in pairs] or ["pass"]
        return [ast.copy_location(part, node) for part in ast.parse("\n".join(lines)).body]

    def visit_Import(self, node):
        wanted = lambda alias: self.asked.get((alias.asname or alias.name).split(".")[0], set())
        ours = [alias for alias in node.names if self._ours(alias.name, wanted(alias))]
        if not ours:
            return node
        node.names = [alias for alias in node.names if alias not in ours]
        lines = "\n".join(f"{(a.asname or a.name).split('.')[0]} = __z1_module__" for a in ours)
        made = [ast.copy_location(part, node) for part in ast.parse(lines).body]
        return [node, *made] if node.names else made


class CandidateModule:
    """The candidate as an imported module."""

    def __init__(self, link):
        self.__dict__["_z1_link"] = link

    def __getattr__(self, name):
        found = self._z1_link.names([name])
        if name not in found:
            raise AttributeError(f"the program does not define {name!r}")
        return found[name]


# -- one problem ----------------------------------------------------------------------------------------


def run_doctest(judge, space, source):
    import doctest

    examples = doctest.DocTestParser().get_examples(source)
    checker, flags = doctest.OutputChecker(), doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    for example in examples:
        printed, kept, got_error = io.StringIO(), sys.stdout, None
        sys.stdout = printed
        try:
            exec(compile(example.source, "tests.py", "single"), space)
        except Stop as stop:
            judge.fail(*judge.describe(stop, example.source.strip()))
            raise
        except BaseException as error:
            got_error = error
        finally:
            sys.stdout = kept
        name, got = example.source.strip(), printed.getvalue()
        if got_error is None:
            if not example.want:
                # `>>> f(1) == 2` with nothing below it is how some write an assert; anything else only prepares.
                if is_claim(example.source):
                    if got.strip() == "True":
                        judge.passed += 1
                    else:
                        judge.fail("wrong", name, got.strip()[:SHOWN_CHARS_MAX], "True")
            elif checker.check_output(example.want, got, flags) or same_literal(example.want, got):
                judge.passed += 1
            else:
                judge.fail("wrong", name, got.strip()[:SHOWN_CHARS_MAX], example.want.strip())
        elif example.exc_msg is not None and says(got_error, example.exc_msg):
            judge.passed += 1
        else:
            judge.fail(*judge.describe(got_error, name))


def is_claim(source):
    """Whether an example is a comparison, which says something by itself."""
    try:
        return isinstance(ast.parse(source.strip(), mode="eval").body, (ast.Compare, ast.BoolOp, ast.UnaryOp))
    except SyntaxError:
        return False


def same_literal(wanted, got):
    """Whether both are one value, written with other quotes or blanks."""
    if max(len(wanted), len(got)) > LITERAL_CHARS_MAX:
        return False
    try:
        wanted, got = ast.literal_eval(wanted.strip()), ast.literal_eval(got.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return same_value(wanted, got)


def same_value(wanted, got):
    """Equal, and of one type all the way down: 1 is not True. Neither a dict nor a set has an order."""
    if type(wanted) is not type(got):
        return False
    if isinstance(wanted, (list, tuple)):
        return len(wanted) == len(got) and all(map(same_value, wanted, got))
    if isinstance(wanted, dict):
        return wanted.keys() == got.keys() and all(same_value(value, got[key]) for key, value in wanted.items())
    if isinstance(wanted, float):
        return wanted == got or abs(wanted - got) <= 1e-9 * max(1.0, abs(wanted))
    return wanted == got


def says(error, wanted):
    name = getattr(error, "z1_name", type(error).__name__)
    return f"{name}: {error}".strip() == wanted.strip() or name == wanted.strip().rstrip(":")


def case_result(judge):
    """What a suite of unittest reports to. Only called where the tests have loaded unittest themselves."""
    import unittest

    class Result(unittest.TestResult):
        def __init__(self, judge):
            super().__init__()
            self.judge = judge

        def addSuccess(self, test):
            self.judge.passed += 1

        def _failed(self, test, error):
            name = f"{test.id().split('.', 1)[-1]}: {self.judge.text_of(error) or ''}".strip(": ")
            self.judge.fail(*self.judge.describe(error, name))

        def addFailure(self, test, err):
            self._failed(test, err[1])

        addError = addFailure

        def addSubTest(self, test, subtest, err):
            if err is not None:
                self._failed(subtest, err[1])

        def addUnexpectedSuccess(self, test):
            self.judge.fail("wrong", test.id(), "passed where a failure is expected")

    return Result(judge)


def run_units(judge, space, spec):
    """What the tests only define: `check(candidate)`, cases of unittest, functions named `test…`."""
    called = {n.func.id for n in ast.walk(spec["tree"]) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    check, entry = space.get("check"), spec.get("entry")
    if isinstance(check, types.FunctionType) and entry and "check" not in called:
        judge.unit("check", lambda: check(space[entry]))
    unittest = sys.modules.get("unittest")
    case = unittest.TestCase if unittest else ()
    for name, value in list(space.items()):
        if isinstance(value, type) and issubclass(value, case) and value.__module__ == "tests":
            suite = unittest.defaultTestLoader.loadTestsFromTestCase(value)
            suite.run(case_result(judge))
        elif isinstance(value, type) and name.startswith("Test") and value.__module__ == "tests":
            for method in [m for m in vars(value) if m.startswith("test")]:
                judge.unit(f"{name}.{method}", lambda m=method, v=value: getattr(v(), m)())
        elif isinstance(value, types.FunctionType) and name.startswith("test") and name not in called:
            rows = getattr(value, "z1_rows", [{}])
            if all(set(parameters(value)) <= set(row) for row in rows):
                for row in rows:
                    judge.unit(name, lambda v=value, r=row: v(**r))


def parameters(function):
    code = function.__code__
    return code.co_varnames[: code.co_argcount - len(function.__defaults__ or ())]


def names_in(node):
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def load(link, judge):
    """Has the worker load the program; False where that failed (which is then reported)."""
    try:
        link.ask(["load"])
    except BaseException as error:
        kind, name, got, expected, frame = judge.describe(error, "")
        if getattr(error, "z1_name", "") in ("SyntaxError", "IndentationError", "TabError"):
            kind = "syntax"
        judge.fail(kind, name, got, expected, frame)
        return False
    return True


def prepare(spec, link, line):
    """Rewrites and compiles the tests and gathers the names that they need."""
    source = spec["tests"]
    tests = types.ModuleType("tests")
    sys.modules["tests"] = tests
    space = tests.__dict__
    is_doctest = spec["kind"] == "doctest"
    if is_doctest:
        import doctest

        try:
            source = "\n".join(e.source for e in doctest.DocTestParser().get_examples(source))
        except ValueError as error:
            raise Unfit(f"the examples are not written as doctests are: {error}") from error
        spec["tests"], original = source, spec["tests"]
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise Unfit(f"the tests are not valid Python: {error}") from error
    own = {name for name in [spec.get("entry"), *(spec.get("names") or [])] if name}
    imports = Imports(link, tree, own)
    tree = ast.fix_missing_locations(imports.visit(tree))
    wanted = wanted_names(tree, spec)
    spec["tree"] = tree
    spec["functions"] = {spec.get("entry"), *(spec.get("names") or []), *only_called(tree)}
    rewriter = Rewriter(source)
    judge = Judge(link, line, rewriter)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare) and len(node.test.ops) == 1:
            left, right = names_in(node.test.left), names_in(node.test.comparators[0])
            if right & (wanted | {"candidate"}) and not left & (wanted | {"candidate"}):
                judge.candidate_on_right.add(node.lineno * 1000 + node.col_offset % 1000)
    code = original if is_doctest else compile(ast.fix_missing_locations(rewriter.visit(tree)), "tests.py", "exec")
    space["__z1__"], space["__z1_module__"] = judge, CandidateModule(link)
    # Only what the tests speak of as a class: a function's name must not lend trust to what it returns, nor
    # must `Solution`, which is only a folder for functions.
    link.named |= {name for name in wanted | imports.names if name[:1].isupper() and name != "Solution"}
    return judge, space, code, wanted


def furnish(spec, space, link, wanted):
    """Puts the problem's own helpers, missing imports and the candidate's names where the tests see them."""
    if spec.get("helpers"):
        try:
            exec(compile(spec["helpers"], "helpers.py", "exec"), space)
        except ImportError as error:
            raise Unfit(f"the tests need a module that is not there: {error}") from error
    asked = sorted(name for name in wanted if name == spec.get("entry") or name not in space)
    found = link.names(asked) if asked else {}
    for name in asked:
        if name in found and (name in spec["functions"] or not is_module(name)):
            space[name] = found[name]
        elif is_module(name):
            space[name] = __import__(name)
        elif name == spec.get("entry"):
            return f"the program does not define `{name}`"
    return None


def judge_problem(spec, line):
    link = Link(line, set())
    judge, space, code, wanted = prepare(spec, link, line)
    if not load(link, judge):
        return judge
    missing = furnish(spec, space, link, wanted)
    if missing:
        judge.fail("crash", "", missing)
        return judge
    try:
        if spec["kind"] == "doctest":
            run_doctest(judge, space, code)
            return judge
        failures = judge.failures
        try:
            exec(code, space)
        except Stop:
            raise
        except BaseException as error:
            judge.fail(*judge.describe(error, judge.text_of(error) or ""))
        if judge.failures == failures or judge.link.gone is None:
            run_units(judge, space, spec)
    except Stop as stop:
        if judge.failures == 0:
            judge.fail(*judge.describe(stop, ""))
    return judge


def main():
    with open("spec.json", encoding="utf-8") as file:
        spec = json.load(file)
    for name, make in SHIMS.items():
        if not is_module(name):
            sys.modules[name] = make()
    sys.setrecursionlimit(5000)
    line = Line(3, 4)
    kept, sys.stdout = sys.stdout, io.StringIO()
    try:
        judge = judge_problem(spec, line)
        judge.report(event="done", failed=judge.failures)
    except Unfit as error:
        line.send(b"=" + to_text({"event": "unfit", "why": str(error)}))
    finally:
        sys.stdout = kept


main()
