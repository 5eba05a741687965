"""The search of the history: an index of what is written about runs, its tags, and runs alike."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    String,
    case,
    column,
    delete,
    func,
    literal_column,
    table,
    text,
)
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from control_plane.domain.run import State
from control_plane.store.tables import ExperimentArmRow, ExperimentRow, RunFacts, RunRow, RunTag

_TRIGRAM = 3
SEARCHED = table("run_text", column("rowid", Integer), column("text", String))
"""The index; `rowid` is the `seq` of the run."""
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
            json_extract(environment, '$.application_commit_subject'), '') ELSE '' END AS text
    FROM run JOIN run_facts ON run = seq
)
WHERE state != 'deleted'
"""
"""Lets the search find all runs; `AND seq = …` after it names those that are meant.

What is searched: id, title, note, configuration, application, tags, paths, subject of the commit.
Damaged JSON gives nothing.
"""
_UNINDEX = text("DELETE FROM run_text WHERE rowid = :seq")
_INDEX = text(f"{INDEX_TEXTS} AND seq = :seq")


def text_conditions(words: Sequence[str]) -> Iterator[ColumnElement[bool]]:
    """Yield what makes a row of the index hold all words, the short ones where a word begins.

    It knows three characters and more, and the first two of each word; short ones that are no
    letters or digits are looked for in every text.
    """
    indexed = [
        word if len(word) >= _TRIGRAM else 2 * _BEGIN + word
        for word in words
        if len(word) >= _TRIGRAM or word.isalnum()
    ]
    if indexed:
        phrases = " ".join('"' + word.replace('"', '""') + '"' for word in indexed)
        yield literal_column("run_text").op("MATCH", is_comparison=True)(phrases)
    for word in words:
        if len(word) < _TRIGRAM and not word.isalnum():
            yield SEARCHED.c.text.contains(word, autoescape=True)


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


_RATES_LOOKED_AT = 100
_FIRST_PATH = "$.workload.streams[0].requests[0].path"


def rate_query(strategy: str, configuration: str, path: str) -> Any:
    """Return the query of the throughput of the last run like this, of those looked at."""
    kind = select(RunRow.seq).where(
        RunRow.strategy == strategy,
        RunRow.configuration == configuration,
        RunRow.state == State.FINISHED.value,
    )
    newest = kind.order_by(col(RunRow.seq).desc()).limit(_RATES_LOOKED_AT)
    whole = func.json_valid(RunFacts.spec) == 1
    asked_for = case((whole, func.json_extract(RunFacts.spec, _FIRST_PATH))) == path
    return (
        select(RunRow.rate_per_s)
        .join(RunFacts, col(RunFacts.run) == col(RunRow.seq))
        .where(col(RunRow.seq).in_(newest), asked_for)
        .order_by(col(RunRow.seq).desc())
        .limit(1)
    )


_OF_NO_ACCOUNT = ("$.title", "$.tags", "$.seed", "$.trials")
_REPEATS_LOOKED_AT, _MOST_REPEATS = 500, 30


def repeats_query(row: RunRow) -> SelectOfScalar[RunRow]:
    """Return the query of the newest runs of the spec of a run, with itself if it finished.

    Measured here, in one go, and not invalid. Title, tags, seed and trials may be others.
    """
    kind = (
        select(RunRow.seq)
        .where(RunRow.strategy == row.strategy, RunRow.configuration == row.configuration)
        .where(RunRow.state == State.FINISHED.value, RunRow.outcome != "invalid")
        .where(col(RunRow.origin).is_(None))
        .order_by(col(RunRow.seq).desc())
        .limit(_REPEATS_LOOKED_AT)
    )
    paused = (
        select(ExperimentArmRow.run)
        .join(ExperimentRow, col(ExperimentRow.seq) == ExperimentArmRow.experiment)
        .where(ExperimentRow.sessions > 1, col(ExperimentArmRow.run).is_not(None))
    )
    whole = func.json_valid(RunFacts.spec) == 1
    spec = case((whole, func.json_remove(RunFacts.spec, *_OF_NO_ACCOUNT)))
    own = select(spec).where(RunFacts.run == row.seq).scalar_subquery()
    return (
        select(RunRow)
        .join(RunFacts, col(RunFacts.run) == col(RunRow.seq))
        .where(col(RunRow.seq).in_(kind), col(RunRow.seq).not_in(paused), spec == own)
        .order_by(col(RunRow.seq).desc())
        .limit(_MOST_REPEATS)
    )
