"""Pages of the history: its filters as SQL, and the runs of a page."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal, TypedDict, cast

import sqlalchemy
from sqlalchemy import ColumnElement, Connection, Select, exists, literal, or_, tuple_
from sqlalchemy.sql.expression import UnaryExpression
from sqlalchemy.sql.operators import custom_op
from sqlmodel import Session, col, select

from control_plane.domain.errors import FieldError, InvalidInput, UnreadableRun
from control_plane.domain.run import Run, State
from control_plane.store.database import rows_among
from control_plane.store.mapping import readable, run_of
from control_plane.store.run_search import (
    READ_AT_ONCE,
    SEARCHED,
    among,
    having_words,
    refuse_unstorable,
    text_conditions,
)
from control_plane.store.tables import (
    DELETED,
    ExperimentArmRow,
    RunFacts,
    RunRow,
    RunStream,
    RunTag,
)

MAX_PAGE = 200
MOST_COUNTED = 1_000
"""Where more runs match, nobody waits until all are counted."""
MANY = 2_000
"""So many runs at most are looked at in one go."""
COMMON = 0.25
"""Words that this share of runs has are soon found by reading texts, however rare the runs are."""
LOOKED_UP = 3.5
"""So many runs that have words are asked for conditions in the time in which one text is read."""
_CURSOR = re.compile(r"[0-9a-f]{1,15}")

Condition = ColumnElement[bool]
_run_seq = cast("ColumnElement[int]", col(RunRow.seq))

RunSort = Literal["created", "throughput", "p50", "p95", "p99", "errors"]
SortOrder = Literal["desc", "asc"]

_NUMBERS: dict[RunSort, Any] = {
    "throughput": RunRow.first_rate_per_s,
    "p50": RunRow.first_p50_s,
    "p95": RunRow.first_p95_s,
    "p99": RunRow.first_p99_s,
    "errors": RunRow.first_error_share,
}


@dataclass(frozen=True)
class RunOrder:
    """The order of a list: by when runs were handed in, or by a number of their first stream.

    Those that have no such number stand behind, the newest first.
    """

    sort: RunSort = "created"
    order: SortOrder = "desc"

    @property
    def ascending(self) -> bool:
        """Whether the least, or the oldest, stands first."""
        return self.order == "asc"


@dataclass(frozen=True)
class RunListPage:
    """One page of the history: runs without trials, newest first or in the order asked for.

    `total` counts all that match; where `more`, there are more than that. `unreadable` are the ids
    of its runs of which something cannot be read.
    """

    runs: tuple[Run, ...]
    next_cursor: str | None
    total: int
    unreadable: tuple[str, ...] = ()
    more: bool = False


@dataclass(frozen=True)
class _Members:
    """The runs in the rows of another table that meet a condition; `seq` is the run of a row."""

    seq: ColumnElement[int]
    condition: Condition

    def has(self, seq: ColumnElement[int]) -> Condition:
        """Return whether the run with that `seq` is among them."""
        return exists().where(self.seq == seq, self.condition)


@dataclass(frozen=True)
class RunQuery:
    """The runs whose rows meet `conditions`, that are `members` of other tables, and have `words`.

    One table is gone through in the order of its `seq`; another is asked whether it has a run.
    """

    words: tuple[str, ...]
    conditions: tuple[Condition, ...]
    members: tuple[_Members, ...]

    @property
    def of_members(self) -> tuple[Condition, ...]:
        """What is asked of other tables, for who goes through runs in another order."""
        return tuple(listed.has(_run_seq) for listed in self.members)

    @property
    def whatever_words(self) -> Select[Any]:
        """The query of the `seq` of each run, whatever its words."""
        if not self.members:
            return sqlalchemy.select(_run_seq).where(*self.conditions)
        first, *others = self.members
        also = (each.has(first.seq) for each in others)
        return sqlalchemy.select(first.seq).where(first.condition, *self._met(first.seq), *also)

    @property
    def by_words(self) -> Select[Any]:
        """The query of the `seq` of each run, which goes through those that have the words."""
        row = SEARCHED.c.rowid
        listed = (each.has(row) for each in self.members)
        found = text_conditions(self.words)
        return sqlalchemy.select(row).where(*found, *self._met(row), *listed)

    def _met(self, seq: ColumnElement[int]) -> list[Condition]:
        return [exists().where(_run_seq == seq, *self.conditions)] if self.conditions else []


class Filters(TypedDict, total=False):
    """What runs are filtered by; None and empty text match all. `validity` and
    `objectives` are outcomes; `verdict` is that on an arm of an experiment.

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
    verdict: str | None
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
    words, members = (filters.get("text") or "").split(), tuple(_members(filters))
    conditions = _of_run(filters)
    # Deleted runs have neither text nor tags.
    stand_there = filters.get("verdict") or not (words or members)
    if stand_there and not filters.get("state"):
        conditions.append(_scanned(RunRow.state) != DELETED)
    return RunQuery(tuple(words), tuple(conditions), members)


