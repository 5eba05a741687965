"""The revisions of the schema, in order, each with the function that makes it of the one before.

What databases were made with stays as it is here, because they know a revision by its number.
"""

from collections.abc import Callable, Mapping

from alembic.operations import Operations

from control_plane.store.migrations import run_tables, tables_beside_runs

UPGRADES: Mapping[str, Callable[[Operations], None]] = {
    "0001": run_tables.create_first_tables,
    "0002": tables_beside_runs.create_configurations,
    "0003": run_tables.add_causes,
    "0004": run_tables.add_given_name,
    "0005": tables_beside_runs.create_used_numbers,
    "0006": run_tables.keep_secrets_apart,
    "0007": run_tables.create_deleted_runs,
    "0008": run_tables.add_first_byte,
    "0009": tables_beside_runs.create_experiments,
    "0010": tables_beside_runs.let_experiments_pause,
    "0011": tables_beside_runs.create_audit_log,
    "0012": tables_beside_runs.add_objectives,
    "0013": run_tables.add_origin,
    "0014": run_tables.keep_state_of_deleted_runs,
    "0015": tables_beside_runs.add_sentence_of_experiments,
    "0016": tables_beside_runs.create_block_variances,
    "0017": tables_beside_runs.add_noise_of_experiments,
    "0018": run_tables.list_applications_and_machines,
    "0019": run_tables.sort_by_numbers,
    "0020": tables_beside_runs.create_pins,
    "0021": tables_beside_runs.create_peer_results,
    "0022": tables_beside_runs.create_share_links,
    "0023": tables_beside_runs.create_trends,
    "0024": tables_beside_runs.add_verdicts_and_trial_rates,
}
