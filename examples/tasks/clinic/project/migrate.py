"""Brings a clinic's database up to date: runs the migrations that it has not seen yet, in their order.

    python3 migrate.py clinic.db
"""

import sqlite3
import sys
from pathlib import Path

MIGRATIONS = Path(__file__).resolve().parent / "migrations"


def connect(path):
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA foreign_keys = ON")
    return database


def migrate(database, last=None):
    """Runs what is new, up to the number `last` if one is given; returns the names of the files."""
    done = []
    (version,) = database.execute("PRAGMA user_version").fetchone()
    for path in sorted(MIGRATIONS.glob("*.sql")):
        number = int(path.name.split("_")[0])
        if number <= version or (last is not None and number > last):
            continue
        database.executescript(f"BEGIN;\n{path.read_text()}\nPRAGMA user_version = {number};\nCOMMIT;")
        done.append(path.name)
    return done


if __name__ == "__main__":
    for name in migrate(connect(sys.argv[1])):
        print(name)
