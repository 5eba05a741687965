"""The most that a client can do on a machine: what is measured for it, and what it says."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.errors import SettingsError
from control_plane.domain.load_models import Closed
from control_plane.domain.result import Environment
from control_plane.domain.spec import (
    RESPONDER,
    Client,
    RequestClass,
    Spec,
    Stop,
    Stream,
    Workload,
)
from control_plane.domain.spec_json import Document, write_spec

CLIENTS = tuple(Client(strategy=strategy) for strategy in STRATEGIES)
"""One client of each strategy, with defaults."""

TAG = "client ceiling"
USERS = 64
CEILING_WINDOW_S = 3.0
CEILING_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Ceiling:
    """Throughput of `client` against the bare responder, as run `run_id` found it.

    `responder_cpu_share`: of one core. `at_least`: the responder was at its limit, so that the
    client can do more. `outcome` is the validity of the run, never invalid; `doubt` says why it is
    suspect, "" where it is not.
    """

    client: Client
    users: int
    throughput_per_s: float
    responder_cpu_share: float | None
    at_least: bool
    outcome: str | None
    run_id: str
    measured_at: datetime
    environment: Environment
    doubt: str = ""


def ceiling_clients(strategies: Sequence[str]) -> list[Client]:
    """Return those that are named, all when none is. Raises SettingsError for an unknown one."""
    known: dict[str, Client] = {client.strategy: client for client in CLIENTS}
    for name in strategies:
        if name not in known:
            names = ", ".join(known)
            raise SettingsError(f"{name[:40]!r} is no strategy: choose of {names}.")
    return [known[name] for name in dict.fromkeys(strategies or known)]


def strategy_order(client: Client) -> int:
    """Return the place of its strategy in the lists of the product."""
    return list(STRATEGIES).index(client.strategy)


def ceiling_spec(client: Client) -> Spec:
    """Return the spec of the run that measures the ceiling of this client."""
    users = 1 if STRATEGIES[client.strategy].alone else USERS
    stream = Stream(
        requests=(RequestClass(),),
        load=Closed(concurrency=users),
        stop=Stop(duration_s=CEILING_WINDOW_S),
    )
    return Spec(
        workload=Workload((stream,)),
        target=RESPONDER,
        client=ceiling_client(client),
        title=f"client ceiling, {client_name(client)}",
        tags=(TAG,),
        timeout_s=CEILING_TIMEOUT_S,
    )


def ceiling_submission(client: Client) -> Document:
    """Return the spec of `ceiling_spec` as JSON, to be handed in."""
    return write_spec(ceiling_spec(client))


def ceiling_client(client: Client) -> Client:
    """Return the client with defaults for what does not touch its ceiling."""
    usual, facts = Client(), STRATEGIES[client.strategy]
    looping = not (facts.threads or facts.alone)
    return replace(
        client,
        loop=client.loop if looping else usual.loop,
        session=client.session if facts.threads else usual.session,
        max_body_bytes=usual.max_body_bytes,
    )


def client_name(client: Client) -> str:
    """Return its strategy and what differs from the default: `async, asyncio, 2 processes`."""
    return ", ".join([client.strategy, *_unusual(ceiling_client(client))])


def _unusual(client: Client) -> Iterator[str]:
    usual = Client()
    if client.loop != usual.loop:
        yield client.loop
    if client.processes != usual.processes:
        yield f"{client.processes} processes"
    if client.session != usual.session:
        yield f"{client.session} session"
    if not client.reuse_connections:
        yield "new connections"
