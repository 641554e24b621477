"use strict";

const { formatLine } = require("./format");

const LEVELS = ["DEBUG", "INFO", "WARN", "ERROR"];

class Journal {
  /**
   * @param {{write: (text: string) => void}} output where the lines go
   * @param {{level?: string, fields?: object, clock?: () => Date}} options
   */
  constructor(output, { level = "INFO", fields = {}, clock = () => new Date() } = {}) {
    if (!LEVELS.includes(level)) throw new Error(`no such level: ${level}`);
    this.output = output;
    this.level = level;
    this.fields = fields;
    this.clock = clock;
  }

  /** A journal that writes these fields with every line as well. */
  with(fields) {
    return new Journal(this.output, { level: this.level, fields: { ...this.fields, ...fields }, clock: this.clock });
  }

  log(level, message, fields = {}) {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(this.level)) return;
    this.output.write(formatLine(this.clock(), level, message, { ...this.fields, ...fields }) + "\n");
  }

  debug(message, fields) {
    this.log("DEBUG", message, fields);
  }

  info(message, fields) {
    this.log("INFO", message, fields);
  }

  warn(message, fields) {
    this.log("WARN", message, fields);
  }

  error(message, fields) {
    this.log("ERROR", message, fields);
  }
}

module.exports = { Journal, LEVELS };
