"""The spec: everything that defines a run, frozen with it.

The dataclasses give the shape (names and types as in the JSON of the API, unknown keys refused);
`spec_rules` gives the bounds. Times are in seconds, sizes in bytes. A spec that came through
`spec_json.read_spec` is right and is trusted everywhere after.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from control_plane.domain.client_strategies import StrategyName
from control_plane.domain.endless_responses import Until
from control_plane.domain.limits import (
    MAX_ERROR_SHARE,
    ONE_OF,
    STRICT,
    Checked,
    ReadAs,
    kind_told_by_shape,
)
from control_plane.domain.load_models import Load
from control_plane.domain.metrics_and_objectives import Objective
from control_plane.domain.request import Body, Capture, Expect, Method, RowValue, Value
from control_plane.domain.server_command_lines import (
    DEFAULT_BACKLOG,
    DEFAULT_KEEP_ALIVE_S,
    ServerName,
    WorkerName,
)
from control_plane.domain.units import number_of, share

if TYPE_CHECKING:
    from pydantic import ConfigDict, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

BUNDLED = "bundled"
DEFAULT_THREADS = 40
"""The worker threads that AnyIO lends where nobody says otherwise."""


class BaseTarget(Checked):
    """What the product asks of every target: None or empty where that kind has no such thing."""

    @property
    def started(self) -> "Target | None":
        """The target itself where Looplab starts its server; None where it runs already."""
        return None

    url = ""
    """The address of a server that runs already, else empty."""

    @property
    def host(self) -> str | None:
        """The Host that requests carry; None for the usual one of its kind."""
        return None

    @property
    def application(self) -> str | None:
        """`bundled` or a name of the settings; None where nobody knows what is served."""
        return None

    @property
    def workers(self) -> int | None:
        """How many worker processes it is started with; None where that is not known."""
        return None

    @property
    def is_responder(self) -> bool:
        """Whether it is the bare responder, so that a run measures its client and no server."""
        return False


@dataclass(frozen=True)
class Target(BaseTarget):
    """A server that is started for each trial. None marks what the server does not have.

    `application` is `bundled` or a name of the settings. `server` is `command` where those settings
    hold the whole command line: then nothing else is chosen here. `responder` serves none. `host`
    None: the application's, else `localhost` with the port. `probe`: whether its workers are
    observed from inside.
    """

    application: str = BUNDLED
    server: ServerName = "uvicorn"
    worker: WorkerName | None = None
    workers: int | None = 1
    loop: Literal["uvloop", "asyncio"] | None = "uvloop"
    http: Literal["httptools", "h11"] | None = "httptools"
    threads: int | None = DEFAULT_THREADS
    reuse_port: bool | None = None
    reload: bool | None = False
    access_log: bool | None = False
    keep_alive_s: int | None = DEFAULT_KEEP_ALIVE_S
    backlog: int | None = DEFAULT_BACKLOG
    host: str | None = None
    probe: bool = True
    settings: dict[str, float | str] = field(default_factory=dict)

    @property
    def started(self) -> "Target":
        return self

    @property
    def is_responder(self) -> bool:
        return self.server == RESPONDER.server


RESPONDER = Target(
    server="responder",
    loop=None,
    http=None,
    threads=None,
    reload=None,
    access_log=None,
    keep_alive_s=None,
    backlog=None,
)
"""The bare responder: it costs next to nothing, so that what a run shows is the client."""
RESPONDER_NAME = "bare responder"
"""The name of that target, which is no configuration: it serves nothing."""


@dataclass(frozen=True)
class UrlTarget(BaseTarget):
    """A server that runs already; `url` is scheme, host and optional port.

    `host` None: host and port as they stand in `url`.
    """

    url: str = field()
    host: str | None = None


@dataclass(frozen=True)
class NamedTarget(BaseTarget):
    """The name of a configuration, which a spec that is handed in may give in place of a target.

    `application` and `host` None: those that the configuration has.
    """

    configuration: str
    application: str | None = None
    host: str | None = None

    @property
    def label(self) -> str:
        """Its name, `my fast`; for another application than the bundled one `shop, my fast`."""
        if self.application in {None, BUNDLED}:
            return self.configuration
        return f"{self.application}, {self.configuration}"


def _target_kind(value: Any) -> str:
    if isinstance(value, UrlTarget) or (isinstance(value, dict) and "url" in value):
        return "url"
    if isinstance(value, NamedTarget) or (isinstance(value, dict) and "configuration" in value):
        return "named"
    return "started"


AnyTarget = Target | UrlTarget
_RESOLVED = {"started": Target, "url": UrlTarget}
_SUBMITTED = _RESOLVED | {"named": NamedTarget}
_Resolved = Annotated[AnyTarget, kind_told_by_shape(_RESOLVED, _target_kind)]
_Submitted = Annotated[AnyTarget | NamedTarget, kind_told_by_shape(_SUBMITTED, _target_kind)]


@dataclass(frozen=True)
class BaseRequest(Checked):
    """What every request has: `{name}` in path, header values and body comes from `values`.

    `expect` is what a response must be to count as completed; None means a status from 200 to 299.
    """

    method: Method = "GET"
    path: str = "/"
    values: dict[str, Value] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Body | None = None
    expect: Expect | None = None

    @property
    def rows(self) -> tuple[RowValue, ...]:
        """Those of its values that are rows of a file."""
        return tuple(value for value in self.values.values() if isinstance(value, RowValue))

    @property
    def line(self) -> str:
        """Method and path: `GET /items/{item_id}`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class RequestClass(BaseRequest):
    """One kind of request of a stream; `weight` is its share among them.

    `until` ends the reading of a response before its end; None: it is read whole.
    """

    until: Until | None = None
    weight: float = 1


