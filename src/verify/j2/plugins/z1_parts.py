"""What a test runner's code is before any file of the project is loaded, and which parts of it are something else later."""

import importlib
import types

_KINDS = (types.FunctionType, staticmethod, classmethod, property)
_vars, _isinstance = vars, isinstance


class Parts:
    """The functions and classes of some modules, and the members of those and other classes."""

    def __init__(self, modules=(), owners=()):
        self.known = []
        self.classes = []
        self.replaced = set()
        owners = list(owners)
        for name in modules:
            try:
                module = importlib.import_module(name)
            except ImportError:
                continue
            own = {key: value for key, value in _vars(module).items() if _isinstance(value, (*_KINDS, type))}
            self.known.append((name, module, own))
            owners += [value for value in own.values() if _isinstance(value, type) and value.__module__ == name]
        for owner in owners:
            name = f"{owner.__module__}.{owner.__qualname__}"
            members = {key: value for key, value in _vars(owner).items() if _isinstance(value, _KINDS)}
            self.known.append((name, owner, members))
            inherited = {key for base in owner.__mro__[1:] for key in _vars(base) if not key.startswith("__")}
            self.classes.append((name, owner, inherited - set(_vars(owner))))

    def look(self):
        """The names of all parts that are, or were when they were looked at before, something else."""
        for name, owner, members in self.known:
            now = _vars(owner)
            for member, value in members.items():
                if now.get(member) is not value:
                    self.replaced.add(f"{name}.{member}")
        for name, owner, inherited in self.classes:
            for member in _vars(owner):
                if member in inherited:
                    self.replaced.add(f"{name}.{member}")
        return self.replaced
