"""The store: what the rest of the control plane knows of the database."""

import secrets
from pathlib import Path

from sqlmodel import select

from control_plane.domain.run import Run, State
from control_plane.domain.spec import RESPONDER_NAME
from control_plane.domain.tool_result import ToldOfFile, ToolFileReader, ToolFileRecognizer
from control_plane.store.audit_log import AuditLog
from control_plane.store.bundle_import import Bundles, ImportedBundle, Readable
from control_plane.store.bundles import is_sqlite
from control_plane.store.database import Database
from control_plane.store.instance_lock import Lock
from control_plane.store.mapping import Draft
from control_plane.store.pins_and_deletions import Deletions, Pins
from control_plane.store.reader import Reader
from control_plane.store.run_query import RunListPage
from control_plane.store.run_search import RunsAlike
from control_plane.store.schema_and_backups import check, prepare
from control_plane.store.share_links import ShareLinks
from control_plane.store.stored_configurations import KnownConfigurations
from control_plane.store.stored_experiments import Experiments
from control_plane.store.stored_tool_results import ToolResults
from control_plane.store.stored_trends import Trends
from control_plane.store.tables import Meta
from control_plane.store.writer import Writer

__all__ = ["Draft", "RunListPage", "Store", "open_store"]


LOOKED_AT = 40
"""How many of the newest runs against the responder are looked at."""


class Store(
    Reader,
    Writer,
    Deletions,
    Bundles,
    ToolResults,
    KnownConfigurations,
    Experiments,
    RunsAlike,
    Pins,
    Trends,
    ShareLinks,
    AuditLog,
):
    """An open database that this process alone changes. Thread-safe.

    `instance` is the random id of this file, by which processes that belong to it are marked;
    digests of secrets are made with `secret_key`.
    `announce` tells other processes, through the lock file, the dashboard's address.
    """

    def __init__(self, path: Path, lock: Lock) -> None:
        super().__init__(Database(path))
        self.path = path
        self._lock, self.announce = lock, lock.announce
        self.instance, self.secret_key = _identity_of(self._database)

    def import_file(
        self, file: Path, told: ToldOfFile, readable: Readable, read: ToolFileReader
    ) -> ImportedBundle:
        """Take over a bundle, or the result of another tool, which any other file is.

        Raises as `import_bundle` and `import_tool_result` do.
        """
        if self._takes_as_bundle(file, told):
            return self.import_bundle(file, readable)
        made = self.import_tool_result(file, told, read)
        return ImportedBundle((), (), int(made.known), made.sha256, (made.id,))

    def refuse_unknown_file(
        self, file: Path, told: ToldOfFile, recognize: ToolFileRecognizer
    ) -> None:
        """Raise InvalidInput for what does not begin as a bundle or as a file of a known tool."""
        if not self._database.lies_at(file):
            refuse_unknown_file(file, told, recognize)

    def _takes_as_bundle(self, file: Path, told: ToldOfFile) -> bool:
        return self._database.lies_at(file) or (told.kind is None and is_sqlite(file))

    def close(self) -> None:
        """Close the database and give up its lock."""
        self._database.close()
        self._lock.release()

    def fault(self) -> str | None:
        """Return why nothing can be written: what happened to the file; None if nothing did."""
        return self._database.fault()

    def responder_runs(
        self, state: State | None = None, strategy: str | None = None
    ) -> tuple[Run, ...]:
        """Return the newest runs against the bare responder, which measure clients."""
        return self.runs(
            limit=LOOKED_AT, configuration=RESPONDER_NAME, state=state, strategy=strategy
        ).runs


def refuse_unknown_file(file: Path, told: ToldOfFile, recognize: ToolFileRecognizer) -> None:
    """Raise InvalidInput for what does not begin as a bundle or as a file of a known tool."""
    if told.kind is not None or not is_sqlite(file):
        with file.open("rb") as opened:
            recognize(opened, told.kind, told.unit)


def _identity_of(database: Database) -> tuple[str, bytes]:
    """Return the random id of a database and its secret key, which are made where it has none."""
    with database.write() as session:
        known = session.exec(select(Meta)).first()
        if known is None:
            known = Meta(instance=secrets.token_hex(8))
        known.secret_key = known.secret_key or secrets.token_hex(32)
        session.add(known)
        return known.instance, bytes.fromhex(known.secret_key)


def open_store(path: Path) -> Store:
    """Open the database, made or brought up to date first where that is needed.

    Raises DatabaseOwned when another control plane has it, and StoreError for a file that is not
    a database of ours, is newer, damaged or cannot be written; the file is then unchanged.
    """
    resolved = path.expanduser().resolve()
    check(resolved)
    lock = Lock(resolved)
    try:
        lock.hold(resolved)
        prepare(resolved)
        lock.hold(resolved)
        return Store(resolved, lock)
    except BaseException:
        lock.release()
        raise
