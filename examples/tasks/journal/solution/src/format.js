"use strict";

/** One line of the journal, such as `{"time":"2024-05-01T08:00:00.000Z","level":"info","message":"saved","bytes":12}`. */
function formatLine(time, level, message, fields) {
  const entry = { time: time.toISOString(), level: level.toLowerCase(), message };
  for (const [name, value] of Object.entries(fields)) {
    entry[name] = value instanceof Error ? value.message : value;
  }
  return JSON.stringify(entry);
}

module.exports = { formatLine };
