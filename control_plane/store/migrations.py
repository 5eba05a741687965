"""The revisions of the schema, in order, each with the function that makes it of the one before.

Those of the tables of runs stand in `run_table_migrations.py`, of all others here. What databases
were made with stays as it is, because they know a revision by its number.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress

import sqlalchemy as sa
from alembic.operations import Operations
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from control_plane.domain.spec_json import spec_digest, stored_spec
from control_plane.store import run_table_migrations


def create_configurations(op: Operations) -> None:
    """Create the configurations that people add."""
    op.create_table(
        "configuration",
        sa.Column("name", AutoString(), primary_key=True),
        sa.Column("target", AutoString(), nullable=False),
    )


def create_used_numbers(op: Operations) -> None:
    """Create the numbers that the sequences of an application were drawn from."""
    op.create_table(
        "used_numbers",
        sa.Column("application", AutoString(), primary_key=True),
        sa.Column("low", AutoString(), nullable=False),
        sa.Column("high", AutoString(), nullable=False),
    )


def create_experiments(op: Operations) -> None:
    """Create experiments, whose arms are runs."""
    op.create_table(
        "experiment",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("id", AutoString(), nullable=False),
        sa.Column("question", AutoString(), nullable=False),
        sa.Column("document", AutoString(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_experiment_id", "experiment", ["id"], unique=True)
    op.create_table(
        "experiment_arm",
        sa.Column("experiment", sa.Integer(), primary_key=True),
        sa.Column("place", sa.Integer(), primary_key=True),
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["experiment"], ["experiment.seq"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run"], ["run.seq"], ondelete="SET NULL"),
    )
    op.create_index("ix_experiment_arm_run", "experiment_arm", ["run"])


_BLOCKS_OF_BEFORE = """
INSERT INTO experiment_block (experiment, number, "row", session, outcome)
SELECT arm.experiment, trial.block, trial.block, 1, CASE WHEN count(*) >= (
    SELECT count(*) FROM experiment_arm AS other JOIN run ON run.seq = other.run
    WHERE other.experiment = arm.experiment AND run.state != 'failed'
) THEN 'complete' ELSE 'begun' END
FROM experiment_arm AS arm JOIN trial ON trial.run = arm.run
GROUP BY arm.experiment, trial.block
"""


def let_experiments_pause(op: Operations) -> None:
    """Add blocks, sessions, turns in the queue, and send lags of trials."""
    op.create_table(
        "experiment_block",
        sa.Column("experiment", sa.Integer(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("session", sa.Integer(), nullable=False),
        sa.Column("outcome", AutoString(), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiment.seq"], ondelete="CASCADE"),
    )
    sessions = sa.Column("sessions", sa.Integer(), nullable=False, server_default="0")
    op.add_column("experiment", sessions)
    op.add_column("run", sa.Column("turn", sa.Float(), nullable=True))
    op.add_column("trial_stream", sa.Column("send_lag", sa.LargeBinary(), nullable=True))
    op.execute(_BLOCKS_OF_BEFORE)
    op.execute(
        "UPDATE experiment SET sessions = 1 WHERE seq IN (SELECT experiment FROM experiment_block)"
    )


def create_audit_log(op: Operations) -> None:
    """Create the log of who started, cancelled and deleted what."""
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("peer", AutoString(), nullable=False),
        sa.Column("action", AutoString(), nullable=False),
        sa.Column("kind", AutoString(), nullable=False),
        sa.Column("subject", AutoString(), nullable=False),
        sa.Column("title", AutoString(), nullable=False),
        sqlite_autoincrement=True,
    )


def add_objectives(op: Operations) -> None:
    """Add objectives with their outcome, and the key with which an experiment was handed in."""
    op.add_column("run", sa.Column("objectives", AutoString(), nullable=True))
    op.add_column("run_facts", sa.Column("objectives", AutoString(), nullable=True))
    with op.batch_alter_table("experiment") as experiment:
        experiment.add_column(sa.Column("submission", AutoString(), nullable=True))
        experiment.create_foreign_key(
            "fk_experiment_submission", "submission", ["submission"], ["key"]
        )
    op.create_index("ix_experiment_submission", "experiment", ["submission"])


def add_sentence_of_experiments(op: Operations) -> None:
    """Add the sentence of an experiment that finished, for lists."""
    op.add_column("experiment", sa.Column("sentence", AutoString(), nullable=True))


def create_block_variances(op: Operations) -> None:
    """Create how much blocks varied, by machine, metric and kind of load."""
    op.create_table(
        "block_variance",
        sa.Column("experiment", sa.Integer(), primary_key=True),
        sa.Column("metric", AutoString(), primary_key=True),
        sa.Column("kind", AutoString(), nullable=False),
        sa.Column("machine", AutoString(), nullable=False),
        sa.Column("variance", sa.Float(), nullable=False),
        sa.Column("df", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiment.seq"], ondelete="CASCADE"),
    )
    op.create_index("ix_block_variance_machine", "block_variance", ["machine"])


def add_noise_of_experiments(op: Operations) -> None:
    """Add what earlier experiments had said of noise when an experiment ended."""
    op.add_column("experiment", sa.Column("noise", AutoString(), nullable=True))


def create_pins(op: Operations) -> None:
    """Create runs and experiments that are kept under a name, as baselines."""
    op.create_table(
        "pin",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("application", AutoString(), nullable=False),
        sa.Column("workload", AutoString(), nullable=False),
        sa.Column("run", sa.Integer(), sa.ForeignKey("run.seq", ondelete="CASCADE")),
        sa.Column("experiment", sa.Integer(), sa.ForeignKey("experiment.seq", ondelete="CASCADE")),
        sa.Column("pinned_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_pin_name", "pin", ["application", "workload", "name"], unique=True)
    for column in ("run", "experiment"):
        op.create_index(f"ix_pin_{column}", "pin", [column])


def create_peer_results(op: Operations) -> None:
    """Create results of other tools, and the histogram of each of their streams."""
    op.create_table(
        "peer_result",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("id", AutoString(), nullable=False),
        sa.Column("title", AutoString(), nullable=False),
        sa.Column("imported_at", UTCDateTime(), nullable=False),
        sa.Column("file_name", AutoString(), nullable=False),
        sa.Column("sha256", AutoString(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("read_as", AutoString(), nullable=False),
        sa.Column("report", AutoString(), nullable=False),
    )
    op.create_index("ix_peer_result_id", "peer_result", ["id"], unique=True)
    op.create_index("ix_peer_result_sha256", "peer_result", ["sha256"])
    op.create_table(
        "peer_samples",
        sa.Column("result", sa.Integer(), primary_key=True),
        sa.Column("place", sa.Integer(), primary_key=True),
        sa.Column("samples", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["result"], ["peer_result.seq"], ondelete="CASCADE"),
    )


def create_share_links(op: Operations) -> None:
    """Create share links."""
    op.create_table(
        "share_link",
        sa.Column("id", AutoString(), primary_key=True),
        sa.Column("digest", AutoString(), nullable=False),
        sa.Column("kind", AutoString(), nullable=False),
        sa.Column("subject", AutoString(), nullable=False),
        sa.Column("title", AutoString(), nullable=False),
        sa.Column("shown", AutoString(), nullable=False),
        sa.Column("made_by", AutoString(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.Column("revoked_at", UTCDateTime(), nullable=True),
        sa.Column("used_at", UTCDateTime(), nullable=True),
    )
    op.create_index("ix_share_link_of", "share_link", ["kind", "subject"])


# As in 0006 this is the product's own: a run from before belongs to the trend of those after it.

_STEP_KEY = ("spec", "stream", "metric", "baseline", "machine")


def create_trends(op: Operations) -> None:
    """Add the digest of the spec of each run, by which trends find it; create marks of steps."""
    op.add_column("run", sa.Column("spec_digest", AutoString(), nullable=True))
    op.create_table(
        "step_mark",
        sa.Column("id", AutoString(), primary_key=True),
        *(sa.Column(name, AutoString(), nullable=False) for name in _STEP_KEY),
        sa.Column("found", sa.Integer(), nullable=True),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.Column("note", AutoString(), nullable=False),
        sa.Column("made_by", AutoString(), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.Column("told_at", UTCDateTime(), nullable=True),
    )
    op.create_index("ix_step_mark_of", "step_mark", _STEP_KEY)
    _fill_digests(op)
    op.create_index("ix_run_spec", "run", ["spec_digest", "state", "outcome", "machine"])


def _fill_digests(op: Operations) -> None:
    """Spare those of elsewhere, which belong to no trend, and what cannot be read."""
    connection = op.get_bind()
    ours = "SELECT seq, spec FROM run JOIN run_facts ON run = seq WHERE origin IS NULL"
    digests = []
    for seq, text in connection.exec_driver_sql(ours):
        with suppress(ValueError, TypeError, LookupError, RecursionError):
            digests.append((spec_digest(stored_spec(text)), seq))
    if digests:
        connection.exec_driver_sql("UPDATE run SET spec_digest = ? WHERE seq = ?", digests)


_FILL_TRIAL_RATES = """
UPDATE run_facts SET trial_rates = (
    SELECT json_group_array(rate) FROM (
        SELECT round(json_extract(document, '$.streams[0].throughput_per_s'), 3) AS rate
        FROM trial WHERE trial.run = run_facts.run AND json_valid(document) ORDER BY block
    ) WHERE rate IS NOT NULL
) WHERE run IN (SELECT seq FROM run WHERE state = 'finished')
"""


def add_verdicts_and_trial_rates(op: Operations) -> None:
    """Add the verdict on each arm, and the throughput of each trial of a run, for lists.

    Experiments that ended before have none: nobody can judge here.
    """
    op.add_column("experiment_arm", sa.Column("verdict", AutoString(), nullable=True))
    op.create_index("ix_experiment_arm_verdict", "experiment_arm", ["verdict", "run"])
    op.add_column("run_facts", sa.Column("trial_rates", AutoString(), nullable=True))
    op.execute(_FILL_TRIAL_RATES)


_FILL_SLUGS = """
UPDATE experiment SET slug = coalesce(json_extract(document, '$.slug'), ''),
    confirms = coalesce(json_extract(document, '$.confirms'), '') WHERE json_valid(document)
