"""The tables. What lists are filtered by lies in `run`, a thin row; what is only read, beside it.

JSON is text in the shape of the domain's dataclasses. `run` columns of other tables hold its
`seq`, the order in which runs were handed in, which no jump of the clock disturbs.
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index
from sqlmodel import Field, SQLModel


class StoredTable(SQLModel):
    """What every table is. Rows are not checked, and what would check them is not built."""

    model_config = {**SQLModel.model_config, "defer_build": True}


class Meta(StoredTable, table=True):
    """One row: the random id of this file, and the key of the digests of secrets, in hex."""

    __tablename__: ClassVar[Any] = "meta"

    instance: str = Field(primary_key=True)
    secret_key: str | None = None


class Submission(StoredTable, table=True):
    """A key that a program or a form gave, so that handing in twice makes one set of runs."""

    __tablename__: ClassVar[Any] = "submission"

    key: str = Field(primary_key=True)
    digest: str
    runs: int


class AddedConfigurationRow(StoredTable, table=True):
    """A configuration that somebody added; `target` is JSON."""

    __tablename__: ClassVar[Any] = "configuration"

    name: str = Field(primary_key=True)
    target: str


class UsedNumbersRow(StoredTable, table=True):
    """From the lowest to the highest number that sequences of an application may have taken.

    Text, because a step may lead beyond the integers of SQLite."""

    __tablename__: ClassVar[Any] = "used_numbers"

    application: str = Field(primary_key=True)
    low: str
    high: str


DELETED = "deleted"
"""What stands as the state of a run that can be put back; no list shows such a row."""


class DeletedRunRow(StoredTable, table=True):
    """What is left of a run that was deleted, so that comparisons can name it.

    `state` is the one that it had, as long as it can be put back.
    """

    __tablename__: ClassVar[Any] = "deleted_run"

    id: str = Field(primary_key=True)
    title: str
    deleted_at: datetime = Field(index=True)
    state: str | None = None


class AuditRow(StoredTable, table=True):
    """One deed of somebody; `subject` is the id of a run or an experiment, as `kind` says."""

    __tablename__: ClassVar[Any] = "audit_log"
    __table_args__: ClassVar[Any] = {"sqlite_autoincrement": True}

    seq: int | None = Field(default=None, primary_key=True)
    at: datetime
    name: str
    peer: str
    action: str
    kind: str
    subject: str
    title: str


class ShareLinkRow(StoredTable, table=True):
    """A share link: a digest of its token, and what it shows; `shown` is JSON."""

    __tablename__: ClassVar[Any] = "share_link"
    __table_args__ = (Index("ix_share_link_of", "kind", "subject"),)

    id: str = Field(primary_key=True)
    digest: str = Field(repr=False)
    kind: str
    subject: str
    title: str
    shown: str
    made_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    used_at: datetime | None = None


_LISTED = ["seq", "state", "strategy", "outcome", "objectives", "application", "machine"]
_LISTED += ["configuration", "given_name", "created_at"]
"""The order of the history, and all that it is filtered by: no filter reads more."""
_SORTED_BY = ("first_rate_per_s", "first_p50_s", "first_p95_s", "first_p99_s", "first_error_share")


class RunRow(StoredTable, table=True):
    """The part of a run that lists filter by and show.

    `epoch` counts the changes of state. `rate_per_s` is the throughput of all streams.
    `configuration` tells the parts of the target, so that the same parts have the same one;
    `given_name` is the name that they were chosen by, None where they were typed. `application` is
    None for a server that runs already; `machine` is the host name, or what an import tells of the
    machine. `turn` takes the place of `seq` in the queue, for an arm that was paused.
    `objectives`: failed, undecided or passed; None where there are none. `origin` is JSON of where
    an imported run comes from. `spec_digest` is that of equal work, None for an imported run, which
    belongs to no trend. What begins with `first_` are the numbers of the first stream that
    lists show and are sorted by; None where they show none.
    """

    __tablename__: ClassVar[Any] = "run"
    __table_args__ = (
        Index("ix_run_kind", "strategy", "configuration", "state", "outcome"),
        Index("ix_run_listed", *_LISTED),
        *(Index(f"ix_run_{number}", number, *_LISTED) for number in _SORTED_BY),
        Index("ix_run_spec", "spec_digest", "state", "outcome", "machine"),
        {"sqlite_autoincrement": True},
    )

    seq: int | None = Field(default=None, primary_key=True)
    id: str = Field(index=True, unique=True)
    title: str
    tags: str
    note: str = ""
    state: str = Field(index=True)
    epoch: int = 0
    reason: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    strategy: str = Field(index=True)
    configuration: str = Field(index=True)
    given_name: str | None = Field(default=None, index=True)
    application: str | None = Field(default=None, index=True)
    machine: str | None = Field(default=None, index=True)
    outcome: str | None = Field(default=None, index=True)
    rate_per_s: float | None = None
    origin: str | None = None
    submission: str | None = Field(default=None, foreign_key="submission.key", index=True)
    turn: float | None = None
    objectives: str | None = None
    first_rate_per_s: float | None = None
    first_p50_s: float | None = None
    first_p95_s: float | None = None
    first_p99_s: float | None = None
    first_error_share: float | None = None
    spec_digest: str | None = None


class RunFacts(StoredTable, table=True):
    """The long part of a run: JSON but for `command`.

    `trial_rates`: the throughput of the first stream in each trial of a run that finished.
    """

    __tablename__: ClassVar[Any] = "run_facts"

    run: int = Field(primary_key=True, foreign_key="run.seq", ondelete="CASCADE")
    spec: str
    command: str | None = None
    environment: str | None = None
    validity: str | None = None
    log: str = "[]"
    causes: str | None = None
    objectives: str | None = None
    trial_rates: str | None = None


class Secret(StoredTable, table=True):
    """A secret value as JSON: what the placeholder with that digest stands for in specs."""

    __tablename__: ClassVar[Any] = "secret"

    digest: str = Field(primary_key=True)
    value: str = Field(repr=False)


class RunSecret(StoredTable, table=True):
    """A secret that the spec of a run has a placeholder for."""

    __tablename__: ClassVar[Any] = "run_secret"
    __table_args__: ClassVar[Any] = {"sqlite_with_rowid": False}

    run: int = Field(primary_key=True, foreign_key="run.seq", ondelete="CASCADE")
    digest: str = Field(primary_key=True, foreign_key="secret.digest", index=True)


class RunTag(StoredTable, table=True):
    """Keyed so that the newest runs of a tag lie together."""

    __tablename__: ClassVar[Any] = "run_tag"
    __table_args__: ClassVar[Any] = {"sqlite_with_rowid": False}

    tag: str = Field(primary_key=True)
    run: int = Field(primary_key=True, foreign_key="run.seq", ondelete="CASCADE", index=True)


class RunStream(StoredTable, table=True):
    """One stream, all trials merged. `place` is its position in the spec."""

    __tablename__: ClassVar[Any] = "run_stream"

    run: int = Field(primary_key=True, foreign_key="run.seq", ondelete="CASCADE")
    place: int = Field(primary_key=True)
    name: str
    summary: str
    service: bytes
    response: bytes
    first_byte: bytes | None = None


class TrialRow(StoredTable, table=True):
    """One trial with the summaries of its streams, and what was watched from outside."""

    __tablename__: ClassVar[Any] = "trial"

    run: int = Field(primary_key=True, foreign_key="run.seq", ondelete="CASCADE")
    block: int = Field(primary_key=True)
    document: str
    gauges: str


class TrialStream(StoredTable, table=True):
    """One stream of one trial; its summary stands in the trial. `seconds` is one blob for all."""

    __tablename__: ClassVar[Any] = "trial_stream"

    run: int = Field(primary_key=True, foreign_key="run.seq", ondelete="CASCADE")
    block: int = Field(primary_key=True)
    place: int = Field(primary_key=True)
    name: str
    timeline: str | None
    service: bytes
    response: bytes
    seconds: bytes | None
    first_byte: bytes | None = None
    send_lag: bytes | None = None


class ExperimentRow(StoredTable, table=True):
    """An experiment; `document` is JSON of what is to be decided, `slug` and `confirms` included.

    `sessions` counts how often its trials began. `sentence`: what was found when it finished,
    `headline` JSON of it in parts, `noise` of what earlier ones had said of noise.
    """

    __tablename__: ClassVar[Any] = "experiment"

    seq: int | None = Field(default=None, primary_key=True)
    id: str = Field(index=True, unique=True)
    question: str
    document: str
    created_at: datetime
    sessions: int = 0
    submission: str | None = Field(default=None, foreign_key="submission.key", index=True)
    sentence: str | None = None
    noise: str | None = None
    headline: str | None = None
    slug: str = Field(default="", index=True)
    confirms: str = Field(default="", index=True)


class ExperimentBlockRow(StoredTable, table=True):
    """A block that was begun; `number` is that of its trials, `row` its place in the design."""

    __tablename__: ClassVar[Any] = "experiment_block"

    experiment: int = Field(primary_key=True, foreign_key="experiment.seq", ondelete="CASCADE")
    number: int = Field(primary_key=True)
    row: int
    session: int
    outcome: str


class BlockVarianceRow(StoredTable, table=True):
    """How much the blocks of an experiment varied in one metric, on which machine."""

    __tablename__: ClassVar[Any] = "block_variance"

    experiment: int = Field(primary_key=True, foreign_key="experiment.seq", ondelete="CASCADE")
    metric: str = Field(primary_key=True)
    kind: str
    machine: str = Field(index=True)
    variance: float
    df: float


class ExperimentArmRow(StoredTable, table=True):
    """An arm of an experiment: the run that holds its trials, None where that was deleted.

    `verdict` on it in the metric that decides, as it was when the experiment ended: "" of the
    baseline and where there is none, None as long as nobody judged.
    """

    __tablename__: ClassVar[Any] = "experiment_arm"
    __table_args__: ClassVar[Any] = (Index("ix_experiment_arm_verdict", "verdict", "run"),)

    experiment: int = Field(primary_key=True, foreign_key="experiment.seq", ondelete="CASCADE")
    place: int = Field(primary_key=True)
    name: str
    run: int | None = Field(
        default=None, foreign_key="run.seq", index=True, ondelete="SET NULL", nullable=True
    )
    verdict: str | None = None


class PinRow(StoredTable, table=True):
    """A run or an experiment that is kept under a name, as a baseline for what is like it.

    `workload` holds the requests of its run; one of `run` and `experiment` is None.
    """

    __tablename__: ClassVar[Any] = "pin"
    __table_args__: ClassVar[Any] = (
        Index("ix_pin_name", "application", "workload", "name", unique=True),
    )

    seq: int | None = Field(default=None, primary_key=True)
    name: str
    application: str
    workload: str
    run: int | None = Field(default=None, foreign_key="run.seq", index=True, ondelete="CASCADE")
    experiment: int | None = Field(
        default=None, foreign_key="experiment.seq", index=True, ondelete="CASCADE", nullable=True
    )
    pinned_at: datetime


class StepMarkRow(StoredTable, table=True):
    """What is kept of a step of a trend, whose key are the columns from `spec` to `machine`.

    `found` and `place` are the `seq` of the run behind it, which may be deleted since.
    """

    __tablename__: ClassVar[Any] = "step_mark"
    __table_args__ = (Index("ix_step_mark_of", "spec", "stream", "metric", "baseline", "machine"),)

    id: str = Field(primary_key=True)
    spec: str
    stream: str
    metric: str
    baseline: str
    machine: str
    found: int | None = None
    place: int | None = None
    note: str
    made_by: str
    changed_at: datetime
    told_at: datetime | None = None


class ToolResultRow(StoredTable, table=True):
    """A result of another tool. `report` is JSON of what its file tells.

    `read_as`: the kind of file, and the unit of its values where somebody told it.
    """

    __tablename__: ClassVar[Any] = "peer_result"

    seq: int | None = Field(default=None, primary_key=True)
    id: str = Field(index=True, unique=True)
    title: str
    imported_at: datetime
    file_name: str
    sha256: str = Field(index=True)
    size_bytes: int
    read_as: str
    report: str


class ToolSamplesRow(StoredTable, table=True):
    """The histogram of a stream of such a result, where its file has one."""

    __tablename__: ClassVar[Any] = "peer_samples"

    result: int = Field(primary_key=True, foreign_key="peer_result.seq", ondelete="CASCADE")
    place: int = Field(primary_key=True)
    samples: bytes
