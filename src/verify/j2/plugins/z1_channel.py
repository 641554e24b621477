"""The private channel to z1, for the reporters: the nonce comes in on descriptor 3, lines of JSON go out on 4.

Imported before any file of the project; keeps its own references, since later code may change modules.
"""

import json
import os
import traceback

ROOT = os.getcwd()
_SEP, _dumps, _write = os.sep, json.dumps, os.write
_extract, _abspath, _relpath = traceback.extract_tb, os.path.abspath, os.path.relpath


def _first_line():
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(3, 1)
        if not piece:
            break
        line += piece
    os.close(3)
    return line.decode().strip()


_NONCE = _first_line()
os.set_inheritable(4, False)


def send(**event):
    data = _dumps({"nonce": _NONCE, **event}).encode("ascii") + b"\n"
    while data:
        data = data[_write(4, data) :]


def send_test(id, outcome, error=None):
    """One test: how it ended and, where it failed, the error and its innermost frame in the project."""
    text, frame = ("", None) if error is None else (clip(f"{type(error).__name__}: {error}".strip(": ")), _frame(error))
    send(id=id, outcome=outcome, text=text, frame=frame)


def clip(text):
    """What fits a line, without what cannot be encoded."""
    return text[:2000].encode("utf-8", "replace").decode()


def _frame(error):
    for frame in reversed(_extract(error.__traceback__)):
        path = _abspath(frame.filename)
        if path.startswith(ROOT + _SEP) and "site-packages" not in path and _SEP + ".z1" not in path:
            return f"{_relpath(path, ROOT)}:{frame.lineno}  {frame.line or ''}"
    return None
