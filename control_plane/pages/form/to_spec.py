"""The form of a new run as documents of the spec: one for each target and strategy ticked."""

from collections.abc import Collection, Iterator

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.errors import FieldError
from control_plane.domain.ids import MAX_COMPARED_RUNS
from control_plane.domain.servers import lacking
from control_plane.domain.spec import BUNDLED
from control_plane.domain.spec_json import Document
from control_plane.pages.form.form_data import FormData
from control_plane.pages.form.load_fields import load_document
from control_plane.pages.form.parse import FormParser

OWN = "own"
"""Ticked beside the names of the catalogue: the configuration whose fields stand below."""

_TARGET_NUMBERS = ("workers", "threads", "keep_alive_s", "backlog")
_VALUE_NUMBERS = {
    "integer": ("low", "high"),
    "sequence": ("start", "step"),
    "string": ("length",),
}


def documents(
    form: FormData, by_command: Collection[str] = ()
) -> tuple[list[Document], list[FieldError]]:
    """At least one document, even where fields are wrong, so that all are told at once.

    `by_command` are the applications that no server is chosen for.
    """
    answers = FormParser(form)
    shared = _shared(answers)
    targets, strategies = _targets(answers, by_command), _strategies(answers)
    if (count := len(targets) * len(strategies)) > MAX_COMPARED_RUNS:
        many = f"{count} runs are more than the {MAX_COMPARED_RUNS} that fit on a page."
        answers.refuse("client.strategy", f"{many} Untick some.")
        targets, strategies = targets[:1], strategies[:1]
    made = [
        _arm(shared, target, strategy, answers.form)
        for target in targets
        for strategy in strategies
    ]
    return made, answers.wrong


def _shared(answers: FormParser) -> Document:
    form = answers.form
    tags = [tag.strip() for tag in form.text("tags").split(",") if tag.strip()]
    streams = [_stream(answers, index) for index in form.indices("workload.streams")]
    numbers = ("seed", "trials", "warmup_s", "timeout_s", "max_error_share")
    document: Document = {name: answers.number(name) for name in numbers if name in form.values}
    return document | {
        "title": form.text("title"),
        "tags": tags,
        "workload": {"streams": streams},
        "client": _client(answers),
        "cores": form.text("cores", "auto"),
    }


def _arm(shared: Document, target: Document, strategy: str, form: FormData) -> Document:
    """`shared` with its own target, strategy, and title where several share one."""
    many_targets = len(form.all("target.configuration")) > 1
    many_strategies = len(form.all("client.strategy")) > 1
    apart = [strategy] * many_strategies
    if many_targets:
        apart.append(target.get("configuration", "own configuration"))
    arm = shared | {
        "title": ", ".join([shared["title"], *apart]) if shared["title"] else "",
        "target": target,
        "client": shared["client"] | {"strategy": strategy},
    }
    facts = STRATEGIES.get(strategy)
    return _one_user(arm) if facts and facts.alone and many_strategies else arm


def _one_user(arm: Document) -> Document:
    """A strategy that sends one request at a time, beside others that do not."""
    streams = [
        stream | {"load": stream["load"] | {"concurrency": 1}}
        if stream["load"].get("model") in {"closed", "periodic"}
        else stream
        for stream in arm["workload"]["streams"]
    ]
    return arm | {"workload": {"streams": streams}}


def _targets(answers: FormParser, by_command: Collection[str]) -> list[Document]:
    form = answers.form
    application = form.text("target", BUNDLED)
    if application == "url":
        return [{"url": form.text("target.url")}]
    if application in by_command:
        return [{"application": application, "server": "command"}]
    ticked = form.all("target.configuration")
    if not ticked:
        answers.refuse("target.configuration", "Tick at least one.")
    served = {"application": application} if application != BUNDLED else {}
    named: list[Document] = [{"configuration": name, **served} for name in ticked if name != OWN]
    return named + ([target_document(answers) | served] if OWN in ticked or not ticked else [])


