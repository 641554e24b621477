"""Checks that the settings fit together."""

import configparser
import re
import sys
import tomllib
from pathlib import Path

wrong = []
app = tomllib.loads(Path("app.toml").read_text())
port, metrics = app["server"]["port"], app["metrics"]["port"]
if port == metrics:
    wrong.append("the api and the metrics have the same port")

exposed = re.search(r"^EXPOSE (.*)$", Path("Dockerfile").read_text(), re.MULTILINE)
if exposed is None or [int(number) for number in exposed[1].split()] != [port, metrics]:
    wrong.append("Dockerfile: EXPOSE does not name the ports of app.toml")

service = configparser.ConfigParser(strict=False, interpolation=None)
service.optionxform = str
service.read("deploy/api.service")
if f":{port} " not in service["Service"]["ExecStart"]:
    wrong.append("deploy/api.service: the port of app.toml is not published")

print("\n".join(wrong) or "the settings fit together")
sys.exit(1 if wrong else 0)
