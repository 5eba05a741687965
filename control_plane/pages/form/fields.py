"""The fields of the form, as one table: from it they are drawn, read, written and named.

A field of the spec has its dataclass in `domain/spec.py` or `domain/load_models.py`, its bounds in
`domain/spec_rules.py`, and its row here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from control_plane.analysis import field_labels
from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.errors import FieldError
from control_plane.domain.request import Method
from control_plane.domain.server_command_lines import lacking_option, server_options
from control_plane.domain.spec_json import Document
from control_plane.pages.form import FormData
from control_plane.pages.form.arms import ARMS_FORM
from control_plane.pages.form.field_types import (
    BOUND,
    BOXES,
    CAPTURES,
    CHOICES,
    DECIMAL,
    HEADERS,
    JSON,
    LINES,
    NUMBER,
    OBJECTIVES,
    OPTIONAL_TEXT,
    RATE,
    SEGMENTS,
    SELECT,
    SETTINGS,
    STATUSES,
    SWITCH,
    TEXT,
    WORDS,
    FieldKind,
    FormField,
    FormParser,
    Option,
    Section,
)

_LOOPS = (Option("uvloop", "uvloop"), Option("asyncio", "asyncio"))
_PARSERS = (Option("httptools", "httptools"), Option("h11", "h11"))
_SESSIONS = (Option("per-thread", "one for each thread"), Option("shared", "one for all"))
_CORES = (Option("auto", "apart where possible"), Option("shared", "shared"))
_VALUE_KINDS = ("integer", "sequence", "choice", "string", "uuid", "row")
_ORDERS = (
    Option("in_order", "in order, then again"),
    Option("shuffled", "shuffled, then again"),
    Option("each_once", "each row once"),
)
_BODIES = (
    Option("none", "none"), Option("json", "JSON"), Option("text", "text"),
    Option("form", "form"), Option("multipart", "multipart"), Option("generated", "generated"),
)  # fmt: skip
_UNTIL = "It counts as completed then, and its connection is closed: for answers that do not end."
_READ = (
    Option("whole", "To its end", "One that never ends is an error at its deadline."),
    Option("bytes", "Some bytes", _UNTIL),
    Option("seconds", "For a time", _UNTIL), Option("event", "To an event", _UNTIL),
)  # fmt: skip
_LOAD_MODELS = (
    Option("closed", "Closed", "Each user sends the next request when the last one ended. "
           "A slow target is asked less often."),
    Option("open", "Open", "Requests start on a schedule, whatever the answers do. "
           "What finds no free slot waits, and its wait counts."),
    Option("burst", "Burst", "All requests are meant to start at once; they wait for a "
           "connection."),
    Option("periodic", "Periodic", "Each user sends at an interval, and at once where an answer "
           "came later than that."),
)  # fmt: skip
_RESPONDER = Option("responder", "bare responder")
_SERVERS = (*(Option(value, text) for value, text in server_options().items()), _RESPONDER)
_SERVER = FormField("server", SELECT, "Server", usual="uvicorn", options=_SERVERS)


def _known(path: str, kind: FieldKind, explained: str = "", of: str = "", **rest: Any) -> FormField:
    """Return a field that is called as comparisons call it; on the form it may have a `label`."""
    called = field_labels.label_of(f"{of}{path}")
    return FormField(path, kind, **{"label": called, "help": explained, "called": called} | rest)


def _target(path: str, kind: FieldKind, explained: str = "", **rest: Any) -> FormField:
    """Return a field of a target, asked for where the server has it."""
    servers = (option.value for option in _SERVERS)
    having = tuple(server for server in servers if path not in lacking_option(server))
    return _known(path, kind, explained, "target.", when=having, **rest)


_REQUEST = "workload.streams.*.requests.*"
FORM: Mapping[str, Section] = {
    "application": Section("", (FormField("target", BOXES, "Application"),)),
    "address": Section("", (
        _known("target.url", TEXT,
               "here, or where the settings allow it; it is driven, but not started or ended",
               place="w6 of-url", placeholder="http://127.0.0.1:9000"),
    )),
    "configurations": Section("", (
        FormField("target.configuration", BOXES, "Configurations: each is an arm",
                  called="Configurations"),
    )),
    "target": Section("target", (
        _target("workers", NUMBER),
        _target("threads", NUMBER, "the AnyIO limiter, or of a WSGI server"),
        _target("loop", SELECT, options=_LOOPS, required=True),
        _target("http", SELECT, options=_PARSERS, required=True),
        _target("keep_alive_s", NUMBER, unit="s"),
        _target("backlog", NUMBER, "connections that may wait"),
    ), _SERVER),
    "target_switches": Section("target", (
        _target("access_log", SWITCH, label="access log"),
        _target("reload", SWITCH, label="reload"),
        _target("reuse_port", SWITCH, label="reuse port: a listener for each worker"),
        _target("probe", SWITCH, label="look inside: event loop, thread pool, stacks"),
    ), _SERVER),
    "target_settings": Section("target", (
        FormField("settings", SETTINGS, "Application settings", 'JSON, such as {"cpu_n": 5}',
                  place="w6 of-bundled"),
    )),
    "stream": Section("workload.streams.*", (
        FormField("name", TEXT, "Name of the stream", place="w4", called="Name"),
        _known("start_after_s", DECIMAL, unit="s"),
    )),
    "load": Section("workload.streams.*.load", (
        _known("rate_per_s", RATE,
               "or steps of it: 100 for 5, 500 for 5 (each for so many seconds)", unit="/s",
               place="w4", usual="100", when=("open",), required=True),
        _known("max_in_flight", NUMBER, "at most, at once", label="In flight", usual="500",
               when=("open",)),
        _known("arrivals", SEGMENTS, "Poisson: independent of each other, as from many people",
               place="w6", usual="constant", when=("open",),
               options=(Option("constant", "Evenly spaced"), Option("poisson", "Poisson"))),
        _known("interval_s", DECIMAL, "from start to start", unit="s", usual="1",
               when=("periodic",), required=True),
        _known("concurrency", NUMBER, "users at once", usual="64", when=("closed", "periodic")),
        _known("think_time_s", DECIMAL, "between two requests", unit="s", usual="0",
               when=("closed",)),
        _known("ramp_up_s", DECIMAL, "until all users run", unit="s", usual="0", when=("closed",)),
        _known("connections", NUMBER, "at most, at once", usual="100", when=("burst",),
               required=True),
    ), FormField("", SEGMENTS, "Load", place="w6", usual="closed", options=_LOAD_MODELS)),
    "stop": Section("workload.streams.*.stop", (
        _known("duration_s", DECIMAL, of="stop.", unit="s", usual="5", when=("duration_s",),
               required=True),
        _known("requests", NUMBER, of="stop.", usual="10000", when=("requests",), required=True),
    ), FormField("", SEGMENTS, "Stop after", place="w4", usual="duration_s",
                 options=(Option("duration_s", "A time"),
                          Option("requests", "A number of requests")))),
    "request": Section(_REQUEST, (
        _known("method", SELECT, usual="GET",
               options=tuple(Option(method, method) for method in get_args(Method))),
        _known("path", TEXT, "{name} stands for a value that changes with each request", place="w4",
               required=True),
    )),
    "value": Section(f"{_REQUEST}.values.*", (
        FormField("low", NUMBER, "from", usual="1", when=("integer",), required=True),
        FormField("high", NUMBER, "to", usual="1000", when=("integer",), required=True),
        FormField("start", NUMBER, "from", usual="0", when=("sequence",)),
        FormField("step", NUMBER, "step", usual="1", when=("sequence",)),
        FormField("length", NUMBER, "letters", usual="10", when=("string",), required=True),
        FormField("of", CHOICES, "of", place="long", placeholder="red, green", when=("choice",),
                  required=True),
        FormField("repeat", SWITCH, "the same in each run and trial"),
        FormField("secret", SWITCH, "secret: used and never shown", when=("choice", "row")),
    ), FormField("kind", SELECT, "Kind", usual="integer",
                 options=tuple(Option(kind, kind) for kind in _VALUE_KINDS))),
    "before": Section("before.*", (
        FormField("per", SELECT, "Sent", place="w3", usual="user", required=True, options=(
            Option("user", "once for each user"), Option("run", "once for all users"))),
        _known("expect.statuses", STATUSES, place="w3", placeholder="200 to 299"),
        FormField("capture", CAPTURES, "Captured from the answer",
                  "a name: json, header or cookie, and where; then {name} fills later requests",
                  place="w6", placeholder="token: json access_token"),
    )),
    "rows": Section(f"{_REQUEST}.rows", (
        FormField("content", LINES, "Rows",
                  "CSV with a line of names, or JSON lines; a placeholder of kind row is the "
                  "column of its name, and all of a request come from one row",
                  place="w6", placeholder="user,password", required=True),
        FormField("order", SELECT, "Order of the rows", place="w3", usual="in_order",
                  options=_ORDERS),
        *(FormField(path, TEXT, "") for path in ("filename", "rows", "key")),
    )),
    "headers": Section(_REQUEST, (
        FormField("headers", HEADERS, "Headers",
                  "one on each line; secret ones are never shown",
                  place="w6",
                  placeholder="Accept: application/json"),
    )),
    "body": Section(f"{_REQUEST}.body", (
        FormField("json", JSON, "JSON",
                  'placeholders may stand in its texts; alone, as "{n}", a number stays one',
                  place="w6", called="Body", when=("json",), required=True),
        FormField("text", LINES, "Text", "placeholders may stand in it; {{n}} is sent as {n}",
                  place="w6", when=("text",), required=True),
        FormField("form", JSON, "Fields of the form", 'JSON, such as {"user": "{name}"}',
                  place="w6", when=("form",), required=True),
        FormField("multipart", JSON, "Fields and file",
                  'JSON, such as {"fields": {"user": "{name}"}, "file": {"size_bytes": 1000}}',
                  place="w6", when=("multipart",), required=True),
        FormField("generated.size_bytes", NUMBER, "Size",
                  "a JSON object of about this size, for /payloads", unit="B", place="w6",
                  usual="1000000", when=("generated",), required=True),
    ), FormField("", SEGMENTS, "Body", place="w6", usual="none", options=_BODIES)),
    "until": Section(f"{_REQUEST}.until", (
        _known("bytes", NUMBER, "of the body", of="until.", label="Bytes", unit="B", usual="1000",
               when=("bytes",), required=True),
        _known("seconds", DECIMAL, "from its head on", of="until.", label="Seconds", unit="s",
               usual="1", when=("seconds",), required=True),
        _known("event", NUMBER, "of server-sent events, from 1", of="until.", label="Event",
               usual="1", when=("event",), required=True),
    ), FormField("", SEGMENTS, "Read the answer", place="w6", usual="whole", called="Read",
                 options=_READ)),
    "request_more": Section(_REQUEST, (
        _known("expect.statuses", STATUSES, place="w3", placeholder="200 to 299"),
        _known("weight", DECIMAL, "among the request classes of the stream", place="w3", usual="1"),
        _known("expect.size_bytes.at_least", BOUND, "of the body", unit="B", place="w3"),
        _known("expect.size_bytes.at_most", BOUND, unit="B", place="w3"),
        _known("expect.text", OPTIONAL_TEXT, "somewhere in the body", place="w3"),
        _known("expect.json_key", OPTIONAL_TEXT, "dots lead to nested ones: items.0.id",
               place="w3"),
    )),
    "strategies": Section("", (
        _known("client.strategy", BOXES, label="Strategies: each is an arm", place="w6",
               options=tuple(Option(name, name) for name in STRATEGIES)),
    )),
    **ARMS_FORM,
    "run": Section("", (
        _known("trials", NUMBER, "1 gives numbers but no spread"),
        _known("warmup_s", DECIMAL, "thrown away", unit="s"),
        _known("timeout_s", DECIMAL, "a later answer is an error", unit="s"),
        FormField("title", TEXT, "Title", place="w3", optional=True,
                  placeholder="made from the fields"),
        FormField("tags", WORDS, "Tags", place="w3", optional=True, placeholder="by commas"),
    )),
    "run_switches": Section("", (
        _known("client.reuse_connections", SWITCH,
               label="keep connections between requests, else each has its own"),
        _known("client.cookies", SWITCH, label="keep cookies for each user"),
    )),
    "run_more": Section("", (
        _known("client.processes", NUMBER, "of each stream; they divide users and requests",
               label="Processes", place="w3"),
        _known("client.session", SELECT, label="Sessions of threaded", place="w3",
               options=_SESSIONS),
        _known("client.loop", SELECT, "of async, httpx and raw", label="Event loop", place="w3",
               options=_LOOPS),
        _known("cores", SELECT, place="w3", options=_CORES),
        _known("target.host", OPTIONAL_TEXT, "sent with each request", place="w3", optional=True,
               placeholder="localhost, or as in the address"),
        _known("client.max_body_bytes", NUMBER, unit="B", place="w3"),
        _known("objectives", OBJECTIVES, "a metric and its bound on each line, in s, /s or bytes; "
               "judged with an interval from three trials on", place="w6", optional=True,
               placeholder="response_time_s.p99 at most 0.05"),
        _known("max_error_share", DECIMAL, "share of requests; more make a run invalid",
               place="w3"),
        _known("seed", NUMBER, "of everything random", place="w3"),
    )),
}  # fmt: skip
"""Every field of the form, by the part of the page that it stands in."""

_RESPONDERLESS = replace(_SERVER, options=_SERVERS[:-1])
CONFIGURATION_FORM: Mapping[str, Section] = {
    **FORM,
    "target": replace(FORM["target"], choice=_RESPONDERLESS),
}
"""The form of a configuration, whose server is one that serves applications."""


def read_sections(parser: FormParser, prefix: str, *names: str) -> Document:
    """Return the values of these sections, as a document of the spec at `prefix`.

    What its choice does not ask for is left out, and so is what was not sent unless it is required.
    """
    document: Document = {}
    for section in (FORM[name] for name in names):
        chosen = chosen_option(parser.form, section, prefix)
        for field in section.fields:
            name = joined(prefix, field.path)
            shown = name in parser.form.values or field.kind is SWITCH or field.required
            if not shown or (field.when is not None and chosen not in field.when):
                continue
            value = field.kind.read(parser, name)
            if not field.kind.omit_empty or value not in _EMPTY:
                _put(document, field.path.split("."), value)
    return document


def chosen_option(form: FormData, section: Section, prefix: str) -> str:
    """Return the option that decides which fields of a section count; "" where none does."""
    if section.choice is None:
        return ""
    return form.text(joined(prefix, section.choice.path), section.choice.usual)


def write_sections(
    document: Document, prefix: str, *names: str
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the fields of these sections with their texts, also of what is not chosen."""
    for section in (FORM[name] for name in names):
        for field in section.fields:
            text = _text(field, _found(document, field.path.split(".")))
            texts = (text,) if text or field.kind is not SWITCH else ()
            yield joined(prefix, field.path), texts


