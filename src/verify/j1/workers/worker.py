"""The worker: holds the candidate's code and answers calls. It knows no test and no expected value, so
nothing in this process needs to be protected from the candidate. Follows `wire.py`."""

import io

PRINTED_CHARS_MAX = 64 << 10
FRAMES_MAX = 4


class Callback:
    """Stands for a function, iterator or object of the tests'."""

    def __init__(self, worker, handle):
        object.__setattr__(self, "_z1", (worker, handle["h"]))
        object.__setattr__(self, "__name__", handle["n"])

    def _ask(self, operation, *args, **kwargs):
        worker, number = object.__getattribute__(self, "_z1")
        return worker.call_back(operation, number, args, kwargs)

    def __call__(self, *args, **kwargs):
        return self._ask("call", *args, **kwargs)

    def __getattr__(self, name):
        return self._ask("attr", name)

    def __setattr__(self, name, value):
        self._ask("set", name, value)

    def __iter__(self):
        return self._ask("iter")

    def __next__(self):
        return self._ask("next")

    def __len__(self):
        return self._ask("len")

    def __bool__(self):
        return self._ask("bool")

    def __getitem__(self, key):
        return self._ask("item", key)

    def __repr__(self):
        return self._ask("repr")


class Stdin(io.TextIOBase):
    """Reads what a test has put into its own stdin."""

    def __init__(self, worker):
        self.worker = worker

    def readable(self):
        return True

    def readline(self, size=-1):
        return self.worker.call_back("readline", 0, [], {})

    def read(self, size=-1):
        return "".join(iter(self.readline, ""))


class Worker:
    def __init__(self, line, source):
        self.line, self.source, self.space, self.callbacks = line, source, None, {}
        self.codec = Codec(self.stand_in)
        self.codec.own_handle = lambda v: object.__getattribute__(v, "_z1")[1] if type(v) is Callback else None

    def stand_in(self, handle):
        # One object of the tests' is one object here, also when it comes again.
        return self.callbacks.setdefault(handle["h"], Callback(self, handle))

    def load(self):
        module = types.ModuleType("candidate")
        sys.modules["candidate"] = module
        self.space = module.__dict__
        exec(compile(self.source, "candidate.py", "exec"), self.space)

    def names(self, wanted):
        """Which of the wanted names exist; what can be called stays here."""
        found = {name: self.space[name] for name in wanted if name in self.space}
        keep = self.codec.export
        return {name: keep(v) if callable(v) else self.codec.encode(v) for name, v in found.items()}

    def target(self, data):
        if type(data) is dict and "g" in data:
            if data["g"] not in self.space:
                raise NameError(f"name {data['g']!r} is not defined")
            return self.space[data["g"]]
        return self.codec.decode(data)

    def run(self, message):
        """Carries one request out; returns the reply without what was printed."""
        operation = message[0]
        if operation == "load":
            self.load()
            return ["ok", None, {}]
        if operation == "names":
            return ["ok", self.names(message[1]), {}]
        target = self.target(message[1])
        if operation == "attr":
            return ["ok", self.codec.encode(getattr(target, message[2])), {}]
        if operation == "set":
            setattr(target, message[2], self.codec.decode(message[3]))
            return ["ok", None, {}]
        args = [self.codec.decode(arg) for arg in message[3]]
        if operation == "op":
            function = getattr(operator_functions(), message[2])
            return ["ok", self.codec.encode(function(target, *args)), {}]
        kwargs = {name: self.codec.decode(arg) for name, arg in message[4].items()}
        return self.call(target, args, kwargs, message[3])

    def call(self, target, args, kwargs, sent):
        result, error, kind = None, None, "ok"
        try:
            result = target(*args, **kwargs)
            if isinstance(result, types.CoroutineType):
                import asyncio

                result, kind = asyncio.run(result), "co"
        except BaseException as caught:
            error = caught
        changed = {}
        for index, arg in enumerate(args):
            if isinstance(arg, MUTABLE):
                after = self.codec.encode(arg)
                if after != sent[index] or repr(after) != repr(sent[index]):
                    changed[index] = after
        if error is not None:
            return self.failure(error, changed)
        for index, arg in enumerate(args):
            if kind == "ok" and result is arg and isinstance(arg, MUTABLE):
                return ["same", index, changed]
        return [kind, self.codec.encode(result), changed]

    def failure(self, error, changed):
        frames, lines, step = [], self.source.splitlines(), error.__traceback__
        while step is not None:
            code, number = step.tb_frame.f_code, step.tb_lineno or 0
            if code.co_filename == "candidate.py":
                frames.append([number, code.co_name, lines[number - 1].strip() if 0 < number <= len(lines) else ""])
            step = step.tb_next
        if isinstance(error, SyntaxError) and error.filename == "candidate.py":
            frames.append([error.lineno or 0, "", (error.text or "").strip()])
        try:
            text = plain_str(str(error))[:2000]
        except BaseException:
            text = ""
        try:
            args = [self.codec.encode(arg) for arg in error.args]
        except BaseException:
            args = [text]
        classes = [kind.__name__ for kind in type(error).__mro__]
        about = {"classes": classes, "text": text, "args": args, "frames": frames[-FRAMES_MAX:]}
        return ["ex", about, changed]

    def answer(self, message):
        printed = io.StringIO()
        try:
            kept, sys.stdout = sys.stdout, printed
            try:
                reply = self.run(message)
            finally:
                sys.stdout = kept
            return to_text([*reply, printed.getvalue()[:PRINTED_CHARS_MAX]])
        except BaseException as error:
            return to_text([*self.failure(error, {}), printed.getvalue()[:PRINTED_CHARS_MAX]])

    def call_back(self, operation, number, args, kwargs):
        args = [self.codec.encode(arg) for arg in args]
        kwargs = {name: self.codec.encode(arg) for name, arg in kwargs.items()}
        self.line.send(to_text(["cb", operation, number, args, kwargs]))
        while True:
            message = json.loads(self.line.receive())
            if message[0] != "back":
                self.line.send(self.answer(message))
                continue
            if message[1] == "ok":
                return self.codec.decode(message[2])
            kind = getattr(builtins, message[2], Exception)
            raise kind(message[3])

    def serve(self):
        while True:
            self.line.send(self.answer(json.loads(self.line.receive())))


def operator_functions(known=[]):
    """`operator` and the built-in functions, under one roof (made once)."""
    if known:
        return known[0]
    import operator

    space = types.SimpleNamespace(**vars(operator))
    for name in ("len", "iter", "next", "repr", "str", "abs", "hash", "bool", "float", "int", "round", "isinstance"):
        setattr(space, name, getattr(builtins, name))
    space.reversed = lambda value: list(reversed(value))
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
        setattr(space, "r" + name, lambda a, b, f=getattr(operator, name): f(b, a))
    known.append(space)
    return space


def work():
    with open("candidate.py", encoding="utf-8", errors="surrogatepass", newline="") as file:
        source = file.read()
    sys.argv = ["candidate.py"]
    sys.path.insert(0, os.getcwd())
    worker = Worker(Line(3, 4), source)
    sys.stdin = Stdin(worker)
    builtins.input = lambda *prompt: worker.call_back("input", 0, prompt, {})
    try:
        worker.serve()
    except Gone:
        pass


work()
