"""The search of the history: an index of texts about runs, values of columns, and runs alike."""

import json
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import orjson
import sqlalchemy
from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    bindparam,
    column,
    delete,
    exists,
    func,
    literal_column,
    or_,
    table,
    text,
)
from sqlmodel import Session, col, select

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.experiment import Experiment
from control_plane.domain.result import Trial
from control_plane.domain.run import RunOfSpec, State
from control_plane.domain.spec import Spec
from control_plane.domain.spec_json import spec_digest, stored_spec
from control_plane.store.database import Database, json_values, refuse_lost_trials
from control_plane.store.mapping import (
    readable,
    stored_environment,
    stored_trial,
    unpack_histogram,
)
from control_plane.store.tables import (
    DELETED,
    ExperimentArmRow,
    ExperimentRow,
    RunFacts,
    RunRow,
    RunTag,
    TrialRow,
    TrialStream,
)

if TYPE_CHECKING:
    from control_plane.domain.histogram import Histogram

_TRIGRAM = 3
READ_AT_ONCE = 500
"""So many texts are read in one query, as long as more are wanted."""
SEARCHED = table("run_text", column("rowid", Integer), column("text", String))
"""The index; `rowid` is the `seq` of the run."""
_TEXTS = table("run_text_content", column("id", Integer), column("c0", String))
"""What the index keeps of each text, by FTS5's own names: read here it takes half the time."""
_LIKE_ASCII = (("\N{KELVIN SIGN}", "k"), ("\N{LATIN SMALL LETTER LONG S}", "s"))
"""The index takes these letters for those of ASCII, alone of all; LIKE does not."""
_BEGIN = "\x1f"
"""Twice before the first two letters of each word in the index, which knows trigrams alone."""

INDEX_TEXTS = """
INSERT INTO run_text (rowid, text)
SELECT seq, text || char(10) || coalesce((
    SELECT replace(group_concat(DISTINCT char(31, 31) || substr(value, 1, 2)), ',', '')
    FROM json_each('[' || replace(json_quote(
        replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(text,
        char(10), ' '), char(9), ' '), char(92), ' '), '"', ' '), '/', ' '), '-', ' '), '_', ' '),
        '.', ' '), ':', ' '), ',', ' ')
    ), ' ', '","') || ']')
), '')
FROM (
    SELECT seq, state, id || char(10) || title || char(10) || note || char(10) || configuration
        || char(10) || coalesce(given_name, '') || char(10) || coalesce(application, '')
        || char(10) || CASE WHEN json_valid(tags) THEN coalesce(
            (SELECT group_concat(value, char(10)) FROM json_each(tags)), '') ELSE '' END
        || char(10) || CASE WHEN json_valid(spec) THEN coalesce(
            (SELECT group_concat(DISTINCT json_extract(request.value, '$.path'))
            FROM json_each(spec, '$.workload.streams') AS stream,
                json_each(stream.value, '$.requests') AS request), '') ELSE '' END
        || char(10) || CASE WHEN json_valid(environment) THEN coalesce(
            json_extract(environment, '$.application_commit_subject'), '') || char(10) || coalesce(
            json_extract(environment, CASE application WHEN 'bundled' THEN '$.commit'
            ELSE '$.application_commit' END), '') ELSE '' END AS text
    FROM run JOIN run_facts ON run = seq
)
WHERE state != 'deleted'
"""
"""Lets the search find all runs; `AND seq = …` after it names those that are meant.

What is searched: id, title, note, configuration, application, tags, paths, commit, its subject.
Damaged JSON gives nothing.
"""
_UNINDEX = text("DELETE FROM run_text WHERE rowid = :seq")
_INDEX = text(f"{INDEX_TEXTS} AND seq = :seq")


def text_conditions(words: Sequence[str]) -> Iterator[ColumnElement[bool]]:
    """Yield what makes a row of the index hold all words, the short ones where a word begins.

    It knows three characters and more, and the first two of each word; short ones that are no
    letters or digits are looked for in every text.
    """
    indexed = [_needle(word) for word in words if len(word) >= _TRIGRAM or word.isalnum()]
    if indexed:
        phrases = " ".join('"' + word.replace('"', '""') + '"' for word in indexed)
        yield literal_column("run_text").op("MATCH", is_comparison=True)(phrases)
    for word in words:
        if len(word) < _TRIGRAM and not word.isalnum():
            yield _has(SEARCHED.c.text, word)


