"""The part of a run's page that tells how near the load came to the most its client can send."""

from dataclasses import dataclass
from datetime import datetime

from control_plane.analysis.headroom import (
    Headroom,
    headroom,
    headroom_explanation,
    headroom_sentence,
)
from control_plane.analysis.prose.sentence import Sentence, sentence
from control_plane.domain.ceiling import ceiling_spec
from control_plane.domain.run import Run
from control_plane.domain.units import about, share
from control_plane.jobs.run_service import RunService
from control_plane.jobs.stored_ceilings import measured_here, stored_ceilings
from control_plane.store.store import Store


@dataclass(frozen=True)
class CeilingPart:
    """How near a run came to the ceiling of its client.

    `share` is that of the ceiling, in per cent; None where none is known or a run exceeded it.
    Then `time` is how long the measuring takes, "" where it is not offered. `run_id` and `at` are
    those of the run that measured the ceiling.
    """

    sentence: Sentence
    explanation: str
    share: float | None
    share_text: str
    run_id: str | None
    at: datetime | None
    time: str


def ceiling_part(run: Run, store: Store, service: RunService) -> CeilingPart | None:
    """Return how near a run came to the ceiling of its client.

    None where nothing was measured, where the client is what was measured, and where its ceiling
    is not known and cannot be measured here.
    """
    if not run.streams or run.spec.target.is_responder:
        return None
    found = headroom(run, stored_ceilings(store, run.spec.client.strategy))
    if found is not None:
        offered = found.outdated and measured_here(run)
        return _known(found, _time(run, service) if offered else "")
    return _unknown(run, service) if measured_here(run) else None


def _known(found: Headroom, time: str) -> CeilingPart:
    return CeilingPart(
        sentence=headroom_sentence(found),
        explanation=headroom_explanation(found),
        share=None if found.outdated else round(100 * found.share, 2),
        share_text=share(found.share),
        run_id=found.ceiling.run_id,
        at=found.ceiling.measured_at,
        time=time,
    )


def _unknown(run: Run, service: RunService) -> CeilingPart:
    return CeilingPart(
        sentence=sentence("The most that this client can send is not known on this machine."),
        explanation="A bare responder, which costs next to nothing, shows it.",
        share=None,
        share_text="",
        run_id=None,
        at=None,
        time=_time(run, service),
    )


def _time(run: Run, service: RunService) -> str:
    return about(service.expected_seconds(ceiling_spec(run.spec.client)))
