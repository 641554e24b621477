#!/usr/bin/env bash
# A call of a tool that a server does not have (models do make up names) is a protocol error in MCP's specification: a JSON-RPC
# error with code -32602. Servers that are written with the two official libraries, by their usual classes, answer it with a
# result: `isError` is true, and in TypeScript the text of its content is "MCP error -32602: …", so that the code is there and is no
# code. A client that looks at `error` alone takes the call for one that succeeded. Both ways are one failed call, and the model
# is told its words. Seen with @modelcontextprotocol/sdk 1.32.2 (Node), mcp 2.3.0 (Python), 2026-11-28:
#
#   TypeScript: result, isError True, "MCP error -32602: Tool subtract not found"
#   Python: result, isError True, "Unknown tool: subtract"
#
# Needs python3, node, npm and a network. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check mcp==2.3.0
echo '{"private": true}' >package.json
npm install --silent --no-fund --no-audit @modelcontextprotocol/sdk@1.32.2
cat >server.mjs <<'JS'
import {McpServer} from "@modelcontextprotocol/sdk/server/mcp.js";
import {StdioServerTransport} from "@modelcontextprotocol/sdk/server/stdio.js";
const server = new McpServer({name: "sums", version: "1"});
server.registerTool("one", {}, async () => ({content: [{type: "text", text: "1"}]}));
await server.connect(new StdioServerTransport());
JS
cat >server.py <<'PY'
from mcp.server import MCPServer

server = MCPServer("sums")


@server.tool()
def one() -> int:
    return 1


server.run()
PY
cat >client.py <<'PY'
import json
import subprocess
import sys

name, *command = sys.argv[1:]
server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def send(**message):
    server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    server.stdin.flush()


def ask(number, method, **params):
    send(id=number, method=method, params=params)
    while True:
        message = json.loads(server.stdout.readline())
        if message.get("id") == number and "method" not in message:
            return message


client = {"name": "probe", "version": "1"}
ask(1, "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client)
send(method="notifications/initialized")
answer = ask(2, "tools/call", name="subtract", arguments={})
if "error" in answer:
    print(f"{name}: error {answer['error']['code']}")
else:
    result = answer["result"]
    print(f"{name}: result, isError {result.get('isError')}, {json.dumps(result['content'][0]['text'])}")
server.stdin.close()
server.wait(20)
PY
echo "@modelcontextprotocol/sdk $(node -p 'require("./node_modules/@modelcontextprotocol/sdk/package.json").version'), $(python/bin/pip list 2>/dev/null | grep '^mcp ' | tr -s ' ')"
said=$(
    python3 client.py TypeScript node server.mjs
    python3 client.py Python python/bin/python server.py
)
echo "$said"
wanted=$(cat <<'END'
TypeScript: result, isError True, "MCP error -32602: Tool subtract not found"
Python: result, isError True, "Unknown tool: subtract"
END
)
[ "$said" = "$wanted" ] || { echo "changed"; exit 1; }
