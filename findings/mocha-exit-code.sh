#!/usr/bin/env bash
# A test runner ends with 1 where tests fail, and a shell's 126, 127 and 130 speak of a command that cannot be run, is not found or
# was interrupted. Mocha ends with the number of tests that failed, up to 255: a suite in which 127 fail looks to whoever started
# it like a mocha that is not installed, one with 130 like Ctrl-C, one with 137 like a kill for want of memory. npm hands the
# code on. `--posix-exit-codes` makes it 1; who does not write the command looks at what was printed before the code is believed.
# Seen with mocha 12.0.3, Node 20, 2026-11-28:
#
#   2 failing: 2
#   127 failing: 127, by npm: 127
#   300 failing: 255
#   127 failing, --posix-exit-codes: 1
#   a command that is not there: 127
#
# Needs node, npm and a network. Ends with 1 where the behaviour has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
echo '{"private": true, "scripts": {"test": "mocha suite.cjs"}}' >package.json
npm install --silent --no-fund --no-audit mocha@12.0.3
cat >suite.cjs <<'JS'
const assert = require("node:assert");
for (let i = 0; i < Number(process.env.FAILING); i++) it(`test ${i}`, () => assert.equal(1, 2));
it("one that passes", () => {});
JS
code() {
    local rc=0
    FAILING="$1" "${@:2}" >/dev/null 2>&1 || rc=$?
    echo "$rc"
}
PATH="$work/node_modules/.bin:$PATH"
said=$(
    echo "2 failing: $(code 2 mocha suite.cjs)"
    echo "127 failing: $(code 127 mocha suite.cjs), by npm: $(code 127 npm test)"
    echo "300 failing: $(code 300 mocha suite.cjs)"
    echo "127 failing, --posix-exit-codes: $(code 127 mocha --posix-exit-codes suite.cjs)"
    echo "a command that is not there: $(code 0 sh -c mocca)"
)
echo "mocha $(mocha --version)"
echo "$said"
[ "$said" = $'2 failing: 2\n127 failing: 127, by npm: 127\n300 failing: 255\n127 failing, --posix-exit-codes: 1\na command that is not there: 127' ] ||
    { echo "changed"; exit 1; }
