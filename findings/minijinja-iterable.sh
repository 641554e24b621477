#!/usr/bin/env bash
# MiniJinja prints values as Jinja2 does, and its tests of a value's kind have the same names, so one takes them for the same. To
# MiniJinja `none` is iterable (a loop over it runs no time, where Jinja2 raises), and a string or a mapping is no sequence, where
# in Jinja2 both are one. Chat templates ask such things: `tools is iterable and tools | length > 0` is simply false in Jinja2
# where no tools are given; in MiniJinja the second half is reached and is an error. A renderer adds tests of its own under the two
# names. Seen with minijinja 3.1.0 (by its package for Python; the crate is the same engine), Jinja2 3.1.6, 2026-11-28:
#
#                                                   Jinja2                   MiniJinja
#   none is iterable                                False                    True
#   loop over none                                  TypeError                nothing
#   'text' is sequence                              True                     False
#   {'a': 1} is sequence                            True                     False
#   tools is iterable and tools|length > 0          False                    TemplateError
#
# Needs python3 and a network. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check jinja2==3.1.6 minijinja==3.1.0
cat >probe.py <<'PY'
import jinja2
import minijinja

CASES = {
    "none is iterable": "{{ none is iterable }}",
    "loop over none": "{% for tool in tools %}{{ tool }}{% endfor %}",
    "'text' is sequence": "{{ 'text' is sequence }}",
    "{'a': 1} is sequence": "{{ {'a': 1} is sequence }}",
    "tools is iterable and tools|length > 0": "{{ tools is iterable and tools|length > 0 }}",
}


def tried(render):
    try:
        return render() or "nothing"
    except Exception as error:
        return type(error).__name__


print(f"{'':<48}{'Jinja2':<25}MiniJinja")
for name, source in CASES.items():
    first = tried(lambda: jinja2.Environment().from_string(source).render(tools=None))
    second = tried(lambda: minijinja.Environment().render_str(source, tools=None))
    print(f"{name:<48}{first:<25}{second}")
PY
said=$(python/bin/python probe.py)
python/bin/pip list 2>/dev/null | grep -iE '^(mini)?jinja'
echo "$said"
wanted=$(cat <<'END'
none is iterable                                False                    True
loop over none                                  TypeError                nothing
'text' is sequence                              True                     False
{'a': 1} is sequence                            True                     False
tools is iterable and tools|length > 0          False                    TemplateError
END
)
[ "$(tail -n 5 <<<"$said")" = "$wanted" ] || { echo "changed"; exit 1; }
