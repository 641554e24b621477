// The records on the shelf.

export class Catalog {
  #records = [];

  add(record) {
    for (const field of ["title", "artist", "year"]) {
      if (record[field] === undefined) throw new Error(`a record needs a ${field}`);
    }
    this.#records.push({ tags: [], ...record, id: this.#records.length + 1 });
  }

  get(id) {
    return this.#records.find((record) => record.id === id);
  }

  /** The records that match, by year; those of one year in the order in which they were added. */
  find({ artist, tag } = {}) {
    return this.#records
      .filter((record) => artist === undefined || record.artist === artist)
      .filter((record) => tag === undefined || record.tags.includes(tag))
      .sort((a, b) => a.year - b.year);
  }
}
