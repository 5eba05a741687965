"""Work on a database that is killed right before some statement of it.

In a process that is forked from one which has imported the product and done nothing else: one that
is forked from the tests has all of their memory to copy, and what a kill leaves is the same.
"""

import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy import Engine, event

from control_plane.domain.request import SequenceValue
from control_plane.domain.sequence_numbers import ReservedNumbers
from control_plane.domain.spec import Stream
from control_plane.store import migrations, schema_and_backups
from control_plane.store.migrations import UPGRADES
from control_plane.store.schema_and_backups import HEAD
from control_plane.store.store import Store, open_store
from tests.forked import FORKED

Work = Callable[[], object]
AFTER = f"{int(HEAD) + 1:04}"
"""The revision of `newer_upgrades`."""


def killed_at(statement: int, make: Callable[[], Work]) -> bool:
    """Run what `make` returns in a process that kills itself right before its nth statement.

    `make` can be pickled; its own statements are not counted. A COMMIT counts as a statement.
    False: the work had fewer; it is killed after its end.
    """
    process = FORKED.Process(target=_work, args=(statement, make))
    process.start()
    process.join()
    assert process.exitcode in {-signal.SIGKILL, -signal.SIGUSR1}, "the process ended by itself"
    return process.exitcode == -signal.SIGKILL


def _work(statement: int, make: Callable[[], Work]) -> None:
    work, left = make(), statement

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", count)
    event.listen(Engine, "commit", count)
    work()
    os.kill(os.getpid(), signal.SIGUSR1)


def opened(path: Path, work: Callable[..., object], *arguments: object) -> Work:
    """Open the store; what is returned calls `work` with it."""
    return partial(work, open_store(path), *arguments)


def newer_upgrades(fault: str) -> dict[str, Callable[[Operations], None]]:
    """Return all upgrades, and one more that gives runs a colour and ends with a statement."""

    def upgrade(op: Operations) -> None:
        with op.batch_alter_table("run", recreate="always") as run:
            run.add_column(sa.Column("colour", sa.String(), server_default="red"))
        op.execute("UPDATE run SET title = title || '!'")
        op.execute(fault)

    return {**UPGRADES, AFTER: upgrade}


def migration(path: Path) -> Work:
    """Return the migration to the newer revision, which this process knows from now on."""
    migrations.UPGRADES, schema_and_backups.HEAD = newer_upgrades("SELECT 1"), AFTER
    return partial(schema_and_backups.migrate, path)


def first_start(path: Path) -> Work:
    return partial(schema_and_backups.prepare, path)


def use_numbers(store: Store, streams: Sequence[Stream], told: Path) -> None:
    """Reserve ten numbers, tell the first of them, and give back all but three."""
    numbers = store.reserve_numbers("shop", streams, 10)
    with told.open("a") as file:
        file.write(f"{first_of(numbers)}\n")
    store.release_numbers(numbers, 3)


def first_of(numbers: ReservedNumbers) -> int:
    value = numbers.streams[0].requests[0].values["n"]
    assert isinstance(value, SequenceValue)
    return value.start
