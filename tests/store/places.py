"""What tests of the store look at from outside."""

import contextlib
import hashlib
import sqlite3
from pathlib import Path
from typing import Any


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query over a connection of its own."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql).fetchall()


def locks_on(path: Path) -> list[str]:
    """The locks of SQLite on a file, as the kernel lists them."""
    inode = f":{path.stat().st_ino}"
    found = (line.split() for line in Path("/proc/locks").read_text().splitlines())
    return [" ".join(words[3:]) for words in found if words[1] == "POSIX" and inode in words[5]]


def sound(path: Path) -> bool:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        checks = (
            connection.execute(f"PRAGMA {each}_check") for each in ("integrity", "foreign_key")
        )
        return [check.fetchall() for check in checks] == [[("ok",)], []]