"""


def list_experiments(op: Operations) -> None:
    """Add what experiments are looked up by, and the sentence that lists show, in its parts.

    Those that ended before have no such sentence: nobody can judge here.
    """
    op.add_column("experiment", sa.Column("headline", AutoString(), nullable=True))
    for column in ("slug", "confirms"):
        text: sa.Column[str] = sa.Column(column, AutoString(), nullable=False, server_default="")
        op.add_column("experiment", text)
    op.execute(_FILL_SLUGS)
    for column in ("slug", "confirms"):
        op.create_index(f"ix_experiment_{column}", "experiment", [column])


def write_seconds_by_columns(_: Operations) -> None:
    """Change nothing: blobs of before are read as they are, and older versions read no new ones."""


UPGRADES: Mapping[str, Callable[[Operations], None]] = {
    "0001": run_table_migrations.create_first_tables,
    "0002": create_configurations,
    "0003": run_table_migrations.add_causes,
    "0004": run_table_migrations.add_given_name,
    "0005": create_used_numbers,
    "0006": run_table_migrations.keep_secrets_apart,
    "0007": run_table_migrations.create_deleted_runs,
    "0008": run_table_migrations.add_first_byte,
    "0009": create_experiments,
    "0010": let_experiments_pause,
    "0011": create_audit_log,
    "0012": add_objectives,
    "0013": run_table_migrations.add_origin,
    "0014": run_table_migrations.keep_state_of_deleted_runs,
    "0015": add_sentence_of_experiments,
    "0016": create_block_variances,
    "0017": add_noise_of_experiments,
    "0018": run_table_migrations.list_applications_and_machines,
    "0019": run_table_migrations.sort_by_numbers,
    "0020": create_pins,
    "0021": create_peer_results,
    "0022": create_share_links,
    "0023": create_trends,
    "0024": add_verdicts_and_trial_rates,
    "0025": list_experiments,
    "0026": write_seconds_by_columns,
    "0027": run_table_migrations.filter_by_number,
    "0028": run_table_migrations.search_commits,
}
