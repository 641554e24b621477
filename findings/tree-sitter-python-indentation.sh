#!/usr/bin/env bash
# Parse Python with tree-sitter, find no ERROR and no MISSING node, and the text seems to be Python. Where its indentation is wrong
# it need not be: tree-sitter-python takes a `def`, `for` or `class` whose body is not indented as one with an empty body, and
# an indent that nothing asked for, or an unindent to nowhere, as if it were not there. That is just what an edit breaks that
# lost the blanks in front of its lines. A missing colon is found. Python's own parser (`ast.parse`, which runs nothing) has to
# be asked, or the empty `block` nodes looked for. Seen with tree-sitter 0.26.1, tree-sitter-python 0.25.0, CPython 3.11,
# 2026-11-28:
#
#   a body that is not indented  tree-sitter: no error   Python: IndentationError
#   an indent for no reason      tree-sitter: no error   Python: IndentationError
#   an unindent to nowhere       tree-sitter: no error   Python: IndentationError
#   a missing colon              tree-sitter: error      Python: SyntaxError
#
# Needs python3 and a network. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check tree-sitter==0.26.1 tree-sitter-python==0.25.0
cat >probe.py <<'PY'
import ast

import tree_sitter
import tree_sitter_python

TEXTS = {
    "a body that is not indented": "def total(values):\n    s = 0\n    for v in values:\n    s += v\n    return s\n",
    "an indent for no reason": "def total(values):\n    s = 0\n        s += 1\n    return s\n",
    "an unindent to nowhere": "def total(values):\n    s = 0\n  return s\n",
    "a missing colon": "def total(values)\n    return 0\n",
}
parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_python.language()))


def python_says(text):
    try:
        ast.parse(text)
    except SyntaxError as error:
        return type(error).__name__
    return "no error"


for name, text in TEXTS.items():
    found = parser.parse(text.encode()).root_node.has_error
    print(f"{name:<28} tree-sitter: {'error' if found else 'no error':<10} Python: {python_says(text)}")
PY
said=$(python/bin/python probe.py)
python/bin/pip list 2>/dev/null | grep tree-sitter
python/bin/python --version
echo "$said"
[ "$(grep -c 'tree-sitter: no error .*Python: IndentationError$' <<<"$said")" = 3 ] || { echo "changed"; exit 1; }
grep -q 'colon .*tree-sitter: error ' <<<"$said" || { echo "changed"; exit 1; }
