"""Pages of the history: its filters as SQL, and the runs of a page."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from sqlalchemy import ColumnElement, Integer, String, column, literal_column, or_, table
from sqlmodel import Session, col, select

from control_plane.domain.errors import FieldError, InvalidInput, UnreadableRun
from control_plane.domain.run import Run, State
from control_plane.store.mapping import readable, run_of
from control_plane.store.tables import DELETED, RunFacts, RunRow, RunStream, RunTag

MAX_PAGE = 200
_CURSOR = re.compile(r"[0-9a-f]{1,15}")
_TRIGRAM = 3
_TEXT = table("run_text", column("rowid", Integer), column("text", String))

Condition = ColumnElement[bool]


@dataclass(frozen=True)
class RunQuery:
    """The runs that match some filters.

    `seq` is the column of the narrowest table that tells them: its own index then gives order and
    count for free. `conditions` join the other tables to it.
    """

    seq: ColumnElement[int]
    conditions: tuple[Condition, ...]


class Filters(TypedDict, total=False):
    """What runs are filtered by; None and empty text match all. `validity` and
    `objectives` are outcomes.

    `configuration` is the name of the parts; `called` may also be a name that somebody gave them.
    `text` holds words that must all occur in title, tags, note or id.
    """

    state: State | None
    tag: str | None
    strategy: str | None
    text: str | None
    configuration: str | None
    called: str | None
    validity: str | None
    objectives: str | None


def run_query(filters: Filters) -> RunQuery:
    """Return the query of the runs that match all filters.

    Raises InvalidInput for text that cannot be stored, so that no run can have it.
    """
    for field, value in filters.items():
        refuse_unstorable(field, str(value or ""))
    conditions = _equal(filters)
    of_run = bool(conditions)
    seqs: list[ColumnElement[int]] = []
    if words := (filters.get("text") or "").split():
        seqs.append(_TEXT.c.rowid)
        conditions += _contains(words)
    if tag := filters.get("tag"):
        seqs.append(cast("ColumnElement[int]", col(RunTag.run)))
        conditions.append(col(RunTag.tag) == tag)
    if not seqs and not filters.get("state"):
        conditions.append(col(RunRow.state) != DELETED)
    if of_run or not seqs:
        seqs.append(cast("ColumnElement[int]", col(RunRow.seq)))
    first, *others = seqs
    return RunQuery(first, (*conditions, *(first == other for other in others)))


def page_conditions(seq: ColumnElement[int], limit: int, cursor: str | None) -> list[Condition]:
    """Return the condition that a page begins after `cursor`.

    Raises InvalidInput for a limit outside of 1 to 200 or a cursor that was not given out.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise _wrong("limit", f"{limit:,} is outside of 1 to {MAX_PAGE}.")
    if not cursor:
        return []
    if not _CURSOR.fullmatch(cursor):
        raise _wrong("cursor", "This is not a cursor of the list: leave it out.")
    return [seq < int(cursor, 16)]


def cursor_after(seq: int) -> str:
    """Return the cursor of the page that begins after the run with this `seq`."""
    return f"{seq:x}"


def refuse_unstorable(field: str, value: str) -> None:
    """Raise InvalidInput for NUL and lone surrogates, which SQLite cannot take."""
    if any(char == "\x00" or unicodedata.category(char) == "Cs" for char in value):
        raise _wrong(field, "Control characters cannot be used here.")


def _equal(filters: Filters) -> list[Condition]:
    wanted: dict[Any, str | None] = {
        col(RunRow.state): filters.get("state"),
        col(RunRow.strategy): filters.get("strategy"),
        col(RunRow.configuration): filters.get("configuration"),
        col(RunRow.outcome): filters.get("validity"),
        col(RunRow.objectives): filters.get("objectives"),
    }
    conditions = [column == value for column, value in wanted.items() if value]
    if name := filters.get("called"):
        either = or_(col(RunRow.configuration) == name, col(RunRow.given_name) == name)
        conditions.append(either)
    return conditions


def _contains(words: list[str]) -> Iterator[Condition]:
    """The index knows three characters and more; shorter words are looked for in every text."""
    indexed = [word for word in words if len(word) >= _TRIGRAM]
    if indexed:
        phrases = " ".join('"' + word.replace('"', '""') + '"' for word in indexed)
        yield literal_column("run_text").op("MATCH", is_comparison=True)(phrases)
    for word in words:
        if len(word) < _TRIGRAM:
            yield _TEXT.c.text.contains(word, autoescape=True)


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field}: {message}", (FieldError(field, message),))


def runs_of_page(session: Session, seqs: Sequence[int]) -> tuple[list[Run], list[str]]:
    """Return the runs of a page, and the ids of those that cannot be read."""
    with suppress(UnreadableRun), readable("of a page"):
        page = _listed(session, seqs)
        if len(page) == len(seqs):
            return list(page), []
    runs: list[Run] = []
    spoiled: list[str] = []
    for seq in seqs:
        run_id = session.exec(select(RunRow.id).where(RunRow.seq == seq)).one()
        try:
            with readable(run_id):
                (run,) = _listed(session, [seq])
                runs.append(run)
        except UnreadableRun:
            spoiled.append(run_id)
    return runs, spoiled


def _listed(session: Session, seqs: Sequence[int]) -> tuple[Run, ...]:
    """Return the runs of a page, newest first, in two queries however many they are."""
    summaries: dict[int | None, list[str]] = defaultdict(list)
    streams = select(RunStream.run, RunStream.summary).where(col(RunStream.run).in_(seqs))
    for seq, summary in session.exec(streams.order_by(col(RunStream.run), col(RunStream.place))):
        summaries[seq].append(summary)
    together = select(RunRow, RunFacts).join(RunFacts, col(RunFacts.run) == col(RunRow.seq))
    rows = together.where(col(RunRow.seq).in_(seqs)).order_by(col(RunRow.seq).desc())
    return tuple(run_of(row, facts, summaries[row.seq]) for row, facts in session.exec(rows))
