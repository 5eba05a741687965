"""The ceiling of a client: what is measured for it, what it says, and which runs come near it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from control_plane.analysis.comparison import invalid
from control_plane.analysis.differences import machine_mismatch
from control_plane.analysis.prose import Sentence, number, sentence
from control_plane.domain.api_documents import moment
from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.errors import SettingsError
from control_plane.domain.ids import run_address
from control_plane.domain.limits import BUSY_SHARE
from control_plane.domain.load_models import Closed
from control_plane.domain.result import Environment, Summary
from control_plane.domain.run import Run, State
from control_plane.domain.spec import RESPONDER, Client, RequestClass, Spec, Stop, Stream, Workload
from control_plane.domain.spec_json import Document, write_spec
from control_plane.domain.units import rate, share

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


LIBRARIES = ("uvloop", "httptools", "aiohttp", "requests", "urllib3", "httpx")
"""What clients are made of: with another version a client is another one."""


AGAIN = 1.05
"""A client at its limit measures its ceiling again, give or take."""


@dataclass(frozen=True)
class Headroom:
    """A run beside the ceiling of its client. `share`: its throughput over the ceiling's.

    `crowded`: more load workers than cores of the client, so none had a core of its own.
    """

    ceiling: Ceiling
    throughput_per_s: float
    share: float
    crowded: bool = False

    @property
    def outdated(self) -> bool:
        """Whether the run clearly exceeded the ceiling, which is none then."""
        return self.share > AGAIN


def ceiling_of(run: Run) -> Ceiling | None:
    """Return the ceiling that a run measured; None unless it finished and its spec measures one."""
    if run.state is not State.FINISHED or invalid(run) or not _is_measurement(run):
        return None
    stream, environment = run.streams[0], run.environment or {}
    busy = _responder_cpu(stream)
    return Ceiling(
        client=run.spec.client,
        users=run.spec.workload.streams[0].load.users,
        throughput_per_s=stream.throughput_per_s,
        responder_cpu_share=busy,
        at_least=busy is not None and busy >= BUSY_SHARE,
        outcome=run.validity.outcome if run.validity else None,
        run_id=run.id,
        measured_at=run.created_at,
        environment=environment,
        doubt=" ".join(reason.text for reason in run.validity.reasons) if run.validity else "",
    )


def ceilings_of(runs: Iterable[Run]) -> tuple[Ceiling, ...]:
    """Return the ceilings that runs measured, in their order."""
    return tuple(found for run in runs if (found := ceiling_of(run)) is not None)


def known_ceiling(
    ceilings: Iterable[Ceiling], client: Client, environment: Environment | None
) -> Ceiling | None:
    """Return the first of this client that was measured on such a machine with the same libraries.

    One in doubt only where there is no other; None where there is none at all.
    """
    for ceiling in trusted_first(ceilings):
        if ceiling.client == ceiling_client(client) and same_setup(
            ceiling.environment, environment
        ):
            return ceiling
    return None


def trusted_first(ceilings: Iterable[Ceiling]) -> list[Ceiling]:
    """Return the ceilings with those of suspect runs last, otherwise in the same order."""
    return sorted(ceilings, key=lambda ceiling: ceiling.outcome == "suspect")


def same_setup(first: Environment | None, second: Environment | None) -> bool:
    """Whether both have the same machine, Python and client libraries."""
    if first is None or second is None or machine_mismatch(first, second) is not None:
        return False
    return all(first.get(name) == second.get(name) for name in LIBRARIES)


def headroom(run: Run, ceilings: Iterable[Ceiling]) -> Headroom | None:
    """Return the busiest stream, which had a client of its own, beside the newest ceiling of it."""
    if run.spec.target.is_responder or not run.streams or run.environment is None:
        return None
    ceiling = known_ceiling(ceilings, run.spec.client, run.environment)
    if ceiling is None or not ceiling.throughput_per_s:
        return None
    measured = max(stream.throughput_per_s for stream in run.streams)
    return Headroom(ceiling, measured, measured / ceiling.throughput_per_s, _crowded(run))


def _crowded(run: Run) -> bool:
    """Whether load workers had to share cores; where cores are unknown, from two workers on."""
    workers = len(run.spec.workload.streams) * run.spec.client.processes
    cores = [trial.client.cores for trial in run.trials]
    return workers > min((len(known) if known else 1 for known in cores), default=1)


def headroom_sentence(found: Headroom) -> Sentence:
    """Return `This client tops out at 21,700 /s here; you measured 13,400 /s.`"""
    if found.outdated:
        return sentence(
            "This run measured ",
            number(rate(found.throughput_per_s)),
            ", more than the stored ceiling of this client, ",
            number(rate(found.ceiling.throughput_per_s)),
            ", which is therefore out of date.",
        )
    more = found.ceiling.at_least or found.ceiling.outcome == "suspect"
    most = "reaches at least" if more else "tops out at"
    return sentence(
        f"This client {most} ",
        number(rate(found.ceiling.throughput_per_s)),
        " here; you measured ",
        number(rate(found.throughput_per_s)),
        ".",
    )


def headroom_explanation(found: Headroom) -> str:
    """Return what the share means for the run."""
    if found.outdated:
        return "Measure the ceiling again while nothing else works."
    part = f"{'At most ' if found.ceiling.at_least else ''}{share(found.share)} of the ceiling."
    if found.ceiling.outcome == "suspect":
        return f"{part} Its measurement is suspect: the client may be able to do more."
    if found.ceiling.at_least:
        return f"{part} The responder was at its limit before the client was."
    if found.crowded:
        return f"{part} Several load workers shared cores, so each had less room than that."
    if found.share < BUSY_SHARE:
        return f"{part} The client had room: what was measured is the target."
    return f"{part} The client was near its limit: a quicker target would hardly show."


def ceiling_rate(ceiling: Ceiling) -> str:
    """Return `21,700 /s`; `≥ 61,000 /s` where the responder was at its limit."""
    return f"{'≥ ' if ceiling.at_least else ''}{rate(ceiling.throughput_per_s)}"


def ceiling_document(ceiling: Ceiling, *, here: bool) -> Document:
    """Return an element of `/api/ceilings`; `here`: it counts on this machine now."""
    return {
        "name": client_name(ceiling.client),
        "strategy": ceiling.client.strategy,
        "client": asdict(ceiling.client),
        "concurrency": ceiling.users,
        "throughput_per_s": ceiling.throughput_per_s,
        "at_least": ceiling.at_least,
        "responder_cpu_share": ceiling.responder_cpu_share,
        "outcome": ceiling.outcome,
        "doubt": ceiling.doubt or None,
        "measured_at": moment(ceiling.measured_at),
        "run": ceiling.run_id,
        "url": run_address(ceiling.run_id),
        "here": here,
        "environment": dict(ceiling.environment),
    }


def ceiling_documents(runs: Iterable[Run], here: Environment) -> list[Document]:
    """Return the ceilings that runs measured as the API tells them; those of `here` count now."""
    return [
        ceiling_document(ceiling, here=same_setup(ceiling.environment, here))
        for ceiling in ceilings_of(runs)
    ]


def _is_measurement(run: Run) -> bool:
    """Whether the spec is that of a ceiling, whatever it is called."""
    wanted = ceiling_spec(run.spec.client)
    named = replace(run.spec, title=wanted.title, tags=wanted.tags, seed=wanted.seed)
    return bool(run.streams) and named == wanted


def _responder_cpu(stream: Summary) -> float | None:
    spent_s = stream.cpu_s_per_request
    return None if spent_s is None else spent_s * stream.throughput_per_s
