// The judge: holds the tests and asks the worker, through the parent, for every call of the candidate's code. It
// runs in a sandbox of its own and never runs a line of the candidate. Follows `wire.js`; towards the parent
// each line begins with `>` (for the worker) or `=` (a report), from the parent with `<` or `!`.

const util = require("util");

const FAILURES_MAX = 20;
const SHOWN_CHARS_MAX = 400;
const inspect = util.inspect;

// Methods that are given what a test expects and say whether it is so.
const TELLING = new Set(("includes startsWith endsWith every some has test match matchAll indexOf lastIndexOf search " +
  "equals localeCompare find findIndex filter isSubsetOf isSupersetOf isDisjointFrom get at").split(" "));

/** Nothing more can be judged. */
class Stop extends Error {}

/** The names of the stand-ins: showing one must not ask the candidate how it looks. */
const remoteNames = new WeakMap();

function show(value) {
  if (remoteNames.has(Object(value))) return `<${remoteNames.get(value)}>`;
  let text;
  try {
    text = inspect(value, { depth: 6, breakLength: Infinity, maxArrayLength: 50 });
  } catch (error) {
    text = `<a value that cannot be shown: ${error.name}>`;
  }
  return text.length <= SHOWN_CHARS_MAX ? text : text.slice(0, SHOWN_CHARS_MAX - 1) + "…";
}

class Link {
  constructor(line, named = new Set()) {
    this.line = line;
    this.named = named;
    this.gone = null;
    this.calls = 0;
    this.last = null;
    this.remotes = new Map();
    this.handles = new WeakMap();
    this.codec = new Codec((handle) => this.remote(handle));
    this.codec.ownHandle = (value) => this.handles.get(value);
  }

  exchange(message) {
    if (this.gone) throw new Stop(this.gone);
    this.line.send(">" + stringify(message));
    for (;;) {
      const line = this.line.receive();
      if (line[0] === "!") {
        this.gone = String(parse(line.slice(1)).gone);
        throw new Stop(this.gone);
      }
      let answer;
      try {
        const reply = parse(line.slice(1));
        if (reply[0] !== "cb") return reply;
        answer = this.calledBack(reply[1], reply[2]);
      } catch (error) {
        throw error instanceof Stop ? error : this.violated();
      }
      this.line.send(">" + stringify(answer));
    }
  }

  violated() {
    this.gone = "protocol";
    return new Stop("protocol");
  }

  /** The candidate calls a function that a test passed to it. */
  calledBack(number, args) {
    const thing = this.codec.exports.get(number);
    if (typeof thing !== "function") throw new TypeError("not a function");
    try {
      return ["back", "ok", this.codec.encode(thing(...args.map((arg) => this.codec.decode(arg))))];
    } catch (error) {
      if (error instanceof Stop) throw error;
      return ["back", "ex", String(error.name), String(error.message)];
    }
  }

  settle([kind, value, changed], args) {
    let error;
    try {
      for (const [index, content] of Object.entries(changed)) refill(args[Number(index)], this.codec.decode(content));
      if (kind === "same" && Number(value) in args) return args[Number(value)];
      if (kind === "ok") return this.codec.decode(value);
      error = makeError(String(value.name), String(value.text));
      error.z1Frames = value.frames.map(([line, name, text]) => [Number(line), String(name), String(text)]);
    } catch (_) {
      throw this.violated();
    }
    throw error;
  }

  ask(message, args = []) {
    const reply = this.exchange(message);
    if (!Array.isArray(reply)) throw this.violated();
    if (reply[0] !== "promise") return this.settle(reply, args);
    return new Promise((resolve) => resolve(this.settle(reply[1], args)));
  }

  names(wanted) {
    const reply = this.exchange(["names", wanted]);
    try {
      const found = Object.entries(reply[1]).filter(([name]) => wanted.includes(name));
      return new Map(found.map(([name, value]) => [name, this.codec.decode(value)]));
    } catch (_) {
      throw this.violated();
    }
  }

