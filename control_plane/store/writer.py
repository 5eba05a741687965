"""Everything that changes the database. Each method is one transaction."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypedDict, Unpack

from sqlalchemy import ColumnElement, Update, update
from sqlmodel import Session, col, select

from control_plane.domain.errors import Conflict, QueueFull, refuse
from control_plane.domain.limits import TEXT_LENGTHS, Limits, bounded_text, counted
from control_plane.domain.metrics_and_objectives import JudgedObjective, outcome_of_all
from control_plane.domain.result import Cause, Environment, Summary, Trial, Validity
from control_plane.domain.run import TERMINAL, Run, State, StreamResult, TrialResult, allowed
from control_plane.domain.sequence_numbers import ReservedNumbers, UsedNumbers, reserved
from control_plane.domain.spec import Stream
from control_plane.domain.spec_json import adapter
from control_plane.store.audit_log import record
from control_plane.store.database import Database
from control_plane.store.mapping import (
    Draft,
    causes_text,
    environment_text,
    facts_row,
    listed_numbers,
    log_text,
    objectives_text,
    readable,
    run_row,
    run_stream_row,
    tags_text,
    trial_row,
    trial_stream_row,
    validity_text,
)
from control_plane.store.reader import count_queued, find_row, whole_run
from control_plane.store.run_search import index_runs
from control_plane.store.tables import (
    DELETED,
    ExperimentArmRow,
    ExperimentRow,
    RunFacts,
    RunRow,
    RunSecret,
    Secret,
    Submission,
    TrialRow,
    UsedNumbersRow,
)

MergedResult = tuple[
    Sequence[StreamResult], Validity, tuple[Cause, ...], tuple[JudgedObjective, ...]
]
"""The merged streams of a run, what they are worth, why, and which objectives they meet."""


def checked_title(title: str) -> str:
    """Return the title without blanks at its ends. Raises InvalidInput as for a spec."""
    refuse(bounded_text("title", title, TEXT_LENGTHS.title, empty=False))
    return title.strip()


def checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Return the tags. Raises InvalidInput as for a spec."""
    refuse(counted("tags", len(tags), 0, 20, "tags"))
    for index, tag in enumerate(tags):
        refuse(bounded_text(f"tags.{index}", tag, TEXT_LENGTHS.tag, empty=False))
    return tuple(tags)


def checked_note(note: str) -> str:
    """Return the note with plain line ends. Raises InvalidInput for what cannot be stored."""
    plain = note.replace("\r\n", "\n")
    refuse(bounded_text("note", plain.replace("\n", " ").replace("\t", " "), TEXT_LENGTHS.note))
    return plain


class Facts(TypedDict, total=False):
    """What is known of a run when its state changes."""

    reason: str | None
    log: Sequence[str]
    command: str | None
    environment: Environment | None
    causes: tuple[Cause, ...]


