"""Values and messages that cross between the judge and the worker. Both processes begin with this file.

Messages are JSON lines that strictly alternate. A value is its JSON self where JSON has it (None, bool,
small int, finite float, str, list) and otherwise an object with one tag:

    {"i": hex} big int     {"f": repr} nan, inf       {"c": [re, im]} complex    {"y"/"Y": hex} bytes/bytearray
    {"t": [..]} tuple      {"s"/"S": [..]} set/frozenset   {"d": [[k, v]..], "k": class} dict and its kin
    {"q": [..], "m": n} deque   {"r": [a, b, c]} range   {"D": text} Decimal   {"Q": [n, d]} Fraction
    {"T": [kind, numbers]} date, time, datetime, timedelta   {"v": [..], "k": ..} dict views
    {"h": id, "k": kind, "n": name, "x": [classes]} an object that stays where it is
    {"b": id} an object of the receiver's coming back     {"B": name} a built-in type or pure function

Subclasses of these types are sent as their base type: what an object does in `__eq__` stays behind.
"""

import builtins
import collections
import json
import math
import os
import site
import sys
import types

DEPTH_MAX = 150
LINE_BYTES_MAX = 32 << 20
SAFE_INT = 1 << 53

# The interpreter is started without `site`, whose `.pth` files may import anything before us. Packages can be
# imported all the same, and `exit()` exists as it does for every script.
site.setquit()
sys.path.extend(path for path in site.getsitepackages() if os.path.isdir(path))

if hasattr(sys, "set_int_max_str_digits"):
    sys.set_int_max_str_digits(0)


class Unsupported(Exception):
    """A value that cannot be sent as plain data."""


class Gone(BaseException):
    """The other side ended, hung, or broke the protocol."""

    def __init__(self, why):
        super().__init__(why)
        self.why = why


class Line:
    """A line-wise channel on two file descriptors."""

    def __init__(self, read_fd, write_fd):
        self.read_fd, self.write_fd, self.pending = read_fd, write_fd, b""

    def receive(self):
        while True:
            end = self.pending.find(b"\n")
            if end >= 0:
                line, self.pending = self.pending[:end], self.pending[end + 1 :]
                return line
            piece = os.read(self.read_fd, 1 << 16)
            if not piece:
                raise Gone("the channel was closed")
            self.pending += piece

    def send(self, data):
        data += b"\n"
        while data:
            data = data[os.write(self.write_fd, data) :]


def to_text(message):
    return json.dumps(message, separators=(",", ":")).encode("ascii")


def plain_str(text):
    return text if type(text) is str else str.__str__(text)


_PURE = "abs all any ascii bin chr divmod hash hex len max min oct ord pow repr round sorted sum".split()
_SHARED = {
    name: value
    for name, value in vars(builtins).items()
    if name in _PURE or (isinstance(value, type) and name not in ("type", "super", "memoryview"))
}
_SHARED_NAMES = {id(value): name for name, value in _SHARED.items()}

_DICTS = {
    "dict": dict,
    "OrderedDict": collections.OrderedDict,
    "Counter": collections.Counter,
    "defaultdict": dict,
}
_VIEWS = {"keys": type({}.keys()), "values": type({}.values()), "items": type({}.items())}


