// The household's chores; tells the bus what happens to them.

export class Chores {
  #open = [];

  constructor(bus) {
    this.bus = bus;
  }

  get open() {
    return [...this.#open];
  }

  add(chore) {
    this.#open.push(chore);
    this.bus.emit("added", chore);
  }

  finish(chore) {
    const at = this.#open.indexOf(chore);
    if (at < 0) throw new Error(`no such chore: ${chore}`);
    this.#open.splice(at, 1);
    this.bus.emit("finished", chore);
    if (this.#open.length === 0) this.bus.emit("all-done");
  }
}
