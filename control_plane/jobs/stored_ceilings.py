"""The ceilings that the stored runs hold, and those that are being measured."""

from control_plane.analysis.client_ceiling import Ceiling, ceiling_document, ceiling_of, same_setup
from control_plane.domain.run import Run, State
from control_plane.domain.spec import RESPONDER
from control_plane.domain.spec_json import Document
from control_plane.store.store import Store
from control_plane.targets.builtin_configurations import target_name
from control_plane.targets.observation.machine import SHARED_CORES
from control_plane.targets.run_environment import run_environment

LOOKED_AT = 40
"""How many of the newest runs against the responder are looked at."""


def stored_ceilings(store: Store, strategy: str | None = None) -> tuple[Ceiling, ...]:
    """Return the ceilings of every machine, newest first; of one strategy, or of all."""
    page = store.runs(
        limit=LOOKED_AT,
        configuration=target_name(RESPONDER),
        state=State.FINISHED,
        strategy=strategy,
    )
    return tuple(found for run in page.runs if (found := ceiling_of(run)) is not None)


def ceilings_here(store: Store) -> tuple[Ceiling, ...]:
    """Return the ceilings of this machine with the present libraries, newest first."""
    here = run_environment(SHARED_CORES)
    return tuple(
        ceiling for ceiling in stored_ceilings(store) if same_setup(ceiling.environment, here)
    )


def ceiling_documents(store: Store) -> list[Document]:
    """Return all of them as JSON; `here` tells those that count on this machine now."""
    here = run_environment(SHARED_CORES)
    return [
        ceiling_document(ceiling, here=same_setup(ceiling.environment, here))
        for ceiling in stored_ceilings(store)
    ]


def measured_here(run: Run) -> bool:
    """Return whether it was on this machine, with the present Python and client libraries."""
    return same_setup(run.environment, run_environment(SHARED_CORES))


def unfinished(store: Store) -> tuple[Run, ...]:
    """Return the runs against the responder that wait or work, newest first."""
    page = store.runs(limit=LOOKED_AT, configuration=target_name(RESPONDER))
    return tuple(run for run in page.runs if not run.state.terminal)
