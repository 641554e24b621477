"""Stand-ins for what tests commonly want of libraries that are not installed. Follows `remote.py` in the judge's
process."""


def pytest_shim():
    """The three things that test functions commonly want of pytest, where it is not installed."""
    shim = types.ModuleType("pytest")

    class Raises:
        def __init__(self, expected, match=None):
            self.expected, self.match, self.value = expected, match, None

        def __enter__(self):
            return self

        def __exit__(self, kind, error, _trace):
            if kind is None:
                raise AssertionError(f"did not raise {self.expected}")
            if not issubclass(kind, self.expected):
                return False
            import re

            if self.match and not re.search(self.match, str(error)):
                raise AssertionError(f"{str(error)!r} does not match {self.match!r}")
            self.value = error
            return True

    class Approx:
        def __init__(self, expected, rel=1e-6, abs=1e-12):
            self.expected, self.rel, self.abs = expected, rel, abs

        def __eq__(self, other):
            if isinstance(self.expected, (list, tuple)):
                same = isinstance(other, (list, tuple)) and len(other) == len(self.expected)
                return same and all(Approx(e, self.rel, self.abs) == o for e, o in zip(self.expected, other))
            if isinstance(other, bool) or not isinstance(other, (int, float, complex)):
                return False
            return other == self.expected or abs(other - self.expected) <= max(
                self.abs, self.rel * abs(self.expected)
            )

        def __repr__(self):
            return f"approx({self.expected!r})"

    def parametrize(names, rows):
        names = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)

        def mark(function):
            function.z1_rows = [dict(zip(names, row if len(names) > 1 else (row,))) for row in rows]
            return function

        return mark

    shim.raises, shim.approx = Raises, Approx
    shim.mark = types.SimpleNamespace(parametrize=parametrize)
    return shim


def numpy_shim():
    """What published tests ask of numpy about plain numbers and lists (EvalPlus), where it is not installed. Anything
    else cannot be judged here, which is nobody's failure."""
    import math

    class Numpy(types.ModuleType):
        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            raise Unfit(f"the tests need numpy's `{name}`, and numpy is not installed")

    def near(a, b, rtol, atol, equal_nan):
        if not all(isinstance(value, (int, float, complex)) for value in (a, b)):
            raise TypeError("ufunc 'isfinite' not supported for the input types")
        if a != a or b != b:
            return equal_nan and a != a and b != b
        if any(isinstance(value, float) and math.isinf(value) for value in (a, b)):
            return a == b
        return abs(a - b) <= atol + rtol * abs(b)

    def isclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
        rows = [isinstance(value, (list, tuple)) for value in (a, b)]
        if not any(rows):
            return near(a, b, rtol, atol, equal_nan)
        # One value is held against each of many, as numpy does.
        a, b = (list(value) if is_row else [value] for value, is_row in zip((a, b), rows))
        if len(a) != len(b) and 1 not in (len(a), len(b)):
            raise ValueError("operands could not be broadcast together")
        size = max(len(a), len(b)) if a and b else 0
        a, b = (value * size if len(value) == 1 else value for value in (a, b))
        return [isclose(x, y, rtol, atol, equal_nan) for x, y in zip(a, b)]

    def every(found):
        return all(every(item) for item in found) if isinstance(found, list) else found

    def allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
        return every(isclose(a, b, rtol, atol, equal_nan))

    shim = Numpy("numpy")
    shim.isclose, shim.allclose = isclose, allclose
    # No plain value is one of these.
    for name in ("ndarray", "generic", "number", "integer", "floating", "bool_", "int32", "int64", "float16", "float32"):
        setattr(shim, name, type(name, (), {}))
    shim.float64 = type("float64", (float,), {})
    shim.inf, shim.nan, shim.pi, shim.e = math.inf, math.nan, math.pi, math.e
    shim.isnan, shim.isinf, shim.isfinite = math.isnan, math.isinf, math.isfinite
    return shim


SHIMS = {"pytest": pytest_shim, "numpy": numpy_shim}
