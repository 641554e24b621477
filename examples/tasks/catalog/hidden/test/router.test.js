import assert from "node:assert/strict";
import { test } from "node:test";

import { Catalog } from "../src/catalog.js";
import { handle } from "../src/router.js";

function shelf(count) {
  const catalog = new Catalog();
  for (let at = 1; at <= count; at += 1) {
    catalog.add({ title: `T${at}`, artist: at % 2 ? "Odd" : "Even", year: 1950 + at, tags: at % 3 ? [] : ["live"] });
  }
  return catalog;
}

const titles = (answer) => answer.body.items.map((record) => record.title);

test("finds by artist and tag", () => {
  assert.deepEqual(titles(handle(shelf(6), "/records?artist=Even")), ["T2", "T4", "T6"]);
  assert.deepEqual(titles(handle(shelf(6), "/records?tag=live")), ["T3", "T6"]);
});

test("gives one record", () => {
  assert.equal(handle(shelf(3), "/records/2").body.title, "T2");
  assert.equal(handle(shelf(3), "/records/9").status, 404);
  assert.equal(handle(shelf(3), "/records/x").status, 400);
});

test("refuses unknown parameters", () => {
  assert.equal(handle(shelf(3), "/records?colour=red").status, 400);
});

test("gives one page", () => {
  const answer = handle(shelf(25), "/records?page=2&size=10");
  assert.equal(answer.status, 200);
  assert.equal(answer.body.items.length, 10);
  assert.equal(answer.body.items[0].title, "T11");
  assert.equal(answer.body.page, 2);
  assert.equal(answer.body.pages, 3);
  assert.equal(answer.body.total, 25);
});

test("starts with page 1 of 20", () => {
  const { body } = handle(shelf(41), "/records");
  assert.equal(body.items.length, 20);
  assert.deepEqual([body.page, body.pages, body.total], [1, 3, 41]);
  assert.equal(handle(shelf(41), "/records?page=3").body.items.length, 1);
});

test("a whole number of pages", () => {
  const { body } = handle(shelf(20), "/records?size=5&page=4");
  assert.deepEqual(body.items.map((record) => record.title), ["T16", "T17", "T18", "T19", "T20"]);
  assert.equal(body.pages, 4);
});

test("a size above 100 is taken as 100", () => {
  const { status, body } = handle(shelf(120), "/records?size=5000");
  assert.equal(status, 200);
  assert.deepEqual([body.items.length, body.pages, body.total], [100, 2, 120]);
  assert.equal(handle(shelf(120), "/records?size=100").body.items.length, 100);
});

test("counts only what matches", () => {
  const { body } = handle(shelf(30), "/records?tag=live&size=4&page=3");
  assert.deepEqual(body.items.map((record) => record.title), ["T27", "T30"]);
  assert.deepEqual([body.page, body.pages, body.total], [3, 3, 10]);
});

test("a page beyond the last has no items", () => {
  const { status, body } = handle(shelf(5), "/records?page=9");
  assert.equal(status, 200);
  assert.deepEqual(body.items, []);
  assert.deepEqual([body.page, body.total], [9, 5]);
});

test("refuses what is not a whole number above 0", () => {
  for (const text of ["0", "-1", "1.5", "x", "2x", ""]) {
    assert.equal(handle(shelf(5), `/records?page=${text}`).status, 400, `page=${text}`);
    assert.equal(handle(shelf(5), `/records?size=${text}`).status, 400, `size=${text}`);
  }
  assert.equal(handle(shelf(5), "/records?page=1&colour=red").status, 400);
});