  call(operation, target, name, self, args) {
    this.calls += 1;
    this.last = { text: `${name}(${args.map(show).join(", ")})`, result: undefined, done: false };
    const last = this.last;
    const result = this.ask([operation, target, this.codec.encode(self), args.map((arg) => this.codec.encode(arg))], args);
    last.result = result;
    last.done = true;
    return result;
  }

  remote(handle) {
    const number = Number(handle.h);
    if (!this.remotes.has(number)) {
      const target = handle.k === "function" ? function () {} : {};
      const made = new Proxy(target, this.traps({ b: number }, String(handle.n), handle.k === "function"));
      this.handles.set(made, number);
      remoteNames.set(made, `${handle.k} ${handle.n}`);
      this.remotes.set(number, made);
    }
    return this.remotes.get(number);
  }

  traps(target, name, isFunction) {
    const link = this;
    // Asking an object that the tests do not speak of would hand it the expected value and believe its answer.
    const doubted = (key) => !isFunction && !this.named.has(name) && TELLING.has(key);
    const operate = (operation, key, ...args) =>
      link.ask([operation, target, key, args.map((arg) => link.codec.encode(arg))]);
    return {
      apply: (_, self, args) => link.call("call", target, name, link.handles.has(self) ? self : undefined, args),
      construct: (_, args) => link.call("new", target, name, undefined, args),
      get(own, key) {
        if (key === Symbol.iterator) return operate("iterable") ? () => iterate(operate("iterator")) : undefined;
        if (key === Symbol.toPrimitive) return (hint) => operate("primitive", hint);
        if (key === Symbol.hasInstance) return (value) => operate("instance", null, value) === true;
        if (typeof key === "symbol" || key === "then") return undefined;
        if (doubted(key)) throw new Unsupported(`an object of type ${name} where a plain value is needed`);
        return key === "prototype" ? own[key] : operate("attr", key);
      },
      set: (_, key, value) => (operate("set", String(key), value), true),
      has: (_, key) => typeof key === "string" && operate("has", key) === true,
      ownKeys: (own) => [...new Set([...Reflect.ownKeys(own), ...operate("keys").map(String)])],
      getOwnPropertyDescriptor: (own, key) =>
        Reflect.getOwnPropertyDescriptor(own, key) ||
        (typeof key === "string" && operate("keys").includes(key)
          ? { value: operate("attr", key), enumerable: true, configurable: true, writable: true }
          : undefined),
    };
  }
}

function* iterate(iterator) {
  for (;;) {
    const step = iterator.next();
    if (step.done) return step.value;
    yield step.value;
  }
}

class Judge {
  constructor(link, line, source) {
    this.link = link;
    this.line = line;
    this.source = source.split("\n");
    this.passed = 0;
    this.failures = 0;
    this.reported = new WeakSet();
  }

  report(event) {
    const text = stringify({ ...event, passed: this.passed, calls: this.link.calls });
    // Lone surrogates are not text.
    this.line.send("=" + text.replace(/\\ud[89a-f][0-9a-f]{2}/gi, "\\ufffd"));
  }

  fail(kind, name, got, expected = null, frame = null) {
    this.failures += 1;
    const last = this.link.last;
    const call = last ? last.text : "";
    const seen = got || (last && last.done ? `${call} returned ${show(last.result)}` : "");
    this.report({ event: "fail", kind, name: name.slice(0, 1000), got: seen, expected, call, frame });
    if (this.failures >= FAILURES_MAX) throw new Stop("enough failures");
  }

  /** The text of the statement of the tests that an error's stack leads to. */
  statement(stack) {
    const found = /tests\.js:(\d+)/.exec(stack || "");
    if (!found) return "";
    let text = "", depth = 0;
    for (let line = Number(found[1]) - 1; line < this.source.length && text.length < 1000; line++) {
      text += this.source[line].trim() + " ";
      for (const sign of this.source[line]) depth += "([{".includes(sign) ? 1 : ")]}".includes(sign) ? -1 : 0;
      if (depth <= 0) break;
    }
    return text.trim();
  }

