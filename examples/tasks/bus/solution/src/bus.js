// Lets parts of the program hear of each other's events.

export class Bus {
  #listeners = new Map();

  /** Calls the listener at every event of that name. Returns a function that ends this. */
  on(name, listener) {
    if (typeof listener !== "function") throw new TypeError("a listener is a function");
    if (!this.#listeners.has(name)) this.#listeners.set(name, []);
    this.#listeners.get(name).push(listener);
    return () => this.off(name, listener);
  }

  /** Calls the listener at the next event of that name only. */
  once(name, listener) {
    const off = this.on(name, (...details) => {
      off();
      listener(...details);
    });
    return off;
  }

  off(name, listener) {
    const listeners = this.#listeners.get(name) ?? [];
    const at = listeners.indexOf(listener);
    if (at >= 0) listeners.splice(at, 1);
  }

  /** Calls the listeners in the order in which they were added; returns how many there were. */
  emit(name, ...details) {
    const listeners = this.#listeners.get(name) ?? [];
    let called = 0;
    for (const listener of [...listeners]) {
      listener(...details);
      called += 1;
    }
    return called;
  }
}