def joined(prefix: str, path: str) -> str:
    """Return the name of a field of the form."""
    return ".".join(part for part in (prefix, path) if part)


_EMPTY: tuple[object, ...] = (None, "", [], {})
_MISSING = object()


def _text(field: FormField, value: Any) -> str:
    missing = value is _MISSING or (value is None and field.kind is not JSON)
    return field.usual if missing else field.kind.write(value)


def _found(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        if not isinstance(document, dict) or part not in document:
            return _MISSING
        document = document[part]
    return document


def _put(document: Document, path: Sequence[str], value: Any) -> None:
    *parents, last = path
    for part in parents:
        document = document.setdefault(part, {})
    document[last] = value


_FIELDS = {
    joined(section.prefix, field.path): field
    for section in FORM.values()
    for field in (*section.fields, *([section.choice] if section.choice else []))
}
_BEFORE = re.compile(r"before\.(\d+)\.(.*)")
_VARY = re.compile(r"vary\.\d+\.(.*)")
_INSIDE = re.compile(r"workload\.streams\.(\d+)\.(requests\.\d+\.)?(.*)")


def field_named(path: str) -> FormField | None:
    """Return the field of that name; None for one of the value of a placeholder."""
    if before := _BEFORE.fullmatch(path):
        own = _FIELDS.get(f"before.*.{before[2]}")
        return own or _FIELDS.get(f"{_REQUEST}.{before[2]}")
    if varied := _VARY.fullmatch(path):
        return _FIELDS.get(f"vary.*.{varied[1]}")
    found = _INSIDE.fullmatch(path)
    if found is None:
        return _FIELDS.get(path)
    request = "requests.*." if found[2] else ""
    return _FIELDS.get(f"workload.streams.*.{request}{found[3]}")


def label_of(path: str) -> str:
    """Return `Concurrency`, `Stream 2: Path` or `item_id: low`; the path where nothing fits."""
    field, found = field_named(path), _INSIDE.fullmatch(path)
    if before := _BEFORE.fullmatch(path):
        name = field.name if field else before[2].removeprefix("values.").replace(".", ": ", 1)
        return f"Before the load {int(before[1]) + 1}: {name}"
    if found is None:
        return field.name if field else path or "Spec"
    name = field.name if field else found[3].removeprefix("values.").replace(".", ": ", 1)
    stream = int(found[1]) + 1
    return f"Stream {stream}: {name}" if stream > 1 else name


def field_message(form: FormData, error: FieldError) -> str:
    """Return the message at a field; it names the wrong one of several things in it."""
    text = error.at_field or error.message
    path = form.nearest(error.field)
    inside = error.field.removeprefix(f"{path}.")
    field = field_named(path)
    named = field is not None and field.kind.named and inside != error.field
    return f"{inside}: {text}" if named else text
