"""What tests of the store look at from outside, and processes that are killed in it."""

import contextlib
import hashlib
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event


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


def killed_at(statement: int, work: Callable[[], None], arm: Callable[[], None]) -> bool:
    """Run `work` in a forked process that kills itself right before its nth statement.

    `arm` comes first and is not counted. A COMMIT counts as a statement. False: `work` had fewer;
    it is killed after its end.
    """
    child = os.fork()
    if not child:
        _in_child(statement, work, arm)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the process ended by itself: {status}"
    return os.WTERMSIG(status) == signal.SIGKILL


def _in_child(statement: int, work: Callable[[], None], arm: Callable[[], None]) -> None:
    try:
        arm()
        left = statement

        def count(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "before_cursor_execute", count)
        event.listen(Engine, "commit", count)
        work()
        os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        os._exit(3)