def _members(filters: Filters) -> Iterator[_Members]:
    """Yield what other tables know of runs, first that of which there is less."""
    if verdict := filters.get("verdict"):
        seq = cast("ColumnElement[int]", col(ExperimentArmRow.run))
        yield _Members(seq, col(ExperimentArmRow.verdict) == verdict)
    if tag := filters.get("tag"):
        yield _Members(cast("ColumnElement[int]", col(RunTag.run)), col(RunTag.tag) == tag)


def page_conditions(seq: ColumnElement[int], limit: int, cursor: str | None) -> list[Condition]:
    """Return the condition that a page, newest first, begins after `cursor`.

    Raises InvalidInput for a limit outside of 1 to 200 or a cursor that was not given out.
    """
    last = _read_cursor(limit, cursor)
    return [] if last is None else [seq < last]


def _read_cursor(limit: int, cursor: str | None) -> int | None:
    if not 1 <= limit <= MAX_PAGE:
        raise _wrong("limit", f"{limit:,} is outside of 1 to {MAX_PAGE}.")
    if not cursor:
        return None
    if not _CURSOR.fullmatch(cursor):
        raise _wrong("cursor", _NO_CURSOR)
    return int(cursor, 16)


_NO_CURSOR = "This is not a cursor of the list: leave it out."


def cursor_after(seq: int) -> str:
    """Return the cursor of the page that begins after the run with this `seq`."""
    return f"{seq:x}"


def seqs_of_page(
    connection: Connection, query: RunQuery, order: RunOrder, limit: int, cursor: str | None
) -> tuple[list[int], int]:
    """Return the runs of a page with the first of the next, and how many match in all.

    None is counted beyond `MOST_COUNTED` and one more. Raises InvalidInput as `page_conditions`.
    """
    last, wanted = _read_cursor(limit, cursor), limit + 1
    most = max(MOST_COUNTED + 1, wanted)
    counted = _first(connection, query, most, None, ascending=order.ascending)
    total = min(len(counted), MOST_COUNTED + 1)
    if order.sort != "created":
        return _by_number(connection, query, order, (counted, last, wanted)), total
    if last is None:
        return counted[:wanted], total
    return _first(connection, query, wanted, last, ascending=order.ascending), total


