"""Results of other tools: read from their files, kept, listed and deleted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from sqlmodel import Session, col, select

from control_plane.domain.errors import Conflict, InvalidInput, NotFound, UnreadableRun
from control_plane.domain.ids import is_id, new_id
from control_plane.domain.limits import MAX_BUNDLE_BYTES, TEXT_LENGTHS
from control_plane.domain.spec_json import adapter
from control_plane.domain.tool_result import (
    ToldOfFile,
    ToolFile,
    ToolFileReader,
    ToolReading,
    ToolReport,
    ToolResult,
    ToolStream,
    ToolTimes,
    report_fault,
)
from control_plane.store.audit_log import record_each
from control_plane.store.bundles import digest_of
from control_plane.store.database import Database, checked_row, read_each
from control_plane.store.mapping import pack_histogram, readable, unpack_histogram
from control_plane.store.run_search import refuse_unstorable
from control_plane.store.tables import ToolResultRow, ToolSamplesRow
from control_plane.store.writer import checked_title

if TYPE_CHECKING:
    from control_plane.domain.histogram import Histogram

MAX_LISTED_TOOL_RESULTS = 1_000
MAX_KEPT_LETTERS = 6_000_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_NAME = 255


@dataclass(frozen=True)
class ImportedToolResult:
    """The id of a result that was imported; `known`: the same file was here already."""

    id: str
    sha256: str
    known: bool = False


class ToolResults:
    """Keeps the results of other tools. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def import_tool_result(
        self, file: Path, told: ToldOfFile, read: ToolFileReader
    ) -> ImportedToolResult:
        """Keep what the file of another tool tells; once, however often it is handed in.

        Raises InvalidInput for what no known tool writes, or is damaged.
        """
        size_bytes = file.stat().st_size
        if size_bytes > MAX_BUNDLE_BYTES:
            raise InvalidInput(f"{size_bytes:,} bytes are above the limit of {MAX_BUNDLE_BYTES:,}.")
        read_as = " ".join(filter(None, (told.kind, told.unit)))
        with file.open("rb") as opened:
            reading = read(opened, told.kind, told.unit)
        source = ToolFile(told.name, digest_of(file), size_bytes, read_as)
        title = checked_title(
            told.title or f"{reading.report.tool}, {told.name}"[: TEXT_LENGTHS.title]
        )
        with self._database.write() as session:
            if (known := _known(session, source.sha256, read_as)) is not None:
                return ImportedToolResult(known, source.sha256, known=True)
            made = _add(session, title, source, reading)
            record_each(session, "imported", [(made, title)], "peer")
            return ImportedToolResult(made, source.sha256)

    def tool_result(self, peer_id: str) -> ToolResult:
        """Return a result with its histograms. Raises NotFound, or UnreadableRun."""
        with self._database.read() as session:
            with readable(peer_id):
                row = checked_row(_find(session, peer_id))
                query = select(ToolSamplesRow).where(ToolSamplesRow.result == row.seq)
                packed = {found.place: found.samples for found in session.exec(query)}
                report = adapter(ToolReport).validate_json(row.report)
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

    def tool_results(self, most: int = MAX_LISTED_TOOL_RESULTS) -> list[ToolResult]:
        """Return so many of the newest results, without their histograms.

        One that cannot be shown has a stream without numbers, named by what is wrong.
        """
        query = select(ToolResultRow).order_by(col(ToolResultRow.seq).desc())
        with self._database.read() as session:
            return read_each(session, query.limit(most), "result of another tool", _listed)

    def search_tool_results(self, text: str, most: int) -> list[tuple[str, str]]:
        """Return id and title of the newest results with all words in title, file or id.

        Capital letters count as small ones, also where SQLite's LIKE tells them apart.
        """
        columns = (ToolResultRow.id, ToolResultRow.title, ToolResultRow.file_name)
        query, words = select(*columns).order_by(col(ToolResultRow.seq).desc()), text.split()
        with self._database.read() as session:
            found = (
                (peer_id, title)
                for peer_id, title, file_name in session.exec(query)
                if _has_words(words, (title, file_name, peer_id))
            )
            return [*islice(found, most)]

    def tool_result_ids(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are results of other tools."""
        query = select(ToolResultRow.id).where(col(ToolResultRow.id).in_(ids))
        with self._database.read() as session:
            return set(session.exec(query))

    def rename_tool_result(self, peer_id: str, title: str) -> None:
        """Give a result another title. Raises NotFound, or InvalidInput as for a run."""
        checked = checked_title(title)
        with self._database.write() as session:
            row = _find(session, peer_id)
            row.title = checked
            session.add(row)

    def delete_tool_result(self, peer_id: str) -> None:
        """Delete a result for good: its file can be imported again. Raises NotFound."""
        with self._database.write() as session:
            row = _find(session, peer_id)
            record_each(session, "deleted", [(row.id, row.title)], "peer")
            session.delete(row)


def checked_tool_results(session: Session) -> int:
    """Return how many results a bundle holds.

    Raises for the first that no reader of ours could have made, whatever it is.
    """
    rows = session.exec(select(ToolResultRow).order_by(col(ToolResultRow.seq))).all()
    for row in rows:
        _refuse_odd_row(row)
        report = adapter(ToolReport).validate_json(row.report)
        samples = select(ToolSamplesRow).where(ToolSamplesRow.result == row.seq)
        sound = all(
            0 <= found.place < len(report.streams) and unpack_histogram(found.samples).is_sound
            for found in session.exec(samples)
        )
        if report_fault(report) or not sound:
            raise ValueError("What a result tells is not as Looplab reads it.")
    return len(rows)


def _refuse_odd_row(row: ToolResultRow) -> None:
    """Raise for a row that is not as `_add` writes it: SQLite takes any type."""
    short = (row.title, row.file_name, row.read_as)
    texts = (*short, row.id, row.sha256, row.report)
    if not all(isinstance(text, str) for text in texts) or not isinstance(row.size_bytes, int):
        raise TypeError("a value of another type in a result")
    for text in short:
        refuse_unstorable("text", text)
    checked_title(row.title)
    bounded = max(map(len, short)) <= _LONGEST_NAME and len(row.report) <= MAX_KEPT_LETTERS
    known = is_id(row.id) and _SHA256.fullmatch(row.sha256) is not None and row.size_bytes >= 0
    if not (bounded and known):
        raise ValueError("A result is not as Looplab writes it.")


def take_over_tool_results(bundle: Session, ours: Session) -> tuple[tuple[str, ...], int]:
    """Take over the results of a bundle; return the ids that are new, and how many were here.

    The same file read in the same way is here already, under whatever id. Raises Conflict for an
    id that has another content here.
    """
    new: list[tuple[str, str]] = []
    rows = bundle.exec(select(ToolResultRow).order_by(col(ToolResultRow.seq))).all()
    for row in rows:
        read = (row.sha256, row.read_as, row.report)
        found = ours.exec(select(ToolResultRow).where(ToolResultRow.id == row.id)).first()
        if found is not None and (found.sha256, found.read_as, found.report) != read:
            raise Conflict(
                f"Result {row.id} is here already with another content, so nothing was imported."
            )
        if found is None and _known(ours, row.sha256, row.read_as) is None:
            samples = select(ToolSamplesRow).where(ToolSamplesRow.result == row.seq)
            _copy_over(ours, row, bundle.exec(samples).all())
            new.append((row.id, row.title))
    record_each(ours, "imported", new, "peer")
    return tuple(result_id for result_id, _ in new), len(rows) - len(new)


def _copy_over(ours: Session, row: ToolResultRow, samples: Sequence[ToolSamplesRow]) -> None:
    changed = {"seq": None, "imported_at": datetime.now(UTC)}
    copy = ToolResultRow(**{**row.model_dump(), **changed})
    ours.add(copy)
    ours.flush()
    ours.add_all(
        ToolSamplesRow(result=copy.seq or 0, place=found.place, samples=found.samples)
        for found in samples
    )


def _known(session: Session, sha256: str, read_as: str) -> str | None:
    """Return the id of the result that was read from this file in this way."""
    same = (ToolResultRow.sha256 == sha256, ToolResultRow.read_as == read_as)
    return session.exec(select(ToolResultRow.id).where(*same)).first()


def _find(session: Session, peer_id: str) -> ToolResultRow:
    row = session.exec(select(ToolResultRow).where(ToolResultRow.id == peer_id)).first()
    if row is None:
        raise NotFound(f"There is no result of another tool {peer_id[:20]!r}.")
    return row


def _listed_report(row: ToolResultRow) -> ToolReport:
    try:
        with readable(row.id):
            report = adapter(ToolReport).validate_json(row.report)
            fault = report_fault(report)
    except UnreadableRun:
        fault = "its report is damaged"
    if not fault:
        return report
    nothing = ToolStream(f"cannot be shown: {fault}", None, None, ToolTimes())
    return ToolReport("an unknown tool", "unknown", (nothing,))


def _add(session: Session, title: str, source: ToolFile, reading: ToolReading) -> str:
    report = adapter(ToolReport).dump_json(reading.report).decode()
    if len(report) > MAX_KEPT_LETTERS:
        limit = f"above the limit of {MAX_KEPT_LETTERS:,}"
        raise InvalidInput(f"What the file tells takes {len(report):,} letters, {limit}.")
    row = ToolResultRow(
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
        ToolSamplesRow(result=row.seq or 0, place=place, samples=pack_histogram(samples))
        for place, samples in enumerate(reading.samples)
        if samples is not None
    )
    return row.id


def _listed(row: ToolResultRow) -> ToolResult:
    return _result(row, _listed_report(row), ())


def _result(
    row: ToolResultRow, report: ToolReport, samples: "tuple[Histogram | None, ...]"
) -> ToolResult:
    source = ToolFile(row.file_name, row.sha256, row.size_bytes, row.read_as)
    return ToolResult(row.id, row.title, row.imported_at, source, report, samples)


def _has_words(words: Sequence[str], texts: Sequence[str]) -> bool:
    """Return whether each word stands in one of the texts."""
    folded = [text.casefold() for text in texts]
    return all(any(word.casefold() in text for text in folded) for word in words)
