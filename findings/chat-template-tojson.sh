#!/usr/bin/env bash
# A chat template writes a model's tools with Jinja's filter `tojson`, so a renderer with Jinja in it writes what the model was
# trained on. It does not: `tojson` of Jinja2 itself sorts the keys, turns `<`, `>`, `&` and `'` into \u003c and the like, and
# everything that is not ASCII as well. transformers puts another filter in its place that does none of this. A server that
# renders templates with plain Jinja2 shows the model other tokens than it knows, and nothing fails. One gives the environment a
# filter that calls `json.dumps(value, ensure_ascii=False)`. Seen with Jinja2 3.1.6, transformers 5.24.0, 2026-11-28:
#
#   Jinja2:       {"description": "\u003cb\u003e \u0026 Z\u00fcrich\u0027s", "name": "trams"}
#   transformers: {"name": "trams", "description": "<b> & Zürich's"}
#
# Needs python3 and a network. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check jinja2==3.1.6 transformers==5.24.0
cat >probe.py <<'PY'
import jinja2
from transformers.utils.chat_template_utils import render_jinja_template

TEMPLATE = "{% for tool in tools %}{{ tool | tojson }}{% endfor %}"
TOOLS = [{"name": "trams", "description": "<b> & Zürich's"}]
print("Jinja2:      ", jinja2.Environment().from_string(TEMPLATE).render(tools=TOOLS))
messages = [{"role": "user", "content": "When does the next one leave?"}]
rendered, _ = render_jinja_template([messages], tools=TOOLS, chat_template=TEMPLATE)
print("transformers:", rendered[0])
PY
said=$(PYTHONIOENCODING=utf-8 HF_HOME="$work/cache" HF_HUB_OFFLINE=1 python/bin/python probe.py 2>/dev/null)
python/bin/pip list 2>/dev/null | grep -iE '^(jinja2|transformers) '
echo "$said"
wanted=$(cat <<'END'
Jinja2:       {"description": "\u003cb\u003e \u0026 Z\u00fcrich\u0027s", "name": "trams"}
transformers: {"name": "trams", "description": "<b> & Zürich's"}
END
)
[ "$said" = "$wanted" ] || { echo "changed"; exit 1; }
