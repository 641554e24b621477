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

function only(lines) {
  assert.equal(lines.length, 1);
  assert.ok(lines[0].endsWith("\n"));
  assert.equal(lines[0].trimEnd().split("\n").length, 1);
  return JSON.parse(lines[0]);
}

test("a line is a JSON object", () => {
  const { lines, journal } = recorded();
  journal.info("saved", { file: "a.txt", bytes: 12, done: true, parts: [1, 2] });
  const entry = only(lines);
  assert.deepEqual(entry, {
    time: "1970-01-01T00:00:00.000Z",
    level: "info",
    message: "saved",
    file: "a.txt",
    bytes: 12,
    done: true,
    parts: [1, 2],
  });
  assert.deepEqual(Object.keys(entry).slice(0, 3), ["time", "level", "message"]);
});

test("levels are in lower case, and are still filtered", () => {
  const { lines, journal } = recorded({ level: "WARN" });
  journal.info("no");
  journal.warn("yes");
  assert.equal(only(lines).level, "warn");
});

test("an Error is its message", () => {
  const { lines, journal } = recorded();
  journal.error("not saved", { cause: new TypeError("disk full"), file: "b" });
  const entry = only(lines);
  assert.equal(entry.cause, "disk full");
  assert.equal(entry.level, "error");
});

test("an undefined field is left out, null is not", () => {
  const { lines, journal } = recorded();
  journal.info("x", { a: undefined, b: null });
  const entry = only(lines);
  assert.ok(!("a" in entry));
  assert.equal(entry.b, null);
});

test("line ends and quotes stay within the line", () => {
  const { lines, journal } = recorded();
  journal.info('two\n"lines"', { note: "a\nb" });
  const entry = only(lines);
  assert.equal(entry.message, 'two\n"lines"');
  assert.equal(entry.note, "a\nb");
});

test("fields of its own, and those of the line over them", () => {
  const { lines, journal } = recorded();
  journal.with({ user: "ann", page: 1 }).info("x", { page: 2 });
  const entry = only(lines);
  assert.deepEqual([entry.user, entry.page], ["ann", 2]);
});
