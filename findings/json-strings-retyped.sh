#!/usr/bin/env bash
# In rows of JSON an answer in quotes is a string, and one expects a string of whatever reads the rows. pandas makes numbers of a
# column whose strings all look like numbers: "007" becomes 7, and the digits are gone. datasets makes moments in time of one
# whose strings all look like ISO dates: "2024-05-01" becomes a datetime, and is "2024-05-01 00:00:00" where it is put into a
# prompt. Each leaves alone what the other changes, and one other string in the column keeps all of it as it was, so that a sample
# looks right and a part of the data does not. `dtype=False` (pandas) and `features=` (datasets) keep strings. Seen with
# pandas 3.1.1, datasets 5.2.0, 2026-11-28:
#
#   written                      pandas.read_json             datasets.load_dataset
#   "007", "0042"                7, 42                        '007', '0042'
#   "2024-05-01", "2023-01-02"   '2024-05-01', '2023-01-02'   datetime, datetime
#   "007", "seven"               '007', 'seven'               '007', 'seven'
#
# Needs python3 and a network. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check pandas==3.1.1 datasets==5.2.0
cat >probe.py <<'PY'
import datetime
import json
import pathlib

import datasets
import pandas

datasets.disable_progress_bars()
print(f"pandas {pandas.__version__}, datasets {datasets.__version__}")


def shown(values):
    return ", ".join("datetime" if isinstance(v, datetime.datetime) else repr(v) for v in values)


print(f"{'written':<29}{'pandas.read_json':<29}datasets.load_dataset")
for number, pair in enumerate([("007", "0042"), ("2024-05-01", "2023-01-02"), ("007", "seven")]):
    path = pathlib.Path(f"rows{number}.jsonl")
    path.write_text("".join(json.dumps({"answer": answer}) + "\n" for answer in pair))
    by_pandas = shown(pandas.read_json(path, lines=True)["answer"].tolist())
    by_datasets = shown(datasets.load_dataset("json", data_files=str(path), split="train")["answer"])
    print(f"{', '.join(map(json.dumps, pair)):<29}{by_pandas:<29}{by_datasets}")
PY
said=$(HF_HOME="$work/cache" HF_HUB_OFFLINE=1 python/bin/python probe.py)
echo "$said"
wanted=$(cat <<'END'
"007", "0042"                7, 42                        '007', '0042'
"2024-05-01", "2023-01-02"   '2024-05-01', '2023-01-02'   datetime, datetime
"007", "seven"               '007', 'seven'               '007', 'seven'
END
)
[ "$(tail -n 3 <<<"$said")" = "$wanted" ] || { echo "changed"; exit 1; }
