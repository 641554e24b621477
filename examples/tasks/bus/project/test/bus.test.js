import assert from "node:assert/strict";
import { test } from "node:test";

import { Bus } from "../src/bus.js";
import { Chores } from "../src/chores.js";

test("calls listeners in order, with the details", () => {
  const bus = new Bus();
  const heard = [];
  bus.on("added", (chore) => heard.push(`first ${chore}`));
  bus.on("added", (chore) => heard.push(`second ${chore}`));
  new Chores(bus).add("dishes");
  assert.deepEqual(heard, ["first dishes", "second dishes"]);
});

test("off ends it", () => {
  const bus = new Bus();
  let calls = 0;
  const off = bus.on("tick", () => (calls += 1));
  bus.emit("tick");
  off();
  assert.equal(bus.emit("tick"), 0);
  assert.equal(calls, 1);
});

test("once does not get in the way of others", () => {
  const bus = new Bus();
  const heard = [];
  bus.once("finished", () => heard.push("once"));
  bus.on("finished", () => heard.push("always"));
  bus.emit("finished");
  bus.emit("finished");
  assert.deepEqual(heard, ["once", "always", "always"]);
});