class Writer:
    """Changes runs. A refused change raises Conflict, and nothing of it is written."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        drafts: Sequence[Draft],
        *,
        key: str | None = None,
        digest: str | None = None,
        max_queue: int = Limits.max_queue,
    ) -> list[Run]:
        """Queue one run for each draft, all or none.

        A key that was used before gives the runs that it made, or Conflict when the digest is
        another or one of them is deleted. Raises QueueFull when more than `max_queue` would wait,
        Conflict when a secret that a draft refers to was deleted meanwhile.
        """
        with self._database.write() as session:
            if key is not None and (first := session.get(Submission, key)) is not None:
                return _runs_of_key(session, first, digest)
            if key is not None:
                session.add(Submission(key=key, digest=digest or "", runs=len(drafts)))
                session.flush()
            rows = queued_rows(session, drafts, max_queue, key)
            for row in rows:
                record(session, "started", row.id, row.title)
            return [whole_run(session, row) for row in rows]

    def move(self, run_id: str, before: State, after: State, **facts: Unpack[Facts]) -> Run:
        """Change the state; facts that are given are written, others stay.

        Raises Conflict when the run is not in `before` now, or may not go to `after`.
        """
        with self._database.write() as session:
            row = find_row(session, run_id)
            _change(session, row, before, after, facts.get("reason"))
            _note_facts(session.get_one(RunFacts, row.seq), facts)
            if environment := facts.get("environment"):
                row.machine = environment.get("hostname")
                index_runs(session, [row])
            session.flush()
            return whole_run(session, row)

    def reserve_numbers(
        self, application: str, streams: Sequence[Stream], most: int
    ) -> ReservedNumbers:
        """Take `most` numbers for each sequence, behind all that runs of the application took.

        They are used up from now on, whatever becomes of this process. Raises UnreadableRun.
        """
        with self._database.write() as session:
            before = _used(session, application)
            numbers = reserved(application, streams, before, most)
            if numbers.used != before:
                _use(session, application, numbers.used)
            return numbers

    def release_numbers(self, numbers: ReservedNumbers, taken: int) -> None:
        """Give back what a trial reserved and did not take: all but `taken` of each sequence.

        Nothing is given back where others were reserved since.
        """
        with self._database.write() as session:
            if _used(session, numbers.application) == numbers.used:
                _use(session, numbers.application, numbers.taken(taken))

    def save_trial(self, run_id: str, result: TrialResult) -> None:
        """Keep what one trial measured. Raises Conflict when the run is over."""
        with self._database.write() as session:
            row = find_row(session, run_id)
            if State(row.state).terminal:
                raise Conflict(f"Run {run_id} is {row.state}: it takes no more trials.")
            trial = trial_row(_seq(row), result)
            session.add(trial)
            session.add_all(
                trial_stream_row(trial, place, stream)
                for place, stream in enumerate(result.streams)
            )

    def finish(
        self,
        run_id: str,
        streams: Sequence[StreamResult],
        validity: Validity,
        causes: tuple[Cause, ...] = (),
        objectives: tuple[JudgedObjective, ...] = (),
    ) -> Run:
        """Write the merged results and `finished` together."""
        with self._database.write() as session:
            return finished_run(session, run_id, streams, validity, causes, objectives)

    def interrupt_unfinished(self, reason: str) -> Mapping[str, tuple[str, str | None]]:
        """Mark every run that waits or was being measured as interrupted.

        Arms of experiments become paused. Returns by id the states that they were in, with the id
        of the experiment of an arm. For a start, when no living process works on them.
        """
        arms = select(ExperimentArmRow.run).where(col(ExperimentArmRow.run).is_not(None))
        waits = col(RunRow.state) != State.PAUSED.value
        paused = _ended(State.PAUSED, reason).where(waits, col(RunRow.seq).in_(arms))
        with self._database.write() as session:
            left = select(RunRow.id, RunRow.state, ExperimentRow.id).where(waits, _is_open())
            left = left.outerjoin(ExperimentArmRow, col(ExperimentArmRow.run) == col(RunRow.seq))
            left = left.outerjoin(ExperimentRow).order_by(col(RunRow.seq))
            found = {run_id: (state, arm_of) for run_id, state, arm_of in session.exec(left)}
            session.exec(paused)
            session.exec(_ended(State.INTERRUPTED, reason).where(waits))
            return found

    def give_up(self, run_ids: Collection[str], reason: str) -> None:
        """Mark those of the runs as failed that are not over, whatever else their rows hold."""
        with self._database.write() as session:
            session.exec(_ended(State.FAILED, reason).where(col(RunRow.id).in_(run_ids)))

    def edit(
        self,
        run_id: str,
        *,
        title: str | None = None,
        tags: Sequence[str] | None = None,
        note: str | None = None,
    ) -> Run:
        """Change what people wrote about a run, in any state; None leaves as it is.

        Raises InvalidInput for text that the spec would refuse.
        """
        with self._database.write() as session:
            row = find_row(session, run_id)
            if title is not None:
                row.title = checked_title(title)
            if note is not None:
                row.note = checked_note(note)
            if tags is not None:
                row.tags = tags_text(checked_tags(tags))
            index_runs(session, [row])
            return whole_run(session, row)

    def tag(self, run_ids: Sequence[str], tag: str, *, remove: bool) -> None:
        """Add a tag to runs, or take it away from them; all or none. Raises as `edit`."""
        with self._database.write() as session:
            rows = find_rows(session, run_ids)
            for row in rows:
                rest = [other for other in json.loads(row.tags) if other != tag]
                row.tags = tags_text(checked_tags(rest if remove else [*rest, tag]))
            index_runs(session, rows)


def finished_run(
    session: Session,
    run_id: str,
    streams: Sequence[StreamResult],
    validity: Validity,
    *said: *tuple[tuple[Cause, ...], tuple[JudgedObjective, ...]],
) -> Run:
    """Write the merged results of a run and `finished`; `said` are causes and objectives."""
    causes, objectives = said
    row = find_row(session, run_id)
    _change(session, row, State.FINALIZING, State.FINISHED, None)
    row.outcome = validity.outcome
    summaries = [stream.summary for stream in streams]
    row.rate_per_s = sum(summary.throughput_per_s for summary in summaries)
    keep_listed(session, row, summaries)
    facts = session.get_one(RunFacts, row.seq)
    facts.validity, facts.causes = validity_text(validity), causes_text(causes)
    facts.objectives, row.objectives = objectives_text(objectives), outcome_of_all(objectives)
    session.add_all(
        run_stream_row(_seq(row), place, stream) for place, stream in enumerate(streams)
    )
    session.flush()
    return whole_run(session, row)


def keep_listed(session: Session, row: RunRow, summaries: Sequence[Summary]) -> None:
    """Write what lists show of a run: the numbers of its first stream, its rate in each trial too.

    `summaries` are those of its streams, none of a run that did not finish.
    """
    for column, number in listed_numbers(summaries).items():
        setattr(row, column, number)
    documents = select(TrialRow.document).where(TrialRow.run == row.seq)
    found = session.exec(documents.order_by(col(TrialRow.block))).all() if summaries else ()
    trials = [adapter(Trial).validate_json(document) for document in found]
    rates = [round(trial.streams[0].throughput_per_s, 3) for trial in trials if trial.streams]
    session.get_one(RunFacts, row.seq).trial_rates = json.dumps(rates)


def _used(session: Session, application: str) -> UsedNumbers | None:
    with readable(application, kind="what sequences used of"):
        row = session.get(UsedNumbersRow, application)
        return UsedNumbers(int(row.low), int(row.high)) if row else None


def _use(session: Session, application: str, used: UsedNumbers | None) -> None:
    if used is not None:
        row = UsedNumbersRow(application=application, low=str(used.low), high=str(used.high))
        session.merge(row)


_LATER = "hand in again when some have ended, or raise LOOPLAB_MAX_QUEUE."


def _runs_of_key(session: Session, first: Submission, digest: str | None) -> list[Run]:
    if first.digest != digest:
        raise Conflict("This key was used for another request: choose a new one.")
    there = select(RunRow).where(RunRow.submission == first.key, RunRow.state != DELETED)
    rows = session.exec(there.order_by(col(RunRow.seq))).all()
    if len(rows) != first.runs:
        raise Conflict("Runs that were made with this key are deleted: choose a new one.")
    return [whole_run(session, row) for row in rows]


def queued_rows(
    session: Session, drafts: Sequence[Draft], max_queue: int, key: str | None = None
) -> list[RunRow]:
    """Queue a run for each draft. Raises QueueFull when more than `max_queue` would wait."""
    waiting = count_queued(session)
    if waiting + len(drafts) > max_queue:
        raise QueueFull(f"{waiting:,} runs wait, and the limit is {max_queue:,}: {_LATER}")
    now = datetime.now(UTC)
    return [_queue(session, draft, now, key) for draft in drafts]


def _queue(session: Session, draft: Draft, now: datetime, key: str | None) -> RunRow:
    row = run_row(draft, now, key)
    session.add(row)
    session.flush()
    session.add(facts_row(_seq(row), draft))
    _keep_secrets(session, row, draft.secrets)
    session.flush()
    index_runs(session, [row])
    return row


def _keep_secrets(session: Session, row: RunRow, secrets: Mapping[str, str | None]) -> None:
    for digest, value in secrets.items():
        if session.get(Secret, digest) is None:
            if value is None:
                raise Conflict("A secret of this spec was deleted with its run: type its value.")
            session.add(Secret(digest=digest, value=value))
    session.flush()
    session.add_all(RunSecret(run=_seq(row), digest=digest) for digest in secrets)


def _change(session: Session, row: RunRow, before: State, after: State, reason: str | None) -> None:
    """Change the state, here alone; `epoch` tells two visits to one state apart."""
    if row.state != before or not allowed(before, after):
        raise Conflict(f"Run {row.id} is {row.state}: it cannot go from {before} to {after}.")
    now = datetime.now(UTC)
    changed = (
        update(RunRow)
        .where(
            col(RunRow.seq) == row.seq,
            col(RunRow.state) == before.value,
            col(RunRow.epoch) == row.epoch,
        )
        .values(
            state=after.value,
            epoch=row.epoch + 1,
            reason=reason,
            started_at=row.started_at or (now if after.active else None),
            finished_at=now if after.terminal else None,
        )
    )
    if session.exec(changed).rowcount != 1:
        raise Conflict(f"Run {row.id} changed meanwhile: it is no longer {before}.")
    session.refresh(row)


def _ended(state: State, reason: str) -> Update:
    """Return the change that ends, or pauses, all runs that are not over."""
    return (
        update(RunRow)
        .where(_is_open())
        .values(
            state=state.value,
            reason=reason,
            epoch=RunRow.epoch + 1,
            finished_at=datetime.now(UTC) if state.terminal else None,
        )
    )


def _is_open() -> ColumnElement[bool]:
    """Return the condition that a run is not over; an odd state is none in which it is."""
    return col(RunRow.state).not_in([DELETED, *(state.value for state in TERMINAL)])


def _note_facts(row: RunFacts, facts: Facts) -> None:
    row.command = facts.get("command") or row.command
    if log := facts.get("log"):
        row.log = log_text(log)
    if environment := facts.get("environment"):
        row.environment = environment_text(environment)
    if causes := facts.get("causes"):
        row.causes = causes_text(causes)


def find_rows(session: Session, run_ids: Sequence[str]) -> list[RunRow]:
    """Return the rows of runs. Raises NotFound for the first that is missing."""
    there = select(RunRow).where(col(RunRow.id).in_(run_ids), RunRow.state != DELETED)
    rows = list(session.exec(there).all())
    if missing := sorted(set(run_ids) - {row.id for row in rows}):
        find_row(session, missing[0])
    return rows


def _seq(row: RunRow) -> int:
    assert row.seq is not None
    return row.seq
