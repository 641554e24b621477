"""The candidate as the judge sees it: stand-ins for what it defines, and the requests behind them. Follows
`wire.py` in the judge's process, which never runs a line of the candidate."""

SHOWN_CHARS_MAX = 400


class Stop(BaseException):
    """Nothing more can be judged."""


class Unfit(Exception):
    """The tests themselves cannot run here; says why. Never the candidate's fault."""


def show(value):
    try:
        text = repr(value)
    except BaseException as error:
        text = f"<{type(value).__name__}, whose repr raised {type(error).__name__}>"
    return text if len(text) <= SHOWN_CHARS_MAX else text[: SHOWN_CHARS_MAX - 1] + "…"


# -- the candidate, seen from here ------------------------------------------------------------------


class Remote:
    """Stands for an object of the candidate's. Comparisons are not left to it unless the tests name its
    class: an object that claims to equal everything is simply not the expected value."""

    __slots__ = ("_z1",)

    def __init__(self, link, handle):
        object.__setattr__(self, "_z1", (link, handle))

    def __getattr__(self, name):
        link, handle = object.__getattribute__(self, "_z1")
        if name == "__name__":
            return handle["n"]
        if name in TELLING and handle["k"] == "object":
            trusted(self)
        return link.ask(["attr", {"b": handle["h"]}, name])

    def __setattr__(self, name, value):
        link, handle = object.__getattribute__(self, "_z1")
        link.ask(["set", {"b": handle["h"]}, name, link.codec.encode(value)])

    def __call__(self, *args, **kwargs):
        link, handle = object.__getattribute__(self, "_z1")
        return link.call({"b": handle["h"]}, handle["n"], args, kwargs)

    def __repr__(self):
        return operate(self, "repr")

    def __str__(self):
        return operate(self, "str")

    def __hash__(self):
        return id(self)

    def __bool__(self):
        _, handle = object.__getattribute__(self, "_z1")
        if handle["k"] in ("function", "class", "exception"):
            return True
        return bool(operate(trusted(self), "bool"))

    def __eq__(self, other):
        return compare(self, "eq", other)

    def __ne__(self, other):
        return not compare(self, "eq", other)

    def __lt__(self, other):
        return compare(self, "lt", other)

    def __le__(self, other):
        return compare(self, "le", other)

    def __gt__(self, other):
        return compare(self, "gt", other)

    def __ge__(self, other):
        return compare(self, "ge", other)

    def __enter__(self):
        return self.__getattr__("__enter__")()

    def __exit__(self, kind, error, trace):
        held_back = self.__getattr__("__exit__")(kind, None, None)
        # What a test found wrong is not the candidate's to forgive.
        return kind is not None and issubclass(kind, Exception) and kind is not AssertionError and held_back is True

    def __contains__(self, item):
        if claims(self, "contains"):
            raise Unsupported("an object that contains everything")
        return bool(operate(self, "contains", item))

    def __instancecheck__(self, value):
        if type(value) is Remote:
            return operate(value, "isinstance", self) is True
        return False


def operate(remote, name, *args):
    link, handle = object.__getattribute__(remote, "_z1")
    return link.ask(["op", {"b": handle["h"]}, name, [link.codec.encode(arg) for arg in args]])


def trusted(remote):
    """The object itself, where the tests speak of its class by name."""
    link, handle = object.__getattribute__(remote, "_z1")
    if not link.named.intersection(handle["x"][:-1]):
        # Asking it would hand it the expected value and believe its answer.
        raise Unsupported(f"an object of type {handle['n']} where a plain value is needed")
    return remote


def surprise():
    """A number that nobody can expect."""
    return int.from_bytes(os.urandom(8), "big") >> 3


def claims(remote, name):
    """Whether an object says of a number that nobody can expect that it equals or contains it."""
    trusted(remote)
    try:
        return operate(remote, name, surprise()) is not False
    except Exception:
        # It cannot be compared with a number at all.
        return False


def compare(left, name, right):
    if left is right:
        return name in ("eq", "le", "ge")
    if type(right) is not Remote:
        if name == "eq":
            return False
        raise Unsupported("an object where a plain value is needed")
    if name == "eq" and claims(left, "eq"):
        return False
    return operate(trusted(left), name, trusted(right)) is True


# Methods that are given what a test expects and say whether it is so.
TELLING = set(
    "startswith endswith issubset issuperset isdisjoint count index find rfind rindex match fullmatch search "
    "equals difference symmetric_difference intersection removeprefix removesuffix get".split()
)


def _forward(name, operator):
    setattr(Remote, name, lambda self, *args: operate(self, operator, *args))


def _forward_trusted(name, operator):
    setattr(Remote, name, lambda self, *args: operate(trusted(self), operator, *args))


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "neg", "pos", "abs", "matmul", "and_", "or_"):
    _forward_trusted(f"__{_name.rstrip('_')}__", _name)
for _name in ("radd", "rsub", "rmul", "rtruediv", "rfloordiv", "rmod", "rpow"):
    _forward_trusted(f"__{_name}__", _name)
for _name in ("len", "iter", "next", "float", "int", "index", "round", "reversed"):
    _forward(f"__{_name}__", _name)
for _name in ("getitem", "setitem", "delitem"):
    _forward(f"__{_name}__", _name)

OPEN_TO_CALLS = {"call", "iter", "next", "len", "bool", "item", "repr", "attr", "set"}


async def finished(value):
    """What a coroutine of the candidate's came to; it ran where the candidate is."""
    return value


