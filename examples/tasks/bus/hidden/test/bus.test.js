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

test("several once in a row", () => {
  const bus = new Bus();
  const heard = [];
  for (const name of ["a", "b", "c"]) bus.once("tick", () => heard.push(name));
  bus.on("tick", () => heard.push("d"));
  assert.equal(bus.emit("tick"), 4);
  assert.deepEqual(heard, ["a", "b", "c", "d"]);
  assert.equal(bus.emit("tick"), 1);
});

test("a listener that ends itself does not hide the next one either", () => {
  const bus = new Bus();
  const heard = [];
  const off = bus.on("tick", () => {
    heard.push("a");
    off();
  });
  bus.on("tick", () => heard.push("b"));
  bus.emit("tick");
  bus.emit("tick");
  assert.deepEqual(heard, ["a", "b", "b"]);
});

test("once is called once, also when its event is emitted within it", () => {
  const bus = new Bus();
  const heard = [];
  bus.once("tick", () => {
    heard.push("once");
    bus.emit("tick");
  });
  bus.emit("tick");
  assert.deepEqual(heard, ["once"]);
});

test("once can be taken back, and gets the details", () => {
  const bus = new Bus();
  const heard = [];
  const off = bus.once("tick", () => heard.push("never"));
  bus.once("tick", (...details) => heard.push(details));
  off();
  bus.emit("tick", 1, 2);
  assert.deepEqual(heard, [[1, 2]]);
});
