// The values and messages that cross between the judge and the worker. Both processes begin with this file;
// `wire.py` describes the protocol. Tags here: {"u"} undefined, {"f"} NaN, infinities and -0, {"i"} BigInt,
// {"o"} plain object, {"m"} Map, {"s"} Set, {"T"} Date, {"x"} RegExp, {"a"} typed array, {"E"} Error,
// {"h"} an object that stays where it is, {"b"} one of the receiver's coming back.
"use strict";
const fs = require("fs");
const vm = require("vm");

const DEPTH_MAX = 150;
const { stringify, parse } = JSON;
const TYPED = ["Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array",
  "Uint32Array", "Float32Array", "Float64Array"];

class Gone extends Error {}
class Unsupported extends Error {}

class Line {
  constructor(readFd, writeFd) {
    this.readFd = readFd;
    this.writeFd = writeFd;
    this.pending = Buffer.alloc(0);
    this.piece = Buffer.alloc(1 << 16);
  }

  receive() {
    for (;;) {
      const end = this.pending.indexOf(10);
      if (end >= 0) {
        const line = this.pending.toString("utf8", 0, end);
        this.pending = this.pending.subarray(end + 1);
        return line;
      }
      const count = retry(() => fs.readSync(this.readFd, this.piece));
      if (count === 0) throw new Gone("the channel was closed");
      this.pending = Buffer.concat([this.pending, this.piece.subarray(0, count)]);
    }
  }

  send(text) {
    const data = Buffer.from(text + "\n", "utf8");
    for (let done = 0; done < data.length; ) done += retry(() => fs.writeSync(this.writeFd, data, done));
  }
}

function retry(action) {
  for (;;) {
    try {
      return action();
    } catch (error) {
      if (error.code === "EOF") return 0;
      if (error.code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

class Codec {
  constructor(standIn) {
    this.exports = new Map();
    this.ids = new Map();
    this.standIn = standIn;
    this.ownHandle = () => undefined;
  }

  encode(value, depth = 0) {
    if (depth > DEPTH_MAX) throw new Unsupported("a value that is nested too deeply or contains itself");
    switch (typeof value) {
      case "undefined":
        return { u: 1 };
      case "number":
        return Number.isFinite(value) && !Object.is(value, -0) ? value : { f: Object.is(value, -0) ? "-0" : String(value) };
      case "bigint":
        return { i: String(value) };
      case "string":
      case "boolean":
        return value;
      case "symbol":
        return this.keep(value, "object", "Symbol");
      default:
        return value === null ? null : this.encodeObject(value, depth + 1);
    }
  }

  encodeObject(value, depth) {
    const own = this.ownHandle(value);
    if (own !== undefined) return { b: own };
    const each = (items) => Array.from(items, (item) => this.encode(item, depth));
    const pairs = (items) => Array.from(items, ([k, v]) => [this.encode(k, depth), this.encode(v, depth)]);
    if (typeof value === "function") return this.keep(value, "function", value.name || "function");
    if (Array.isArray(value)) return each(value);
    // An object with methods keeps its state, so it stays.
    if (isPlain(value) && Object.values(value).some((item) => typeof item === "function")) {
      return this.keep(value, "object", "Object");
    }
    if (isPlain(value)) return { o: pairs(Object.entries(value)) };
    if (value instanceof Map) return { m: pairs(Map.prototype.entries.call(value)) };
    if (value instanceof Set) return { s: each(Set.prototype.values.call(value)) };
    if (value instanceof Date) return { T: this.encode(Date.prototype.getTime.call(value)) };
    if (value instanceof RegExp) return { x: [String(value.source), String(value.flags)] };
    if (value instanceof Error) return { E: [String(value.name), String(value.message)] };
    const wrapped = [Number, String, Boolean].find((kind) => value instanceof kind);
    if (wrapped) return this.encode(wrapped.prototype.valueOf.call(value), depth);
    const typed = TYPED.find((name) => value instanceof globalThis[name]);
    if (typed) return { a: [typed, each(value)] };
    return this.keep(value, "object", (value.constructor && value.constructor.name) || "Object");
  }

  keep(value, kind, name) {
    if (!this.ids.has(value)) {
      this.ids.set(value, this.ids.size + 1);
      this.exports.set(this.ids.size, value);
    }
    return { h: this.ids.get(value), k: kind, n: String(name) };
  }

  decode(data) {
    if (data === null || typeof data !== "object") return data;
    if (Array.isArray(data)) return data.map((item) => this.decode(item));
    const [tag] = Object.keys(data);
    const content = data[tag];
    const pairs = () => content.map(([k, v]) => [this.decode(k), this.decode(v)]);
    switch (tag) {
      case "u": return undefined;
      case "f": return Number(content);
      case "i": return BigInt(content);
      case "m": return new Map(pairs());
      case "s": return new Set(content.map((item) => this.decode(item)));
      case "T": return new Date(this.decode(content));
      case "x": return new RegExp(content[0], content[1]);
      case "E": return makeError(content[0], content[1]);
      case "h": return this.standIn(data);
      case "a":
        if (!TYPED.includes(content[0])) break;
        return globalThis[content[0]].from(content[1].map((item) => this.decode(item)));
      case "b":
        if (!this.exports.has(content)) break;
        return this.exports.get(content);
      case "o": {
        const made = {};
        for (const [key, value] of pairs()) {
          // Not by assignment: a key may be called `__proto__`.
          Object.defineProperty(made, key, { value, writable: true, enumerable: true, configurable: true });
        }
        return made;
      }
    }
    throw new TypeError(`no such value: ${tag}`);
  }
}

const ERRORS = { Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError };

function makeError(name, message) {
  const error = new (ERRORS[name] || Error)(message);
  if (!ERRORS[name]) error.name = String(name);
  return error;
}

/** Gives `target` the content of `source`, keeping its identity. */
function refill(target, source) {
  if (Array.isArray(target)) target.splice(0, target.length, ...source);
  else if (target instanceof Map || target instanceof Set) {
    target.clear();
    for (const item of source) target instanceof Map ? target.set(item[0], item[1]) : target.add(item);
  } else {
    for (const key of Object.keys(target)) delete target[key];
    Object.assign(target, source);
  }
}

function canChange(value) {
  return value !== null && typeof value === "object" &&
    (Array.isArray(value) || value instanceof Map || value instanceof Set || isPlain(value));
}

/** Rewrites the module syntax of ECMAScript into what a script can run. */
function asScript(source) {
  return source
    .replace(/^([ \t]*)import\s+\*\s+as\s+(\w+)\s+from\s+(["'][^"']+["'])/gm, "$1const $2 = require($3)")
    .replace(/^([ \t]*)import\s+(\w+)\s+from\s+(["'][^"']+["'])/gm, "$1const $2 = require($3)")
    .replace(/^([ \t]*)import\s+\{([^}]*)\}\s+from\s+(["'][^"']+["'])/gm,
      (_, space, names, from) => `${space}const {${names.replace(/\bas\b/g, ":")}} = require(${from})`)
    .replace(/^([ \t]*)export\s+default\s+(?=(async\s+)?(function|class)\s+\w)/gm, "$1")
    .replace(/^([ \t]*)export\s+default\s+/gm, "$1module.exports.default = ")
    .replace(/^([ \t]*)export\s+(?=(async|const|let|var|function|class)\b)/gm, "$1")
    .replace(/^([ \t]*)export\s*\{[^}]*\}\s*;?/gm, "$1");
}
