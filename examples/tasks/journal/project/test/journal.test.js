"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { Journal } = require("../src/journal");

function recorded(options) {
  const lines = [];
  const output = { write: (text) => lines.push(text) };
  return { lines, journal: new Journal(output, { clock: () => new Date(0), ...options }) };
}

test("leaves out what is below the level", () => {
  const { lines, journal } = recorded({ level: "WARN" });
  journal.debug("no");
  journal.info("no");
  journal.warn("yes");
  journal.error("yes");
  assert.equal(lines.length, 2);
});

test("writes the time, the message and the fields", () => {
  const { lines, journal } = recorded();
  journal.info("saved", { file: "a.txt" });
  assert.match(lines[0], /1970-01-01T00:00:00\.000Z.*saved.*file.*a\.txt.*\n$/);
});

test("keeps fields of its own", () => {
  const { lines, journal } = recorded();
  journal.with({ user: "ann" }).info("came in");
  assert.match(lines[0], /ann/);
});

test("refuses an unknown level", () => {
  assert.throws(() => recorded({ level: "LOUD" }), /no such level/);
});