def _first(
    connection: Connection, query: RunQuery, most: int, last: int | None, *, ascending: bool
) -> list[int]:
    """Return the first runs that match, behind the run `last`, in the order of `seq`.

    With words and conditions the texts of those that meet the conditions are read, as long as that
    is quicker than to go through all that have the words.
    """

    def found(every: Select[Any], limit: int, last: int | None) -> list[int]:
        (seq,) = every.selected_columns
        if last is not None:
            every = every.where(seq > last if ascending else seq < last)
        in_order = every.order_by(seq.asc() if ascending else seq.desc())
        return [*connection.scalars(in_order.limit(limit)).all()]

    if not query.words:
        return found(query.whatever_words, most, last)
    matching, is_quicker, some = list[int](), bool(query.conditions or query.members), READ_AT_ONCE
    while is_quicker and len(matching) < most:
        seqs = found(query.whatever_words, some, last)
        having = having_words(connection, seqs, query.words, most - len(matching))
        matching += having
        if len(seqs) < some:
            return matching
        last, among_all = seqs[-1], some / (1 + abs(seqs[0] - seqs[-1]))
        is_quicker = len(having) > some * min(COMMON, LOOKED_UP * among_all)
        left = (most - len(matching)) * some // max(1, len(having))
        some = max(READ_AT_ONCE, min(MANY, left + left // 10))
    return matching + found(query.by_words, most - len(matching), last)


def _by_number(
    connection: Connection,
    query: RunQuery,
    order: RunOrder,
    of_page: tuple[list[int], int | None, int],
) -> list[int]:
    """Return the runs of a page: those with the number in its order, then those without.

    `of_page`: what was counted of those that match, the last run of the page before, how many are
    wanted. Few are sorted.
    """
    counted, last, wanted = of_page
    few = len(counted) <= MOST_COUNTED
    number = _scanned(_NUMBERS[order.sort]) if few else col(_NUMBERS[order.sort])
    known = sqlalchemy.select(_run_seq).where(number.is_not(None))
    unknown = sqlalchemy.select(_run_seq).where(number.is_(None))
    value = _number_of(connection, order.sort, last)
    if last is not None and value is not None:
        pair, bound = tuple_(number, _run_seq), tuple_(literal(value), literal(last))
        known = known.where(pair > bound if order.ascending else pair < bound)
    elif last is not None:
        known, unknown = known.where(sqlalchemy.false()), unknown.where(_run_seq < last)
    keys = (number.asc(), _run_seq.asc()) if order.ascending else (number.desc(), _run_seq.desc())
    known, unknown = known.order_by(*keys), unknown.order_by(_run_seq.desc())
    seqs: list[int] = []
    for part in (known, unknown):
        left, sorted_few = wanted - len(seqs), part.where(among(_run_seq, counted))
        if left and few:
            seqs += connection.scalars(sorted_few.limit(left))
        elif left:
            seqs += _first_of(connection, query, part, left)
    return seqs


def _first_of(connection: Connection, query: RunQuery, part: Select[Any], wanted: int) -> list[int]:
    """Return the first runs of an order that match, where many do.

    Where too few of the first ones match, sets of all members and of all with the words are made.
    """
    part = part.where(*query.conditions)
    sets = (sqlalchemy.select(each.seq).where(each.condition) for each in query.members)
    # With a plus, so that the order stays the one that is gone through.
    seq = _scanned(RunRow.seq)
    of_sets = part.where(*(seq.in_(members) for members in sets))
    passes = ((part, query.of_members), (of_sets, ()))
    for runs, asked in passes if query.members else passes[:1]:
        limit = MANY if query.words or asked else wanted
        seqs = connection.scalars(runs.limit(limit)).all()
        matching = having_words(connection, seqs, query.words, wanted, *asked)
        if len(matching) == wanted or len(seqs) < limit:
            return matching
    texts = sqlalchemy.select(SEARCHED.c.rowid).where(*text_conditions(query.words))
    return [*connection.scalars(of_sets.where(seq.in_(texts)).limit(wanted))]


def _number_of(connection: Connection, sort: RunSort, seq: int | None) -> Any:
    """Return the number of a run; None where it has none. Raises InvalidInput where it is gone."""
    if seq is None:
        return None
    number = sqlalchemy.select(col(_NUMBERS[sort])).where(_run_seq == seq)
    if (row := connection.execute(number).first()) is None:
        raise _wrong("cursor", _NO_CURSOR)
    return row[0]


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


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(f"{field}: {message}", (FieldError(field, message),))


def runs_of_page(session: Session, seqs: Sequence[int]) -> tuple[list[Run], list[str]]:
    """Return the runs of a page, and the ids of those that are there and cannot be read."""
    with suppress(UnreadableRun), readable("of a page"):
        page = runs_in_order(session, seqs) if seqs else ()
        if len(page) == len(seqs):
            return list(page), []
    runs, spoiled = list[Run](), list[str]()
    for seq in seqs:
        run_id = str(session.exec(select(RunRow.id).where(RunRow.seq == seq)).first() or "")
        try:
            with readable(run_id):
                (run,) = runs_in_order(session, [seq])
                runs.append(run)
        except UnreadableRun:
            spoiled.append(run_id)
    return runs, [*filter(None, spoiled)]


def runs_in_order(session: Session, seqs: Sequence[int]) -> tuple[Run, ...]:
    """Return runs without trials in the order given, in three queries however many they are."""
    connection, summaries = session.connection(), defaultdict[int, list[str]](list)
    asked = {"values": str(list(seqs))}
    streams = rows_among(RunStream.run, RunStream.run, RunStream.summary, order=(RunStream.place,))
    for seq, told in connection.execute(streams, asked).all():
        summaries[seq].append(told)
    # A connection gives rows and no objects, which take longer to make than to fill.
    facts: Any = connection.execute(rows_among(RunFacts.run, RunFacts), asked)
    rows: Any = connection.execute(rows_among(RunRow.seq, RunRow), asked)
    row_of = {row.seq: row for row in rows}
    found = {part.run: run_of(row_of[part.run], part, summaries[part.run]) for part in facts.all()}
    return tuple(found[seq] for seq in seqs if seq in found)
