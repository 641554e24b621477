// The worker: holds the candidate's code and answers calls. It knows no test and no expected value, so nothing
// in this process needs to be protected from the candidate. Follows `wire.js`.

const FRAMES_MAX = 4;

class Worker {
  constructor(line, source) {
    this.line = line;
    this.source = source;
    this.codec = new Codec((handle) => this.callback(handle));
    this.callbacks = new WeakMap();
    this.codec.ownHandle = (value) => this.callbacks.get(value);
    this.module = { exports: {} };
  }

  load() {
    Object.assign(globalThis, { require, module: this.module, exports: this.module.exports });
    vm.runInThisContext(asScript(this.source), { filename: "candidate.js" });
  }

  find(name) {
    if (!/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name)) return undefined;
    try {
      const value = vm.runInThisContext(name);
      if (value !== undefined) return value;
    } catch {}
    const exported = this.module.exports;
    if (typeof exported === "function" && (name === exported.name || name === "default")) return exported;
    return exported === null || exported === undefined ? undefined : exported[name];
  }

  names(wanted) {
    const found = {};
    for (const name of wanted) {
      const value = this.find(name);
      if (value !== undefined) found[name] = this.codec.encode(value);
    }
    return found;
  }

  /** A function or object of the tests', as the candidate sees it. */
  callback(handle) {
    const stand = (...args) => {
      this.line.send(stringify(["cb", handle.h, args.map((arg) => this.codec.encode(arg))]));
      for (;;) {
        const message = parse(this.line.receive());
        if (message[0] === "back") {
          if (message[1] === "ok") return this.codec.decode(message[2]);
          throw makeError(message[2], message[3]);
        }
        this.line.send(this.encodeReply(() => this.run(message)));
      }
    };
    this.callbacks.set(stand, handle.h);
    return stand;
  }

  run(message) {
    const [operation, ...rest] = message;
    if (operation === "load") return this.load(), ["ok", { u: 1 }, {}];
    if (operation === "names") return ["ok", this.names(rest[0]), {}];
    const target = this.codec.decode(rest[0]);
    const args = (rest[2] || []).map((arg) => this.codec.decode(arg));
    if (operation === "call" || operation === "new") {
      return this.call(operation, target, this.codec.decode(rest[1]), args, rest[2]);
    }
    return ["ok", this.codec.encode(this.operate(operation, target, rest[1], args)), {}];
  }

  operate(operation, target, name, args) {
    switch (operation) {
      case "attr": return target[name];
      case "set": return (target[name] = args[0]), undefined;
      case "has": return name in target;
      case "keys": return Object.keys(target);
      case "iterator": return target[Symbol.iterator]();
      case "iterable": return typeof target[Symbol.iterator] === "function";
      case "instance": return args[0] instanceof target;
      case "primitive": return name === "number" ? Number(target) : String(target);
      default: throw new TypeError(operation);
    }
  }

  call(operation, target, self, args, sent) {
    const finish = (make) => {
      let reply;
      try {
        const result = make();
        const same = args.findIndex((arg) => arg === result && canChange(arg));
        reply = same >= 0 ? ["same", same] : ["ok", this.codec.encode(result)];
      } catch (error) {
        reply = ["ex", this.about(error)];
      }
      const changed = {};
      args.forEach((arg, index) => {
        if (!canChange(arg)) return;
        const after = this.codec.encode(arg);
        if (stringify(after) !== stringify(sent[index])) changed[index] = after;
      });
      return [...reply, changed];
    };
    let result;
    try {
      result = operation === "new" ? new target(...args) : target.apply(self, args);
    } catch (error) {
      return finish(() => { throw error; });
    }
    if (result instanceof Promise) {
      return result.then((value) => finish(() => value), (error) => finish(() => { throw error; }))
        .then((reply) => ["promise", reply]);
    }
    return finish(() => result);
  }

  about(error) {
    let name = "Error", text = "", stack = "";
    try {
      name = String((error && error.name) || "Error");
      text = String(error instanceof Object && "message" in error ? error.message : error).slice(0, 2000);
      stack = String((error && error.stack) || "");
    } catch {}
    const lines = this.source.split("\n");
    const frames = [...stack.matchAll(/candidate\.js:(\d+)/g)].slice(0, FRAMES_MAX)
      .map((match) => [Number(match[1]), "", (lines[match[1] - 1] || "").trim()]);
    return { name, text, frames };
  }

  encodeReply(make) {
    try {
      return stringify(make());
    } catch (error) {
      return stringify(["ex", this.about(error), {}]);
    }
  }

  async serve() {
    for (;;) {
      const message = parse(this.line.receive());
      let reply;
      try {
        reply = this.run(message);
        if (reply instanceof Promise) reply = await reply;
      } catch (error) {
        reply = ["ex", this.about(error), {}];
      }
      this.line.send(this.encodeReply(() => reply));
    }
  }
}

// What the candidate leaves running must not end the worker between two calls.
process.on("unhandledRejection", () => {});
new Worker(new Line(3, 4), fs.readFileSync("candidate.js", "utf8")).serve().catch(() => process.exit(9));
