"""The table of client ceilings: the most that each client can send on this machine."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from control_plane.analysis.headroom import ceiling_rate, trusted_first
from control_plane.domain.ceiling import (
    CLIENTS,
    Ceiling,
    ceiling_client,
    ceiling_spec,
    client_name,
    strategy_order,
)
from control_plane.domain.run import Run
from control_plane.domain.spec import Client
from control_plane.domain.units import NONE, about, share
from control_plane.jobs.run_service import RunService
from control_plane.jobs.stored_ceilings import ceilings_here, unfinished
from control_plane.pages.progress_view import phase_text
from control_plane.pages.site import View
from control_plane.store.store import Store


@dataclass(frozen=True)
class CeilingRow:
    """`run_id` measured `most`; run `busy_id` measures now or waits, and `busy` says how far."""

    name: str
    users: int
    most: str
    limit: str
    outcome: str | None
    run_id: str | None
    at: datetime | None
    busy_id: str | None
    busy: str


@dataclass(frozen=True)
class CeilingsView(View):
    """Asked for again while something of it is `measuring`."""

    template: ClassVar[str] = "partials/ceilings.html"
    rows: tuple[CeilingRow, ...]
    measuring: bool


def measuring_time(service: RunService) -> str:
    """Return how long it takes to measure every strategy."""
    return about(sum(service.expected_seconds(ceiling_spec(client)) for client in CLIENTS))


def ceilings_view(store: Store, service: RunService) -> CeilingsView:
    """Return a row for each strategy, and for each other client that was measured here."""
    known: dict[Client, Ceiling] = {}
    for ceiling in trusted_first(ceilings_here(store)):
        known.setdefault(ceiling.client, ceiling)
    working = {ceiling_client(run.spec.client): run for run in reversed(unfinished(store))}
    clients = sorted(dict.fromkeys([*CLIENTS, *known, *working]), key=strategy_order)
    rows = tuple(
        _row(client, known.get(client), working.get(client), service) for client in clients
    )
    return CeilingsView(rows, bool(working))


def _row(
    client: Client, known: Ceiling | None, working: Run | None, service: RunService
) -> CeilingRow:
    return CeilingRow(
        name=client_name(client),
        users=known.users if known else 0,
        most=ceiling_rate(known) if known else NONE,
        limit=_limit(known) if known else "not measured yet",
        outcome=known.outcome if known else None,
        run_id=known.run_id if known else None,
        at=known.measured_at if known else None,
        busy_id=working.id if working else None,
        busy=_how_far(working, service) if working else "",
    )


def _limit(ceiling: Ceiling) -> str:
    """Return why it is suspect, where it is, and what kept it from more."""
    busy = f"the responder used {share(ceiling.responder_cpu_share)} of its core"
    limit = f"{busy} and was at its limit" if ceiling.at_least else busy
    return f"{ceiling.doubt} {limit[:1].upper()}{limit[1:]}" if ceiling.doubt else limit


def _how_far(run: Run, service: RunService) -> str:
    progress = service.progress(run.id)
    return phase_text(run.spec, progress, service.live(run.id)) if progress else run.state.value
