"""Checks that the api's port is 8090 everywhere, and that nothing else has changed."""

import sys
import tomllib
from pathlib import Path

wrong = []


def lines(name):
    """What counts in a file: no comments, no empty lines."""
    found = (line.split("#")[0].strip() for line in Path(name).read_text().splitlines())
    return [" ".join(line.split()) for line in found if line]


def expect(name, right):
    got = lines(name)
    for line in right:
        if line not in got:
            wrong.append(f"{name}: there should be: {line}")
    for line in got:
        if line not in right:
            wrong.append(f"{name}: there should not be: {line}")


app = tomllib.loads(Path("app.toml").read_text())
if app != {
    "name": "tides",
    "server": {"host": "0.0.0.0", "port": 8090, "timeout_ms": 8000},
    "metrics": {"enabled": True, "port": 8001},
    "upstream": {"url": "http://weather.internal:8000/v2", "retries": 3},
}:
    wrong.append(f"app.toml: {app}")

expect("Dockerfile", [
    "FROM python:3.11-slim",
    "WORKDIR /srv/tides",
    "COPY requirements.txt .",
    "RUN pip install --no-cache-dir -r requirements.txt",
    "COPY . .",
    "EXPOSE 8090 8001",
    "HEALTHCHECK --interval=30s --timeout=3s CMD python3 -m tides.health http://127.0.0.1:8090/health",
    "USER 8000",
    'CMD ["python3", "-m", "tides", "--config", "app.toml"]',
])
expect("deploy/api.service", [
    "[Unit]",
    "Description=Tides api",
    "After=network-online.target",
    "[Service]",
    "Environment=TIDES_PORT=8090",
    "Environment=TIDES_METRICS_PORT=8001",
    "ExecStart=/usr/bin/docker run --rm --name tides -p 127.0.0.1:8090:8090 -p 127.0.0.1:8001:8001 tides",
    "ExecStartPost=/usr/bin/curl --retry 10 --retry-connrefused -fsS http://127.0.0.1:8090/health",
    "Restart=on-failure",
    "LimitNOFILE=8000",
    "[Install]",
    "WantedBy=multi-user.target",
])
expect("deploy/proxy.conf", [
    "upstream tides {",
    "server 127.0.0.1:8090;",
    "keepalive 16;",
    "}",
    "upstream weather {",
    "server weather.internal:8000;",
    "server {",
    "listen 443 ssl;",
    "server_name tides.example.org;",
    "client_max_body_size 8000k;",
    "location /weather/ {",
    "proxy_pass http://weather;",
    "location / {",
    "proxy_pass http://tides;",
])
print("\n".join(wrong) or "the ports are right")
sys.exit(1 if wrong else 0)
