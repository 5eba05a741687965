"""The bounds of a spec and the rules between its fields. Pure: a spec in, wrong fields out."""

from collections.abc import Sequence

from control_plane.domain.endless_responses import UntilBytes, UntilEvent
from control_plane.domain.errors import FieldError
from control_plane.domain.limits import TEXT_LENGTHS, Limits, Wrong, bounded, bounded_text, counted
from control_plane.domain.metrics_and_objectives import wrong_objectives
from control_plane.domain.request import (
    NAME,
    Capture,
    CookieCapture,
    HeaderCapture,
    JsonCapture,
    RowValue,
    SequenceValue,
    Value,
    filled_names,
)
from control_plane.domain.request_rules import HEADER_NAME, MAX_ANSWER_BYTES, wrong_request
from control_plane.domain.row_files import row_count
from control_plane.domain.server_command_lines import (
    FIELDS,
    SERVERS,
    lacking,
    server_label,
    worker_class,
)
from control_plane.domain.spec import (
    BUNDLED,
    BeforeRequest,
    Cores,
    RequestClass,
    Stream,
    SubmittedSpec,
    Target,
    UrlTarget,
)
from control_plane.domain.target_addresses import wrong_host, wrong_url

_FIELD = "client.processes"


def wrong_processes(spec: SubmittedSpec, limits: Limits) -> Wrong:
    """Find too many processes: each one of each stream needs a user and a request of its own."""
    processes = spec.client.processes
    most = max(1, limits.max_processes // max(1, len(spec.workload.streams)))
    if not 1 <= processes <= most:
        yield from bounded(_FIELD, processes, 1, most, "max_processes")
        return
    for stream in spec.workload.streams:
        count, what = _least(stream)
        if 1 <= count < processes:
            whose = f"{count:,} {what} of {stream.name[:40]}"
            message = f"{processes:,} processes cannot share {whose}: use {count:,} or fewer."
            yield FieldError(_FIELD, message, count)
            return


def _least(stream: Stream) -> tuple[int, str]:
    """Return the smallest number that processes divide, and what it counts."""
    users = (stream.load.users, "requests in flight")
    if stream.stop.requests is not None:
        return min((stream.stop.requests, "requests"), users)
    return users


_BUNDLED_SETTINGS = {
    "upstream_delay_s": 60.0,
    "log_s": 60.0,
    "wait_scale": 10.0,
    "cpu_n": 1_000_000_000.0,
}
"""The largest value of each number that the bundled application reads; the smallest is 0."""

_DATABASES = ("sqlite",)


def wrong_fields(spec: SubmittedSpec, limits: Limits) -> tuple[FieldError, ...]:
    """Return all that is wrong with a spec, in the order of the document."""
    return tuple(_all(spec, limits))


def _all(spec: SubmittedSpec, limits: Limits) -> Wrong:
    yield from bounded_text("title", spec.title, TEXT_LENGTHS.title)
    yield from counted("tags", len(spec.tags), 0, 20, "tags")
    for index, tag in enumerate(spec.tags):
        yield from bounded_text(f"tags.{index}", tag, TEXT_LENGTHS.tag, empty=False)
    yield from bounded("seed", spec.seed, 0, 2**53)
    yield from _target(spec, limits)
    yield from _responder(spec)
    yield from counted("before", len(spec.before), 0, 20, "requests")
    for index, before in enumerate(spec.before):
        yield from _before(f"before.{index}", before, spec.before[:index], spec, limits)
    yield from counted(
        "workload.streams", len(spec.workload.streams), 1, limits.max_streams, "streams"
    )
    yield from _names(spec)
    for index, stream in enumerate(spec.workload.streams):
        yield from _stream(f"workload.streams.{index}", stream, spec, limits)
    yield from wrong_processes(spec, limits)
    yield from bounded("client.max_body_bytes", spec.client.max_body_bytes, 1, MAX_ANSWER_BYTES)
    yield from bounded("trials", spec.trials, 1, limits.max_trials, "max_trials")
    yield from bounded("warmup_s", spec.warmup_s, 0, limits.max_warmup_s, "max_warmup_s")
    yield from bounded("timeout_s", spec.timeout_s, 0.1, limits.max_timeout_s, "max_timeout_s")
    yield from bounded("max_error_share", spec.max_error_share, 0, 1)
    streams = [stream.name for stream in spec.workload.streams]
    yield from wrong_objectives(spec.objectives, streams)
    if isinstance(spec.cores, Cores):
        yield from _cores("cores.target", spec.cores.target)
        yield from _cores("cores.client", spec.cores.client)


def _target(spec: SubmittedSpec, limits: Limits) -> Wrong:
    if spec.target.host is not None and (fault := wrong_host(spec.target.host)):
        yield FieldError("target.host", fault)
    if isinstance(spec.target, UrlTarget):
        yield from wrong_url("target.url", spec.target.url, limits.allowed_targets)
    if spec.target.started is not None:
        yield from _started("target", spec.target.started, limits)


def _before(
    field: str,
    request: BeforeRequest,
    earlier: Sequence[BeforeRequest],
    spec: SubmittedSpec,
    limits: Limits,
) -> Wrong:
    known = [
        name for other in earlier if other.per in {"run", request.per} for name in other.capture
    ]
    yield from wrong_request(field, request, limits, known)
    yield from counted(f"{field}.capture", len(request.capture), 0, 20, "captured values")
    used = {*filled_names(request.values), *(name for other in earlier for name in other.capture)}
    for name, source in request.capture.items():
        place = f"{field}.capture.{name[:40]}"
        if not NAME.fullmatch(name):
            yield FieldError(place, "A name is made of letters, digits and _, up to 40.")
        elif name in used:
            yield FieldError(place, f"{{{name}}} is filled already: call it something else.")
        yield from _capture(place, source)
    for name, value in request.values.items():
        if fault := _unusable(value, request, spec):
            yield FieldError(f"{field}.values.{name[:40]}", fault)


def _capture(field: str, source: Capture) -> Wrong:
    if isinstance(source, JsonCapture) and "" in source.json.split("."):
        message = "Lead to a value of the answer: access_token, or items.0.id for a nested one."
        yield FieldError(f"{field}.json", message)
    elif isinstance(source, HeaderCapture) and not HEADER_NAME.fullmatch(source.header):
        yield FieldError(f"{field}.header", "This is not the name of a header.")
    elif isinstance(source, CookieCapture) and not HEADER_NAME.fullmatch(source.cookie):
        yield FieldError(f"{field}.cookie", "This is not the name of a cookie.")


def _unusable(value: Value, request: BeforeRequest, spec: SubmittedSpec) -> str:
    """Return why a value cannot fill a request before the load; empty where it can."""
    if isinstance(value, SequenceValue) and not value.repeat:
        return 'Before the load no sequence goes on: choose a uuid, or give it "repeat": true.'
    if isinstance(value, RowValue) and value.order == "each_once":
        users = sum(stream.load.users for stream in spec.workload.streams)
        needed = users if request.per == "user" else 1
        return _too_few(value, needed, "requests before the load", spec.trials)
    return ""


def _responder(spec: SubmittedSpec) -> Wrong:
    """Find what the bare responder lacks: it is one process and reads only a request's head."""
    target = spec.target.started
    if target is None or not target.is_responder:
        return
    yield from bounded("target.workers", target.workers or 1, 1, 1)
    if target.application != BUNDLED or target.settings:
        message = "The bare responder runs no application: leave application and settings out."
        yield FieldError("target.settings", message)
    for field, request in spec.requests():
        if request.method != "GET":
            message = "The bare responder answers GET only: choose another server."
            yield FieldError(f"{field}.method", message)


def _started(field: str, target: Target, limits: Limits) -> Wrong:
    yield from _switches(field, target)
    yield from _workers(f"{field}.workers", target, limits)
    for name, high in (("threads", 1_000), ("keep_alive_s", 3_600), ("backlog", 65_535)):
        if (value := getattr(target, name)) is not None:
            yield from bounded(f"{field}.{name}", value, 1, high)
    if target.reload and target.workers != 1:
        yield FieldError(f"{field}.workers", "With reload a server runs one worker: use 1.", 1)
    if target.application != BUNDLED:
        if target.settings:
            message = "Only the bundled application has settings: leave this empty."
            yield FieldError(f"{field}.settings", message)
        return
    for name, setting in target.settings.items():
        yield from _setting(f"{field}.settings.{name[:40]}", name, setting)


def _workers(field: str, target: Target, limits: Limits) -> Wrong:
    most = SERVERS[target.server].most_workers
    if target.workers is None:
        return
    if most is None:
        yield from bounded(field, target.workers, 1, limits.max_workers, "max_workers")
    else:
        yield from bounded(field, target.workers, 1, most)


def _setting(field: str, name: str, value: float | str) -> Wrong:
    if name == "database":
        if value not in _DATABASES:
            yield FieldError(field, f"The database is one of {', '.join(_DATABASES)}.")
    elif name not in _BUNDLED_SETTINGS:
        yield FieldError(field, "The bundled application has no such setting.")
    elif isinstance(value, str):
        yield FieldError(field, "Give a number.")
    else:
        yield from bounded(field, value, 0, _BUNDLED_SETTINGS[name])


def _switches(field: str, target: Target) -> Wrong:
    """Find what is not null though the server lacks it, and what is null though it has it."""
    label = server_label(target.server, target.worker)
    lacks = lacking(target.server, target.worker)
    for name in lacks:
        if getattr(target, name) is not None:
            message = f"{label} has no {name}: leave it null."
            yield FieldError(f"{field}.{name}", message)
    for name in sorted(set(FIELDS) - set(lacks)):
        if getattr(target, name) is None:
            choices = {"worker": SERVERS[target.server].workers, "reuse_port": ("true", "false")}
            remedy = f": give {' or '.join(choices[name])}" if name in choices else ""
            yield FieldError(f"{field}.{name}", f"{label} needs {name}{remedy}.")
    kind = worker_class(target.server, target.worker)
    if kind and kind.pairs and (target.loop, target.http) not in kind.pairs:
        pairs = ", or ".join(f"{loop} with {http}" for loop, http in kind.pairs)
        yield FieldError(f"{field}.http", f"{target.worker} runs {pairs}.")


def _names(spec: SubmittedSpec) -> Wrong:
    seen: set[str] = set()
    for index, stream in enumerate(spec.workload.streams):
        field = f"workload.streams.{index}.name"
        yield from bounded_text(field, stream.name, 40, empty=False)
        if stream.name in seen:
            yield FieldError(field, f"Two streams are called {stream.name!r}.")
        seen.add(stream.name)


def _stream(field: str, stream: Stream, spec: SubmittedSpec, limits: Limits) -> Wrong:
    yield from counted(f"{field}.requests", len(stream.requests), 1, 100, "request classes")
    captured = [name for before in spec.before for name in before.capture]
    for index, request in enumerate(stream.requests):
        yield from wrong_request(f"{field}.requests.{index}", request, limits, captured)
        weight = f"{field}.requests.{index}.weight"
        yield from bounded(weight, request.weight, 0.001, 1_000_000)
    yield from stream.load.wrong(f"{field}.load", spec.client.strategy, limits)
    if stream.load.all_at_once and stream.stop.duration_s is not None:
        yield FieldError(
            f"{field}.stop",
            "A burst stops by requests: give stop.requests.",
            at_field="A burst stops after a number of requests: choose that.",
        )
    requests, duration_s, longest_s = stream.stop.requests, stream.stop.duration_s, "max_duration_s"
    if requests is not None:
        most = limits.max_requests
        yield from bounded(f"{field}.stop.requests", requests, 1, most, "max_requests")
    if duration_s is not None:
        most_s = limits.max_duration_s
        yield from bounded(f"{field}.stop.duration_s", duration_s, 0.1, most_s, longest_s)
    for index, request in enumerate(stream.requests):
        yield from _until(f"{field}.requests.{index}.until", request, spec)
    yield from _rows_once(field, stream, spec)
    late_s = stream.start_after_s
    yield from bounded(f"{field}.start_after_s", late_s, 0, limits.max_duration_s, longest_s)


MAX_EVENT = 10_000


def _until(field: str, request: RequestClass, spec: SubmittedSpec) -> Wrong:
    """Find an end of reading that no response reaches, or not by its deadline."""
    until = request.until
    if until is None:
        return
    if request.method == "HEAD":
        yield FieldError(field, "An answer to HEAD has no body to read: leave this out.")
    elif isinstance(until, UntilBytes):
        most = spec.client.max_body_bytes
        yield from bounded(f"{field}.bytes", until.bytes, 1, most)
    elif isinstance(until, UntilEvent):
        yield from bounded(f"{field}.event", until.event, 1, MAX_EVENT)
    elif until.seconds >= spec.timeout_s:
        message = (
            f"The request is given up after {spec.timeout_s:g} s: read for less, or wait longer."
        )
        yield FieldError(f"{field}.seconds", message, spec.timeout_s)
    else:
        yield from bounded(f"{field}.seconds", until.seconds, 0.001, spec.timeout_s)


def _rows_once(field: str, stream: Stream, spec: SubmittedSpec) -> Wrong:
    """Find rows that cannot come once: too few of them, or nobody knows how many are needed."""
    once = (
        (f"{field}.requests.{index}.values.{name[:40]}.order", value)
        for index, request in enumerate(stream.requests)
        for name, value in request.values.items()
        if isinstance(value, RowValue) and value.order == "each_once"
    )
    for place, value in once:
        requests = stream.stop.requests or 0
        fault = _uncounted(stream, spec) or _too_few(value, requests, "requests", spec.trials)
        if fault:
            yield FieldError(place, fault)


def _uncounted(stream: Stream, spec: SubmittedSpec) -> str:
    if stream.stop.requests is None:
        return "Rows that come once need a number of requests to stop after, not a time."
    if spec.warmup_s or stream.load.ramp_up_s:
        return "Warm-up and ramp-up would use up rows that come once: set both to 0."
    return ""


def _too_few(value: RowValue, wanted: int, what: str, trials: int) -> str:
    """Return that `wanted` requests in each trial are more than its rows; empty where not."""
    trials = 1 if value.repeat else trials
    needed, rows = wanted * trials, row_count(value.file)
    if rows is None or rows >= needed:
        return ""
    times = f" in each of {trials} trials" if trials > 1 else ""
    asked = f"{wanted:,} {what}{times} need {needed:,}"
    return f"{value.file.name[:40]} has {rows:,} rows, and {asked}: each comes once."


def _cores(field: str, cores: tuple[int, ...]) -> Wrong:
    yield from counted(field, len(cores), 1, 1_024, "cores")
    for core in cores:
        yield from bounded(field, core, 0, 1_023)
