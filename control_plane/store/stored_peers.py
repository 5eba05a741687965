"""Results of other tools: read from their files, kept, listed and deleted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlmodel import Session, col, select

from control_plane.domain.errors import InvalidInput, NotFound, UnreadableRun
from control_plane.domain.histogram import Histogram
from control_plane.domain.ids import new_id
from control_plane.domain.limits import MAX_BUNDLE_BYTES
from control_plane.domain.peer_result import (
    PeerFile,
    PeerReader,
    PeerReading,
    PeerReport,
    PeerResult,
    PeerStream,
    PeerTimes,
    ToldOfFile,
    report_fault,
)
from control_plane.domain.spec_json import adapter
from control_plane.store.audit_log import record_each
from control_plane.store.bundles import digest_of
from control_plane.store.database import Database
from control_plane.store.mapping import pack_histogram, readable, unpack_histogram
from control_plane.store.tables import PeerResultRow, PeerSamplesRow
from control_plane.store.writer import checked_title

MAX_LISTED_PEERS = 1_000
MAX_KEPT_LETTERS = 6_000_000


@dataclass(frozen=True)
class ImportedPeer:
    """The id of a result that was imported; `known`: the same file was here already."""

    id: str
    sha256: str
    known: bool = False


class PeerResults:
    """Keeps the results of other tools. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def import_peer(self, file: Path, told: ToldOfFile, read: PeerReader) -> ImportedPeer:
        """Keep what the file of another tool tells; once, however often it is handed in.

        Raises InvalidInput for what no known tool writes, or is damaged.
        """
        size_bytes = file.stat().st_size
        if size_bytes > MAX_BUNDLE_BYTES:
            raise InvalidInput(f"{size_bytes:,} bytes are above the limit of {MAX_BUNDLE_BYTES:,}.")
        read_as = " ".join(filter(None, (told.kind, told.unit)))
        with file.open("rb") as opened:
            reading = read(opened, told.kind, told.unit)
        source = PeerFile(told.name, digest_of(file), size_bytes, read_as)
        title = checked_title(told.title or f"{reading.report.tool}, {told.name}"[:200])
        with self._database.write() as session:
            known = session.exec(
                select(PeerResultRow.id).where(
                    PeerResultRow.sha256 == source.sha256, PeerResultRow.read_as == read_as
                )
            ).first()
            if known is not None:
                return ImportedPeer(known, source.sha256, known=True)
            made = _add(session, title, source, reading)
            record_each(session, "imported", [(made, title)], "peer")
            return ImportedPeer(made, source.sha256)

    def peer(self, peer_id: str) -> PeerResult:
        """Return a result with its histograms. Raises NotFound, or UnreadableRun."""
        with self._database.read() as session:
            row = _find(session, peer_id)
            query = select(PeerSamplesRow).where(PeerSamplesRow.result == row.seq)
            with readable(row.id):
                packed = {found.place: found.samples for found in session.exec(query)}
                report = adapter(PeerReport).validate_json(row.report)
                samples = tuple(
                    unpack_histogram(packed[place]) if place in packed else None
                    for place in range(len(report.streams))
                )
            if fault := report_fault(report):
                raise UnreadableRun(
                    f"Result {row.id} cannot be shown: {fault}. Delete it (DELETE /api/peers/"
                    f"{row.id}), then import its file again."
                )
            return _result(row, report, samples)

    def peers(self, most: int = MAX_LISTED_PEERS) -> list[PeerResult]:
        """Return so many of the newest results, without their histograms.

        One that cannot be shown has a stream without numbers, named by what is wrong.
        """
        query = select(PeerResultRow).order_by(col(PeerResultRow.seq).desc())
        with self._database.read() as session:
            rows = session.exec(query.limit(most)).all()
            return [_result(row, _listed_report(row), ()) for row in rows]

    def peer_ids(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are results of other tools."""
        query = select(PeerResultRow.id).where(col(PeerResultRow.id).in_(ids))
        with self._database.read() as session:
            return set(session.exec(query))

    def rename_peer(self, peer_id: str, title: str) -> None:
        """Give a result another title. Raises NotFound, or InvalidInput as for a run."""
        checked = checked_title(title)
        with self._database.write() as session:
            row = _find(session, peer_id)
            row.title = checked
            session.add(row)

    def delete_peer(self, peer_id: str) -> None:
        """Delete a result for good: its file can be imported again. Raises NotFound."""
        with self._database.write() as session:
            row = _find(session, peer_id)
            record_each(session, "deleted", [(row.id, row.title)], "peer")
            session.delete(row)


def _find(session: Session, peer_id: str) -> PeerResultRow:
    row = session.exec(select(PeerResultRow).where(PeerResultRow.id == peer_id)).first()
    if row is None:
        raise NotFound(f"There is no result of another tool {peer_id[:20]!r}.")
    return row


def _listed_report(row: PeerResultRow) -> PeerReport:
    try:
        with readable(row.id):
            report = adapter(PeerReport).validate_json(row.report)
            fault = report_fault(report)
    except UnreadableRun:
        fault = "its report is damaged"
    if not fault:
        return report
    nothing = PeerStream(f"cannot be shown: {fault}", None, None, PeerTimes())
    return PeerReport("an unknown tool", "unknown", (nothing,))


def _add(session: Session, title: str, source: PeerFile, reading: PeerReading) -> str:
    report = adapter(PeerReport).dump_json(reading.report).decode()
    if len(report) > MAX_KEPT_LETTERS:
        limit = f"above the limit of {MAX_KEPT_LETTERS:,}"
        raise InvalidInput(f"What the file tells takes {len(report):,} letters, {limit}.")
    row = PeerResultRow(
        id=new_id(),
        title=title,
        imported_at=datetime.now(UTC),
        file_name=source.name,
        sha256=source.sha256,
        size_bytes=source.size_bytes,
        read_as=source.read_as,
        report=report,
    )
    session.add(row)
    session.flush()
    session.add_all(
        PeerSamplesRow(result=row.seq or 0, place=place, samples=pack_histogram(samples))
        for place, samples in enumerate(reading.samples)
        if samples is not None
    )
    return row.id


def _result(
    row: PeerResultRow, report: PeerReport, samples: tuple[Histogram | None, ...]
) -> PeerResult:
    source = PeerFile(row.file_name, row.sha256, row.size_bytes, row.read_as)
    return PeerResult(row.id, row.title, row.imported_at, source, report, samples)