class Codec:
    """Encodes and decodes values; keeps the table of objects that stay on this side."""

    def __init__(self, stand_in):
        self.exports = {}
        self.export_ids = {}
        self.stand_in = stand_in  # makes the local stand-in of a {"h": ..} object
        self.own_handle = None  # tells whether a value is such a stand-in; set by the side

    # -- encoding ---------------------------------------------------------------------------------

    def encode(self, value, depth=0):
        if value is None or value is True or value is False:
            return value
        if depth > DEPTH_MAX:
            raise Unsupported("a value that is nested too deeply or contains itself")
        handle = self.own_handle(value) if self.own_handle else None
        if handle is not None:
            return {"b": handle}
        kind = type(value)
        for base, encode in self._ENCODERS:
            if kind is base or issubclass(kind, base):
                return encode(self, value, depth + 1)
        for base in kind.__mro__:
            encode = self._LATER.get((base.__module__, base.__name__))
            if encode is not None and base is getattr(sys.modules.get(base.__module__), base.__name__, None):
                return encode(self, value, depth + 1)
        shared = _SHARED_NAMES.get(id(value))
        if shared is not None:
            return {"B": shared}
        for name, view in _VIEWS.items():
            if kind is view:
                return {"v": self._items(value, depth + 1), "k": name}
        array = self._array(value, kind, depth)
        return self.export(value) if array is None else array

    def _items(self, values, depth):
        return [self.encode(item, depth) for item in values]

    def _int(self, value, _depth):
        value = int.__int__(value)
        return value if -SAFE_INT < value < SAFE_INT else {"i": hex(value)}

    def _float(self, value, _depth):
        value = float.__float__(value)
        return value if math.isfinite(value) else {"f": repr(value)}

    def _complex(self, value, _depth):
        return {"c": [repr(complex.__getattribute__(value, "real")), repr(complex.__getattribute__(value, "imag"))]}

    def _dict(self, value, depth):
        pairs = [[self.encode(k, depth), self.encode(v, depth)] for k, v in dict.items(value)]
        name = type(value).__name__
        return {"d": pairs, "k": name} if name in _DICTS and name != "dict" else {"d": pairs}

    def _date(self, value, _depth):
        import datetime

        kind = type(value)
        if kind is datetime.timedelta:
            return {"T": ["timedelta", [value.days, value.seconds, value.microseconds]]}
        if getattr(value, "tzinfo", None) is not None:
            return self.export(value)
        if kind is datetime.datetime:
            return {"T": ["datetime", [*value.timetuple()[:6], value.microsecond]]}
        if kind is datetime.date:
            return {"T": ["date", [value.year, value.month, value.day]]}
        if kind is datetime.time:
            return {"T": ["time", [value.hour, value.minute, value.second, value.microsecond]]}
        return self.export(value)

    def _array(self, value, kind, depth):
        """Numbers and arrays of numpy, where a program uses it."""
        if getattr(kind, "__module__", None) != "numpy" or not hasattr(value, "tolist"):
            return None
        if getattr(value, "shape", None) == ():
            return self.encode(value.item(), depth + 1)
        return {"n": self.encode(value.tolist(), depth + 1)}

    def export(self, value):
        number = self.export_ids.get(id(value))
        if number is None or self.exports[number] is not value:
            number = len(self.exports) + 1
            self.exports[number] = value
            self.export_ids[id(value)] = number
        kind = type(value)
        what, classes = "object", kind.__mro__
        if isinstance(value, type):
            what, classes = "class", value.__mro__
            if issubclass(value, BaseException):
                what = "exception"
        elif isinstance(value, (types.FunctionType, types.MethodType, types.BuiltinFunctionType)):
            what = "function"
        elif hasattr(kind, "__next__"):
            what = "iterator"
        name = plain_str(getattr(value, "__name__", kind.__name__)) if what != "object" else kind.__name__
        return {"h": number, "k": what, "n": name, "x": [c.__name__ for c in classes]}

    _ENCODERS = (
        (str, lambda self, v, _d: plain_str(v)),
        (bool, lambda self, v, _d: bool(v)),
        (int, _int),
        (float, _float),
        (list, lambda self, v, d: self._items(list.__iter__(v), d)),
        (tuple, lambda self, v, d: {"t": self._items(tuple.__iter__(v), d)}),
        (dict, _dict),
        (set, lambda self, v, d: {"s": self._items(set.__iter__(v), d)}),
        (frozenset, lambda self, v, d: {"S": self._items(frozenset.__iter__(v), d)}),
        (bytes, lambda self, v, _d: {"y": bytes(bytes.__iter__(v)).hex()}),
        (bytearray, lambda self, v, _d: {"Y": bytes(bytearray.__iter__(v)).hex()}),
        (complex, _complex),
        (range, lambda self, v, _d: {"r": [hex(v.start), hex(v.stop), hex(v.step)]}),
        (collections.deque, lambda self, v, d: {"q": self._items(collections.deque.__iter__(v), d), "m": v.maxlen}),
    )
    # Types of modules that need not be loaded where nobody uses them.
    _LATER = {
        ("decimal", "Decimal"): lambda self, v, _d: {"D": str(v)},
        ("fractions", "Fraction"): lambda self, v, _d: {"Q": [hex(v.numerator), hex(v.denominator)]},
        ("datetime", "date"): _date,
        ("datetime", "time"): _date,
        ("datetime", "timedelta"): _date,
    }

    # -- decoding ---------------------------------------------------------------------------------

    def decode(self, data):
        kind = type(data)
        if kind is list:
            return [self.decode(item) for item in data]
        if kind is not dict:
            return data
        tag = next(iter(data))
        return self._DECODERS[tag](self, data[tag], data)

    def _decode_dict(self, pairs, data):
        made = _DICTS[data.get("k", "dict")]()
        for key, value in pairs:
            made[self.decode(key)] = self.decode(value)
        return made

    def _decode_view(self, items, data):
        items = self.decode(items)
        if data["k"] == "keys":
            return dict.fromkeys(items).keys()
        if data["k"] == "items":
            return dict(items).items()
        return dict(enumerate(items)).values()

    def _decode_date(self, parts, _data):
        import datetime

        kinds = ("date", "time", "datetime", "timedelta")
        return getattr(datetime, kinds[kinds.index(parts[0])])(*parts[1])

    def _decode_decimal(self, text, _data):
        import decimal

        return decimal.Decimal(text)

    def _decode_fraction(self, parts, _data):
        import fractions

        return fractions.Fraction(int(parts[0], 16), int(parts[1], 16))

    def _decode_array(self, items, _data):
        items = self.decode(items)
        try:
            import numpy
        except ImportError:
            return items
        return numpy.array(items)

    _DECODERS = {
        "i": lambda self, v, _: int(v, 16),
        "f": lambda self, v, _: float(v),
        "c": lambda self, v, _: complex(float(v[0]), float(v[1])),
        "y": lambda self, v, _: bytes.fromhex(v),
        "Y": lambda self, v, _: bytearray.fromhex(v),
        "t": lambda self, v, _: tuple(self.decode(v)),
        "s": lambda self, v, _: set(self.decode(v)),
        "S": lambda self, v, _: frozenset(self.decode(v)),
        "d": _decode_dict,
        "v": _decode_view,
        "q": lambda self, v, data: collections.deque(self.decode(v), data["m"]),
        "r": lambda self, v, _: range(*(int(n, 16) for n in v)),
        "D": _decode_decimal,
        "Q": _decode_fraction,
        "T": _decode_date,
        "n": _decode_array,
        "B": lambda self, v, _: _SHARED[v],
        "b": lambda self, v, _: self.exports[v],
        "h": lambda self, v, data: self.stand_in(data),
    }


MUTABLE = (list, dict, set, bytearray, collections.deque)


def refill(target, source):
    """Gives `target` the content of `source`, keeping its identity."""
    if isinstance(target, (list, bytearray)):
        target[:] = source
        return
    target.clear()
    if isinstance(target, collections.deque):
        target.extend(source)
    else:
        target.update(source)