def target_document(answers: FormParser) -> Document:
    """What its server lacks is null, whatever the hidden fields say."""
    form = answers.form
    server, _, worker = form.text("target.server", "uvicorn").partition(" ")
    switches = ("reload", "access_log", "reuse_port")
    settings = form.text("target", BUNDLED) == BUNDLED and form.text("target.settings")
    target: Document = {
        "server": server,
        "worker": worker or None,
        "loop": form.text("target.loop"),
        "http": form.text("target.http"),
        **{name: form.has(f"target.{name}", "on") for name in switches},
        "settings": _settings(answers) if settings else {},
    }
    lacks = lacking(server, worker)
    shown = tuple(name for name in _TARGET_NUMBERS if name not in lacks)
    return target | answers.numbers("target", shown) | dict.fromkeys(lacks)


def _settings(answers: FormParser) -> object:
    remedy = 'Write names with their values, as {"cpu_n": 5}.'
    settings = answers.json("target.settings", remedy)
    if not isinstance(settings, dict):
        answers.refuse("target.settings", remedy)
    return settings


def _strategies(answers: FormParser) -> list[str]:
    ticked = answers.form.all("client.strategy")
    if not ticked:
        answers.refuse("client.strategy", "Tick at least one.")
    return list(ticked) or ["async"]


def _client(answers: FormParser) -> Document:
    form = answers.form
    return {
        "reuse_connections": form.has("client.reuse_connections", "on"),
        "session": form.text("client.session", "per-thread"),
        "loop": form.text("client.loop", "uvloop"),
        **answers.numbers("client", ("processes", "max_body_bytes")),
    }


def _stream(answers: FormParser, index: int) -> Document:
    form, prefix = answers.form, f"workload.streams.{index}"
    requests = [
        _request(answers, f"{prefix}.requests.{one}") for one in form.indices(f"{prefix}.requests")
    ]
    counted = form.text(f"{prefix}.stop") == "requests"
    return {
        "name": form.text(f"{prefix}.name"),
        "requests": requests,
        "load": load_document(answers, f"{prefix}.load"),
        "stop": answers.numbers(f"{prefix}.stop", ("requests",) if counted else ("duration_s",)),
        **answers.numbers(prefix, ("start_after_s",)),
    }


def _request(answers: FormParser, prefix: str) -> Document:
    """What is empty is left out: it is the default."""
    form = answers.form
    rest = {
        "values": dict(_values(answers, prefix)),
        "headers": answers.headers(f"{prefix}.headers"),
        "body": _body(answers, f"{prefix}.body"),
        "expect": answers.statuses(f"{prefix}.expect"),
    }
    return {
        "method": form.text(f"{prefix}.method", "GET"),
        "path": form.text(f"{prefix}.path"),
        **{name: value for name, value in rest.items() if value},
        **answers.numbers(prefix, ("weight",)),
    }


def _values(answers: FormParser, request: str) -> Iterator[tuple[str, Document]]:
    """Only of placeholders that occur and whose row was shown."""
    for name in answers.form.placeholders(request):
        field = f"{request}.values.{name}"
        kind = answers.form.text(f"{field}.kind")
        if kind == "choice":
            yield name, {"kind": kind, "of": _choices(answers, f"{field}.of")}
        elif kind:
            yield name, {"kind": kind, **answers.numbers(field, _VALUE_NUMBERS.get(kind, ()))}


def _choices(answers: FormParser, field: str) -> object:
    """Words by commas, or a JSON array where numbers must stay numbers."""
    text = answers.form.text(field)
    if text.startswith("["):
        remedy = f"{text[:40]!r} is no list: write red, green, or [1, 2] for numbers."
        return answers.json(field, remedy)
    return [word.strip() for word in text.split(",") if word.strip()]


def _body(answers: FormParser, field: str) -> Document | None:
    kind = answers.form.text(field)
    if kind == "json":
        return {"json": answers.json(f"{field}.json")}
    if kind == "text":
        return {"text": answers.form.text(f"{field}.text").replace("\r\n", "\n")}
    if kind == "generated":
        size = answers.number(f"{field}.generated.size_bytes")
        return {"generated": {"shape": "name-data", "size_bytes": size}}
    return None
