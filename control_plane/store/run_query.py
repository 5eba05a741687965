"""Pages of the history: its filters as SQL, and the runs of a page."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypedDict, cast

import sqlalchemy
from sqlalchemy import (
    ColumnElement,
    Integer,
    String,
    column,
    exists,
    func,
    literal_column,
    or_,
    table,
)
from sqlalchemy.sql.expression import UnaryExpression
from sqlalchemy.sql.operators import custom_op
from sqlmodel import Session, col, select

from control_plane.domain.errors import FieldError, InvalidInput, UnreadableRun
from control_plane.domain.run import Run, State
from control_plane.store.mapping import readable, run_of
from control_plane.store.tables import DELETED, RunFacts, RunRow, RunStream, RunTag

MAX_PAGE = 200
_CURSOR = re.compile(r"[0-9a-f]{1,15}")
_TRIGRAM = 3
_TEXT = table("run_text", column("rowid", Integer), column("text", String))

INDEX_TEXTS = """
INSERT INTO run_text (rowid, text)
SELECT seq, id || char(10) || title || char(10) || note || char(10) || configuration
    || char(10) || coalesce(given_name, '') || char(10) || coalesce(application, '')
    || char(10) || CASE WHEN json_valid(tags) THEN coalesce(
        (SELECT group_concat(value, char(10)) FROM json_each(tags)), '') ELSE '' END
    || char(10) || CASE WHEN json_valid(spec) THEN coalesce(
        (SELECT group_concat(DISTINCT json_extract(request.value, '$.path'))
        FROM json_each(spec, '$.workload.streams') AS stream,
            json_each(stream.value, '$.requests') AS request), '') ELSE '' END
    || char(10) || CASE WHEN json_valid(environment) THEN coalesce(
        json_extract(environment, '$.application_commit_subject'), '') ELSE '' END
FROM run JOIN run_facts ON run = seq WHERE state != 'deleted'
"""
"""Lets the search find all runs; `AND seq = …` after it names those that are meant.

What is searched: id, title, note, configuration, application, tags, paths, subject of the commit.
Damaged JSON gives nothing.
"""

Condition = ColumnElement[bool]


@dataclass(frozen=True)
class RunQuery:
    """The runs that match some filters.

    One table is gone through in the order of `seq`, its column; of another one it is asked whether
    it has each run. A join would let SQLite go through all runs and search the text for each.
    """

    seq: ColumnElement[int]
    conditions: tuple[Condition, ...]


class Filters(TypedDict, total=False):
    """What runs are filtered by; None and empty text match all. `validity` and
    `objectives` are outcomes.

    `configuration` is the name of the parts; `called` may also be a name that somebody gave them.
    `text` holds words that must all occur in what is searched. `since` and `until` are the first
    and the last day in UTC on which runs were handed in.
    """

    state: State | None
    tag: str | None
    strategy: str | None
    text: str | None
    configuration: str | None
    called: str | None
    validity: str | None
    objectives: str | None
    application: str | None
    machine: str | None
    since: date | None
    until: date | None


def run_query(filters: Filters) -> RunQuery:
    """Return the query of the runs that match all filters.

    Raises InvalidInput for text that cannot be stored, so that no run can have it.
    """
    for field, value in filters.items():
        refuse_unstorable(field, str(value or ""))
    conditions = _of_run(filters)
    words, tag = (filters.get("text") or "").split(), filters.get("tag")
    if not words and not tag:
        if not filters.get("state"):
            conditions.append(_scanned(RunRow.state) != DELETED)
        return RunQuery(cast("ColumnElement[int]", col(RunRow.seq)), tuple(conditions))
    seq = _TEXT.c.rowid if words else cast("ColumnElement[int]", col(RunTag.run))
    others = [exists().where(col(RunRow.seq) == seq, *conditions)] if conditions else []
    if words and tag:
        others.append(exists().where(col(RunTag.run) == seq, col(RunTag.tag) == tag))
    first = _contains(words) if words else [col(RunTag.tag) == tag]
    return RunQuery(seq, (*first, *others))


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


def _of_run(filters: Filters) -> list[Condition]:
    wanted: dict[Any, str | None] = {
        RunRow.state: filters.get("state"),
        RunRow.strategy: filters.get("strategy"),
        RunRow.configuration: filters.get("configuration"),
        RunRow.outcome: filters.get("validity"),
        RunRow.objectives: filters.get("objectives"),
        RunRow.application: filters.get("application"),
        RunRow.machine: filters.get("machine"),
    }
    conditions = [_scanned(column) == value for column, value in wanted.items() if value]
    if name := filters.get("called"):
        either = or_(_scanned(RunRow.configuration) == name, _scanned(RunRow.given_name) == name)
        conditions.append(either)
    created_at = _scanned(RunRow.created_at)
    if since := filters.get("since"):
        conditions.append(created_at >= datetime.combine(since, time(), UTC))
    if (until := filters.get("until")) and until < date.max:
        conditions.append(created_at < datetime.combine(until + timedelta(days=1), time(), UTC))
    return conditions


def _scanned(of_run: Any) -> ColumnElement[Any]:
    """Return the column with a plus, so that SQLite takes no index of it alone.

    All filters together are then read from the one index that has the order of the history.
    """
    column: Any = col(of_run)
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


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


def values_of(session: Session, named: Any) -> list[str]:
    """Return the values of an indexed column but None and "", in order.

    Each is looked for behind the one before: DISTINCT would go through all rows.
    """
    column, found = col(named), [""]
    while (value := session.scalar(_next(column, found[-1]))) is not None:
        found.append(value)
    return found[1:]


def values_of_runs(session: Session, named: Any) -> list[str]:
    """Return those of the values of a column of runs that a run has which is not deleted."""
    column, listed = col(named), col(RunRow.state) != DELETED
    return [
        value
        for value in values_of(session, named)
        if session.scalar(sqlalchemy.select(exists().where(column == value, listed)))
    ]


def _next(column: Any, value: str) -> Any:
    return sqlalchemy.select(func.min(column)).where(column > value)


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