def refuse_unstorable(field: str, value: str) -> None:
    """Raise InvalidInput for NUL and lone surrogates, which SQLite cannot take."""
    if any(char == "\x00" or unicodedata.category(char) == "Cs" for char in value):
        message = "Control characters cannot be used here."
        raise InvalidInput(f"{field}: {message}", (FieldError(field, message),))


def among(column: Any, values: Collection[int | str | None]) -> ColumnElement[bool]:
    """Return the condition that a column has one of many values, too many for a parameter each."""
    known = func.json_each(json_values(values)).table_valued("value")
    return col(column).in_(sqlalchemy.select(known.c.value))


def finished(*outcomes: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of runs that finished with one of these outcomes."""
    return (col(RunRow.state) == State.FINISHED.value, col(RunRow.outcome).in_(outcomes))


def having_words(
    connection: Connection,
    seqs: Sequence[int],
    words: Sequence[str],
    most: int,
    *conditions: ColumnElement[bool],
) -> list[int]:
    """Return those of some runs that have all words and meet conditions, in their order.

    Their texts are read: for thousands of runs that is quicker than the index, which knows all that
    have a word. Without regard to case LIKE compares ASCII alone, so other words are looked up.
    """
    known = func.json_each(bindparam("seqs")).table_valued("key", "value")
    seq = known.c.value
    others = [word for word in words if not word.isascii()]
    has = [_has(_TEXTS.c.c0, word) for word in words if word.isascii()]
    looked_up = sqlalchemy.select(SEARCHED.c.rowid).where(*text_conditions(others))
    met: list[ColumnElement[bool]] = [seq.in_(looked_up)] if others else []
    met += [exists().where(col(RunRow.seq) == seq, *conditions)] if conditions else []
    met += [exists().where(_TEXTS.c.id == seq, *has)] if has else []
    chosen = sqlalchemy.select(seq).where(*met).order_by(known.c.key)
    found: list[int] = []
    for begin in range(0, len(seqs), READ_AT_ONCE):
        if len(found) < most:
            part = json.dumps(seqs[begin : begin + READ_AT_ONCE])
            found += connection.scalars(chosen, {"seqs": part}).all()
    return found[:most]


def _has(read: ColumnElement[Any], word: str) -> ColumnElement[bool]:
    """Return whether a text has a word, in the letters that the index takes for the same."""
    needle = _needle(word)
    for other, letter in _LIKE_ASCII:
        needle = needle.replace(other, letter)
        if letter in needle.lower():
            read = func.replace(read, other, letter, type_=String())
    return read.contains(needle, autoescape=True)


def _needle(word: str) -> str:
    """Return what a text holds that has this word: a short one where a word begins."""
    return word if len(word) >= _TRIGRAM or not word.isalnum() else 2 * _BEGIN + word


def index_runs(session: Session, rows: Sequence[RunRow]) -> None:
    """Let the history find runs by their tags and texts as they are now."""
    seqs = [row.seq for row in rows if row.seq is not None]
    session.exec(delete(RunTag).where(col(RunTag.run).in_(seqs)))
    for row in rows:
        tags = dict.fromkeys(json.loads(row.tags))
        session.add_all(RunTag(tag=tag, run=row.seq or 0) for tag in tags)
    session.flush()
    connection = session.connection()
    for statement in (_UNINDEX, _INDEX):
        connection.execute(statement, [{"seq": seq} for seq in seqs])


def chosen_seqs(session: Session, ids: Sequence[str]) -> tuple[list[int], list[str]]:
    """Return the runs and the arms of experiments that these are ids of, and ids of neither."""
    seq: Any = col(RunRow.seq)
    of_experiments = select(ExperimentRow.seq).where(col(ExperimentRow.id).in_(ids))
    arms = select(ExperimentArmRow.run).where(
        col(ExperimentArmRow.experiment).in_(of_experiments), col(ExperimentArmRow.run).is_not(None)
    )
    chosen = or_(col(RunRow.id).in_(ids), seq.in_(arms))
    there = sqlalchemy.select(seq, col(RunRow.id)).where(chosen, col(RunRow.state) != DELETED)
    rows = session.connection().execute(there.order_by(seq)).all()
    experiments = session.exec(select(ExperimentRow.id).where(col(ExperimentRow.id).in_(ids))).all()
    known = {*experiments, *(run_id for _, run_id in rows)}
    return [number for number, _ in rows], [run_id for run_id in ids if run_id not in known]


class RunsAlike:
    """Reads what runs measured that are like others, and which values runs have.

    Each method sees one consistent state.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def repeats(self, run_ids: Sequence[str]) -> dict[str, list[RunOfSpec]]:
        """Return the newest runs of the spec of each run, as `repeats_query` chooses them.

        A run that is not there is left out.
        """
        with self._database.read() as session, readable(*run_ids):
            rows = session.execute(_of_runs(RunRow.spec_digest, RunFacts.spec), {"ids": run_ids})
            digests = {
                run_id: digest or spec_digest(stored_spec(spec)) for run_id, digest, spec in rows
            }
            found = {
                digest: [
                    RunOfSpec(row.id, row.started_at or row.created_at, row.finished_at, facts)
                    for row in session.execute(repeats_query(), {"digest": digest})
                    for facts in [stored_environment(row.environment)]
                ]
                for digest in set(digests.values())
            }
        return {run_id: found[digest] for run_id, digest in digests.items()}

    def trials_of_runs(self, run_ids: Sequence[str]) -> dict[str, list[Trial]]:
        """Return the trials of each run, none of one that is not there."""
        found: dict[str, list[Trial]] = {run_id: [] for run_id in run_ids}
        with self._database.read() as session, readable(*run_ids):
            rows = session.execute(_of_runs(RunRow.seq, RunFacts.spec), {"ids": run_ids})
            known = {seq: (run_id, stored_spec(spec)) for run_id, seq, spec in rows}
            refuse_lost_trials(session, known)
            documents = select(TrialRow.run, TrialRow.document).where(col(TrialRow.run).in_(known))
            for seq, document in session.execute(documents.order_by(col(TrialRow.block))):
                run_id, spec = known[seq]
                found[run_id].append(stored_trial(document, spec))
        return found

    def tags(self) -> list[str]:
        """Return all tags of runs, in alphabetical order."""
        with self._database.read() as session:
            return _values_of_runs(session, "tag")

    def values(self, name: Literal["given_name", "application", "machine"]) -> list[str]:
        """Return the values of a column that runs have, in alphabetical order."""
        with self._database.read() as session:
            return _values_of_runs(session, name)

    def measured_configurations(self, known: Sequence[str]) -> list[str]:
        """Return the names that configurations of runs have, those of `known` first.

        Others are those that they were given; what was typed is listed where it has a known name.
        """
        names = {"names": json.dumps(known), "strategies": json.dumps(list(STRATEGIES))}
        with self._database.read() as session:
            given = _values_of_runs(session, "given_name")
            found = {*given, *session.connection().scalars(text(_CONFIGURED), names)}
        return [name for name in dict.fromkeys([*known, *given]) if name in found]

    def block_histograms(self, experiment: Experiment, stream: str) -> "list[list[Histogram]]":
        """Return the response times of each trial, for each arm; the first stream for "".

        Blocks that are set aside are left out. Empty for an arm that was deleted, or has no trial.
        """
        ids = [arm.run_id for arm in experiment.arms if arm.run_id]
        place, name = col(TrialStream.place), col(TrialStream.name)
        chosen = (
            sqlalchemy.select(col(RunRow.id), col(TrialStream.response))
            .join(TrialStream, col(TrialStream.run) == col(RunRow.seq))
            .where(col(RunRow.id).in_(ids), name == stream if stream else place == 0)
            .where(col(TrialStream.block).not_in(experiment.spoiled))
            .order_by(col(TrialStream.block))
        )
        found: dict[str, list[Histogram]] = defaultdict(list)
        with self._database.read() as session, readable(*ids):
            for run_id, blob in session.connection().execute(chosen):
                found[run_id].append(unpack_histogram(blob))
        return [found[arm.run_id or ""] for arm in experiment.arms]


@cache
def _of_runs(*columns: Any) -> Select[Any]:
    both = sqlalchemy.select(col(RunRow.id), *columns).join(RunFacts, col(RunFacts.run) == _SEQ)
    return both.where(col(RunRow.id).in_(_IDS), col(RunRow.state) != DELETED)


_MOST_RECENT = 60
_SEQ: Any = col(RunRow.seq)
_IDS: Any = bindparam("ids", expanding=True)


@cache
def newest_query() -> Select[Any]:
    """Return the query of `seq`, id and spec of the newest finished runs but those of `ids`."""
    columns: tuple[Any, ...] = (_SEQ, RunRow.id, RunFacts.spec)
    both = sqlalchemy.select(*columns).join(RunFacts, col(RunFacts.run) == _SEQ)
    others = both.where(col(RunRow.state) == State.FINISHED.value, col(RunRow.id).not_in(_IDS))
    return others.order_by(_SEQ.desc()).limit(_MOST_RECENT)


def requests_of(spec: Spec) -> list[tuple[str, str, str]]:
    """Return stream, method and path of each request class."""
    return [
        (stream.name, request.method, request.path)
        for stream in spec.workload.streams
        for request in stream.requests
    ]


def requests_in(text: str | bytes) -> list[tuple[str, str, str]] | None:
    """Return what `requests_of` returns, of a stored spec; None of a spoilt one.

    A spec is not read whole for that: a page looks at many.
    """
    with suppress(ValueError, LookupError, TypeError):
        return [
            (stream["name"], request["method"], request["path"])
            for stream in orjson.loads(text)["workload"]["streams"]
            for request in stream["requests"]
        ]
    return None


_MOST_REPEATS = 30


@cache
def repeats_query() -> Select[Any]:
    """Return the query of the newest runs with a `digest` of the spec, as `RunOfSpec` has them.

    Measured here, in one go, and not invalid. Title, tags, seed and trials may be others.
    """
    paused = (
        select(ExperimentArmRow.run)
        .join(ExperimentRow, col(ExperimentRow.seq) == ExperimentArmRow.experiment)
        .where(ExperimentRow.sessions > 1, col(ExperimentArmRow.run).is_not(None))
    )
    # From the index alone: a night's job makes thousands of runs of one spec.
    newest = (
        select(RunRow.seq)
        .where(RunRow.spec_digest == bindparam("digest"), RunRow.state == State.FINISHED.value)
        .where(RunRow.outcome != "invalid", col(RunRow.seq).not_in(paused))
        .order_by(col(RunRow.seq).desc())
        .limit(_MOST_REPEATS)
    )
    times = (RunRow.started_at, RunRow.created_at, RunRow.finished_at)
    columns: tuple[Any, ...] = (RunRow.id, *times, RunFacts.environment)
    return (
        sqlalchemy.select(*columns)
        .join(RunFacts, col(RunFacts.run) == col(RunRow.seq))
        .where(col(RunRow.seq).in_(newest))
        .order_by(col(RunRow.seq).desc())
    )


_VALUES = """
WITH RECURSIVE found (value) AS (
    SELECT min({column}) FROM {table} WHERE {column} > ''
    UNION ALL
    SELECT (SELECT min({column}) FROM {table} WHERE {column} > value) FROM found
    WHERE value IS NOT NULL
)
SELECT value FROM found WHERE value IS NOT NULL
"""
"""Each value is looked for behind the one before: DISTINCT would go through all rows."""

_OF_RUNS = " AND EXISTS (SELECT 1 FROM run WHERE {column} = value AND state != 'deleted')"


def _values_of_runs(session: Session, column: str) -> list[str]:
    """Return the tags, or the values of an indexed column, that runs have which are not deleted."""
    if column == "tag":
        query = _VALUES.format(table="run_tag", column=column)
    else:
        query = f"{_VALUES}{_OF_RUNS}".format(table="run", column=column)
    return list(session.connection().scalars(text(query)))


_CONFIGURED = """
SELECT known.value FROM json_each(:names) AS known WHERE EXISTS (
    SELECT 1 FROM run WHERE strategy IN (SELECT value FROM json_each(:strategies))
    AND configuration = known.value AND state != 'deleted'
)
"""
"""Strategies are given because the index of configurations begins with them."""