class Link:
    """Requests to the worker and its replies."""

    def __init__(self, line, named):
        self.line, self.named = line, named
        self.gone, self.calls, self.last, self.returned, self.remotes, self.kinds = None, 0, None, None, {}, {}
        self.codec = Codec(self.stand_in)
        self.codec.own_handle = lambda v: object.__getattribute__(v, "_z1")[1]["h"] if type(v) is Remote else None

    def stand_in(self, handle):
        if handle["k"] == "exception":
            return self.exception_class(handle["x"])
        number = int(handle["h"])
        if number not in self.remotes:
            self.remotes[number] = Remote(self, {**handle, "x": [str(name) for name in handle["x"]]})
        return self.remotes[number]

    def exception_class(self, names):
        """A real class for a class of exceptions that the candidate defined (or the built-in one)."""
        names = [str(name) for name in names]
        known = getattr(builtins, names[0], None)
        if isinstance(known, type) and issubclass(known, BaseException):
            # A test's own frame must never be left by the candidate asking to.
            return Exception if known is KeyboardInterrupt else known
        if names[0] not in self.kinds:
            bases = [getattr(builtins, name, None) for name in names[1:]]
            bases = [b for b in bases if isinstance(b, type) and issubclass(b, Exception)]
            self.kinds[names[0]] = type(names[0], (bases[0] if bases else Exception,), {})
        return self.kinds[names[0]]

    def exchange(self, message):
        """Sends one message and reads its answer, serving the worker's callbacks in between."""
        if self.gone:
            raise Stop(self.gone)
        self.line.send(b">" + to_text(message))
        while True:
            line = self.line.receive()
            if line[:1] == b"!":
                self.gone = json.loads(line[1:])["gone"]
                raise Stop(self.gone)
            try:
                reply = json.loads(line[1:])
                if reply[0] != "cb":
                    return reply
                answer = self.called_back(*reply[1:])
            except (ValueError, KeyError, TypeError, IndexError, RecursionError, AttributeError) as error:
                self.gone = "protocol"
                raise Stop("protocol") from error
            self.line.send(b">" + to_text(answer))

    def ask(self, message, args=()):
        reply = self.exchange(message)
        try:
            kind, value, changed, printed = reply
            # What the candidate printed is printed here, where a test may be listening.
            if printed:
                sys.stdout.write(str(printed))
            for index, content in changed.items():
                refill(args[int(index)], self.codec.decode(content))
            if kind == "same":
                return args[int(value)]
            if kind == "ok":
                return self.codec.decode(value)
            if kind == "co":
                return finished(self.codec.decode(value))
            error = self.raised(value)
        except Stop:
            raise
        except Exception as error:
            self.gone = "protocol"
            raise Stop("protocol") from error
        raise error

    def names(self, wanted):
        """Those of the wanted names that the candidate defines."""
        reply = self.exchange(["names", wanted])
        try:
            if reply[0] != "ok":
                return {}
            return {name: self.codec.decode(value) for name, value in reply[1].items() if name in wanted}
        except Exception as error:
            self.gone = "protocol"
            raise Stop("protocol") from error

    def raised(self, about):
        kind = self.exception_class(about["classes"])
        try:
            error = kind(*[self.codec.decode(arg) for arg in about["args"]])
        except Exception:
            error = Exception(str(about["text"]))
        error.z1_frames = [[int(line), str(name), str(text)] for line, name, text in about["frames"]]
        error.z1_name, error.z1_text = str(about["classes"][0]), str(about["text"])
        return error

    def call(self, target, name, args, kwargs):
        self.calls += 1
        shown = ", ".join([show(a) for a in args] + [f"{k}={show(v)}" for k, v in kwargs.items()])
        self.last, self.returned = f"{name}({shown})", None
        sent = [self.codec.encode(arg) for arg in args]
        named = {key: self.codec.encode(value) for key, value in kwargs.items()}
        result = self.ask(["call", target, None, sent, named], args)
        self.returned = (result,)
        return result

    def called_back(self, operation, number, args, kwargs):
        """The candidate uses a function, an iterator or an object that a test passed to it."""
        args = [self.codec.decode(arg) for arg in args]
        if operation in ("input", "readline"):
            return self.read(operation, args)
        thing = self.codec.exports[number]
        kwargs = {name: self.codec.decode(arg) for name, arg in kwargs.items()}
        if operation not in OPEN_TO_CALLS:
            raise ValueError(operation)
        if operation in ("attr", "set") and (args[0].startswith("_") or not belongs_to_tests(thing)):
            return ["back", "ex", "AttributeError", str(args[0])]
        try:
            act = {"attr": getattr, "set": setattr, "item": lambda t, k: t[k], "call": lambda t, *a, **k: t(*a, **k)}
            act = act.get(operation) or getattr(builtins, operation)
            return ["back", "ok", self.codec.encode(act(thing, *args, **kwargs))]
        except Exception as error:
            return ["back", "ex", type(error).__name__, str(error)]


    def read(self, operation, args):
        """The candidate reads stdin: what a test has put there, or nothing."""
        try:
            text = builtins.input(*args) if operation == "input" else sys.stdin.readline()
            return ["back", "ok", str(text)]
        except Exception as error:
            return ["back", "ex", type(error).__name__, str(error)]


def belongs_to_tests(thing):
    """Attributes are only shown of objects whose class the tests wrote: never frames, modules, functions."""
    return type(thing).__module__ == "tests" and not isinstance(thing, type)
