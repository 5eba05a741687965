"""The two clocks of a request: from when it was meant to start, and from when it started."""

from collections.abc import Iterable

import numpy as np

from control_plane.domain.result import PERCENTILES
from control_plane.domain.run import StreamResult
from control_plane.domain.spec import Spec

DIFFERS = 1.01
"""From this ratio at any percentile on, both times are worth a curve: one pixel on the axis."""

BOTH = (
    "Response time runs from the moment a request was meant to start: what somebody who waits for "
    "it feels. Service time runs from the moment it was sent: what it takes once it is under way."
)
SCHEDULED = "Response time runs from the moment a request was meant to start."
CLOSED = (
    "Closed model: each user waits for the answer before the next request. So a stalled server "
    "also stops the requests that would have met the stall (coordinated omission), and this chart "
    "cannot show their waiting."
)
PERIODIC = (
    "Periodic load: each user waits for its answer, so no time shows queueing. Response time is "
    "longer than service time only by what the client was late."
)


def times_differ(result: StreamResult) -> bool:
    """Whether response and service time differ so much that both are drawn."""
    if not result.service.total or result.service is result.response:
        return False
    shares = np.array(list(PERCENTILES.values()))
    service, response = (
        np.maximum(one.quantiles_ns(shares), 1) for one in (result.service, result.response)
    )
    return bool((response >= DIFFERS * service).any())


def time_base_note(spec: Spec, results: Iterable[StreamResult]) -> str:
    """What the times of a run mean, and what its load models cannot show; a sentence for each."""
    loads = [stream.load for stream in spec.workload.streams]
    scheduled = BOTH if any(map(times_differ, results)) else SCHEDULED
    notes = {"schedule": scheduled, "response": CLOSED, "interval": PERIODIC}
    present = {load.starts_by for load in loads}
    return " ".join(note for starts_by, note in notes.items() if starts_by in present)