@dataclass(frozen=True)
class BeforeRequest(BaseRequest):
    """A request before the load of each trial, sent once, or once for each user.

    What it captures of its answer fills placeholders of that name in the requests after it: in
    those of all users, or of its own user alone. Captured values are never shown.
    """

    per: Literal["run", "user"] = "run"
    capture: dict[str, Capture] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """`POST /token once for each user`."""
        return f"{self.line} once{' for each user' if self.per == 'user' else ''}"


_STOPS = ("requests", "duration_s")


@dataclass(frozen=True)
class Stop:
    """When a stream ends: after a number of requests, or after a time. Exactly one is not None."""

    __pydantic_config__ = STRICT

    # One may be left out of a document, but an explicit null is refused.
    requests: Annotated[int | None, ReadAs(lambda: int)] = None
    duration_s: Annotated[float | None, ReadAs(lambda: float)] = None

    @property
    def label(self) -> str:
        """`24,999 requests`, `1 request` or `2.5 s`."""
        if self.duration_s is not None:
            return f"{self.duration_s:g} s"
        return number_of(self.requests or 0, "request")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, stop: "CoreSchema", handler: "GetJsonSchemaHandler"
    ) -> dict[str, Any]:
        """Keep the null that stands for a field left out from clients that write defaults."""
        schema = handler(stop)
        described = handler.resolve_ref_schema(schema)
        described["oneOf"] = [{"required": [name]} for name in _STOPS]
        for name in _STOPS:
            described["properties"][name].pop("default", None)
        return schema


def _exactly_one(value: Any) -> Any:
    """Count the keys of a JSON object."""
    names = list(value) if isinstance(value, dict) else []
    if not isinstance(value, Stop) and len([name for name in _STOPS if name in names]) != 1:
        from pydantic_core import PydanticCustomError

        raise PydanticCustomError(ONE_OF, f"Give exactly one of {', '.join(_STOPS)}.")
    return value


def _as_given(stop: Stop) -> dict[str, int | float]:
    return {name: value for name in _STOPS if (value := getattr(stop, name)) is not None}


