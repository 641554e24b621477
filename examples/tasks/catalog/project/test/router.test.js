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