  caught(error) {
    if (error instanceof Stop) {
      if (this.failures === 0) this.fail("gone", "", error.message);
      return;
    }
    const text = this.statement(error && error.stack);
    if (error && error.code === "ERR_ASSERTION") {
      const simple = /trictEqual|deepEqual|equal/i.test(error.operator || error.generatedMessage ? error.operator : "");
      return this.fail("wrong", text, simple ? show(error.actual) : String(error.message), simple ? show(error.expected) : null);
    }
    const frames = (error && error.z1Frames) || [];
    this.fail("crash", text, `${(error && error.name) || "Error"}: ${(error && error.message) || error}`, null, frames[0] || null);
  }

  /** `console.assert` and the functions of `assert`, counting. */
  install() {
    console.assert = (held, ..._message) => {
      if (held) this.passed += 1;
      else this.fail("wrong", this.statement(new Error().stack), "");
    };
    for (const name of ["log", "info", "warn", "error", "debug"]) console[name] = () => {};
    const assert = require("assert");
    for (const module of [assert, assert.strict]) {
      for (const [name, check] of Object.entries(module)) {
        if (typeof check !== "function" || /^[A-Z]|^strict$/.test(name)) continue;
        module[name] = (...args) => {
          const result = check(...args);
          if (result instanceof Promise) return result.then(() => void (this.passed += 1));
          this.passed += 1;
          return result;
        };
      }
    }
    const counted = (...args) => (assert.ok(...args));
    return Object.assign(counted, assert, { strict: assert.strict });
  }
}

function isBuiltin(name) {
  return require("module").builtinModules.includes(name.replace(/^node:/, ""));
}

/** The identifiers that the tests use and that the candidate may bring: nothing that the language brings, unless
 * the problem says that the candidate defines it. */
function wantedNames(spec) {
  const own = new Set([...(spec.names || []), ...(spec.entry ? [spec.entry] : [])]);
  const reserved = new Set(["require", "module", "exports", "console", "undefined", "arguments", "this"]);
  const words = new Set([...(spec.tests.match(/[\p{L}_$][\p{L}\p{N}_$]*/gu) || []), ...own]);
  return [...words].filter((word) => own.has(word) || !(word in globalThis || reserved.has(word)));
}

function scopeFor(link, spec, assert) {
  const module = new Proxy({}, { get: (_, key) => (typeof key === "string" ? link.names([key]).get(key) : undefined) });
  const scope = Object.create(null);
  for (const [name, value] of link.names(wantedNames(spec))) scope[name] = value;
  scope.require = (name) =>
    name.replace(/^node:/, "") === "assert" ? assert : isBuiltin(name) ? require(name) : module;
  return scope;
}

async function judgeProblem(spec, line) {
  const classes = (spec.tests.match(/\b[A-Z][\w$]*/g) || []).filter((word) => !(word in globalThis) && word !== "Solution");
  const link = new Link(line, new Set(classes));
  const judge = new Judge(link, line, spec.tests);
  try {
    link.ask(["load"]);
  } catch (error) {
    if (error.name !== "SyntaxError") judge.caught(error);
    else judge.fail("syntax", "", `${error.name}: ${error.message}`, null, error.z1Frames[0] || null);
    return judge;
  }
  const assert = judge.install();
  const helpers = (spec.helpers || "").trimEnd();
  const before = helpers ? helpers + "\n" : "";
  const script = `(function(__z1){with(__z1){return (async function(){${before}\n${asScript(spec.tests)}\n}).call(undefined)}})`;
  let run;
  try {
    run = vm.runInThisContext(script, { filename: "tests.js", lineOffset: -(before.split("\n").length) });
  } catch (error) {
    line.send("=" + stringify({ event: "unfit", why: `the tests are not valid JavaScript: ${error.message}` }));
    return null;
  }
  try {
    await run(scopeFor(link, spec, assert));
  } catch (error) {
    try {
      judge.caught(error);
    } catch {}
  }
  return judge;
}

async function main() {
  const line = new Line(3, 4);
  const spec = parse(fs.readFileSync("spec.json", "utf8"));
  const judge = await judgeProblem(spec, line);
  if (judge) judge.report({ event: "done", failed: judge.failures });
}

main().then(() => process.exit(0), (error) => {
  fs.writeSync(2, String(error && error.stack));
  process.exit(9);
});
