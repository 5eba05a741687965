"""What a run must show unless other programs had the processor meanwhile, by its own account."""

from collections.abc import Callable
from typing import Any

from control_plane.analysis.validity.client_and_machine_gates import OTHER_CPU

QUIET_CPU = 0.05
"""Cores. Up to here it was this test that asked for the state of the run."""
TRIES = 4

Run = dict[str, Any]


def judged(run: Run) -> dict[str, Run]:
    """Each gate that was judged."""
    return {gate["gate"]: gate for gate in run["validity"]["judged"]}


def levels(run: Run) -> dict[str, str]:
    return {gate: judgement["level"] for gate, judgement in judged(run).items()}


def unless_disturbed(run: Callable[[], Run], holds: Callable[[Run], bool]) -> None:
    """The first run holds, or shows how much others used; then the next is asked, up to `TRIES`.

    What is so in a disturbed run too `holds` asserts by itself, so that it is seen in each.
    """
    for _ in range(TRIES):
        ended = run()
        if holds(ended):
            return
        gates = judged(ended)
        cores = gates["other_load"]["value"]
        assert cores > QUIET_CPU, gates
        assert gates["other_load"]["level"] == ("ok" if cores <= OTHER_CPU else "suspect")