def _stop() -> Any:
    from pydantic import BeforeValidator, PlainSerializer

    return Annotated[Stop, BeforeValidator(_exactly_one), PlainSerializer(_as_given)]


@dataclass(frozen=True)
class Stream(Checked):
    """Weighted request classes with one load model. It starts `start_after_s` after the others."""

    requests: tuple[RequestClass, ...]
    load: Load
    stop: Annotated[Stop, ReadAs(_stop)]
    name: str = "requests"
    start_after_s: float = 0

    @property
    def asked(self) -> str:
        """`GET /items/{item_id}`; of several each with its share: `GET / 25 %, POST /sum 75 %`."""
        if len(self.requests) == 1:
            return self.requests[0].line
        whole = sum(request.weight for request in self.requests)
        return ", ".join(
            f"{request.line} {share(request.weight / whole)}" for request in self.requests
        )

    @property
    def rows(self) -> tuple[RowValue, ...]:
        """The values of its request classes that are rows of a file."""
        return tuple(value for request in self.requests for value in request.rows)

    @property
    def title(self) -> str:
        """Its name, or what it asks for where it was given none: `GET / and 2 others`."""
        if self.name != Stream.name:
            return self.name
        others = len(self.requests) - 1
        more = f" and {number_of(others, 'other')}" if others else ""
        return f"{self.requests[0].line}{more}"


@dataclass(frozen=True)
class Workload(Checked):
    """The streams of a run, which run at the same time."""

    streams: tuple[Stream, ...]


@dataclass(frozen=True)
class Client(Checked):
    """How load is driven. `max_body_bytes` bounds one answer.

    `cookies`: each user keeps what answers set, those of requests before the load as well, and
    sends it back.
    """

    strategy: StrategyName = "async"
    reuse_connections: bool = True
    session: Literal["per-thread", "shared"] = "per-thread"
    loop: Literal["uvloop", "asyncio"] = "uvloop"
    processes: int = 1
    max_body_bytes: int = 10_000_000
    cookies: bool = False


@dataclass(frozen=True)
class Cores(Checked):
    """The cores, by number, that target and load workers are pinned to."""

    target: tuple[int, ...]
    client: tuple[int, ...]


@dataclass(frozen=True)
class SubmittedSpec:
    """A spec as it is handed in, whose target may be the name of a configuration.

    `max_error_share`: of the requests of a stream; more errors make the run invalid.
    """

    __pydantic_config__: ClassVar["ConfigDict"] = {**STRICT, "title": "Spec"}

    workload: Workload
    target: _Submitted = field(default_factory=Target)
    client: Client = field(default_factory=Client)
    title: str = ""
    tags: tuple[str, ...] = ()
    seed: int = 1
    trials: int = 1
    warmup_s: float = 1.0
    timeout_s: float = 30.0
    max_error_share: float = MAX_ERROR_SHARE
    cores: Literal["auto", "shared"] | Cores = "auto"
    before: tuple[BeforeRequest, ...] = ()
    objectives: tuple[Objective, ...] = ()

    def requests(self) -> Iterator[tuple[str, BaseRequest]]:
        """Yield every request, with its field: those before the load, then those of the streams."""
        for number, before in enumerate(self.before):
            yield f"before.{number}", before
        for index, stream in enumerate(self.workload.streams):
            for number, request in enumerate(stream.requests):
                yield f"workload.streams.{index}.requests.{number}", request


@dataclass(frozen=True)
class Spec(SubmittedSpec):
    """Everything that defines a run; its target is written out."""

    target: _Resolved = field(default_factory=Target)

    @classmethod
    def of(cls, submitted: SubmittedSpec, target: AnyTarget) -> "Spec":
        """Return the spec with `target` in the place of the one that was handed in."""
        values = {field.name: getattr(submitted, field.name) for field in fields(submitted)}
        return cls(**values | {"target": target})
