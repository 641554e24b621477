"use strict";

/** How a field's value is written. */
function valueText(value) {
  if (value instanceof Error) return JSON.stringify(value.message);
  if (typeof value === "string" && /^[\w.:/-]+$/.test(value)) return value;
  return JSON.stringify(value);
}

/** One line of the journal, such as `2024-05-01T08:00:00.000Z INFO saved file=a.txt bytes=12`. */
function formatLine(time, level, message, fields) {
  const parts = [time.toISOString(), level, message];
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) parts.push(`${name}=${valueText(value)}`);
  }
  return parts.join(" ");
}

module.exports = { formatLine };
