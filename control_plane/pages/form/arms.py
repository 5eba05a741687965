"""The arms of a form: what is ticked, times the values of varied fields; and their experiment."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from control_plane.analysis.field_labels import label_of, text_of
from control_plane.domain.experiment import FIRST_LOOK, MOST_ARMS, ExperimentDesign, rounded_blocks
from control_plane.domain.limits import MAX_COMPARED_RUNS, TEXT_LENGTHS
from control_plane.domain.metrics_and_objectives import METRIC
from control_plane.domain.spec_json import Document
from control_plane.pages.form import FormData
from control_plane.pages.form.field_types import (
    SEGMENTS,
    SELECT,
    TEXT,
    FormField,
    FormParser,
    Option,
    Section,
)

PartsOf = Callable[[Document], Document]
"""Gives the target of a document with all parts, of which one may be varied."""

MOST_VARIED = 2
"""So many fields make rows and columns of arms."""

_HOW = (
    Option("decide", "Decide over them", "Their trials take turns, and an interval says which is "
           "better. Trials are blocks then: at least 4, in whole squares of the order."),
    Option("runs", "One run each", "One after the other, each with its own numbers: nothing is "
           "decided."),
)  # fmt: skip
_DECIDING = (
    "throughput_per_s",
    "response_time_s.mean",
    "response_time_s.p50",
    "response_time_s.p95",
    "response_time_s.p99",
    "cpu_s_per_request",
    "peak_memory_bytes",
)
_METRICS = (
    Option("usual", "throughput; on a schedule mean response time"),
    *(Option(name, METRIC[name].label) for name in _DECIDING),
)
_STREAM = "workload.streams.0"
_VARIABLE = (
    f"{_STREAM}.load.concurrency",
    f"{_STREAM}.load.rate_per_s",
    f"{_STREAM}.load.connections",
    f"{_STREAM}.load.think_time_s",
    f"{_STREAM}.requests.0.path",
    f"{_STREAM}.requests.0.body.generated.size_bytes",
    "target.application",
    "target.workers",
    "target.threads",
    "target.loop",
    "target.http",
    "target.keep_alive_s",
    "target.reuse_port",
    "client.processes",
    "client.reuse_connections",
    "client.loop",
)
_EXAMPLES = {
    f"{_STREAM}.requests.0.path": "/items, /items/sync",
    "target.application": "before, after",
    "target.loop": "uvloop, asyncio",
    "client.loop": "uvloop, asyncio",
    "target.http": "httptools, h11",
    "target.reuse_port": "true, false",
    "client.reuse_connections": "true, false",
}
"""Values of those fields that are no numbers."""
_VARIED = (
    Option("none", "nothing"),
    *(Option(path, label_of(path)) for path in _VARIABLE),
)
_METRIC = FormField("metric", SELECT, "What decides", place="w6", usual="usual", options=_METRICS,
                    when=("decide",))  # fmt: skip
ARMS_FORM: Mapping[str, Section] = {
    "experiment": Section("experiment", (_METRIC,), FormField(
        "how", SEGMENTS, "Two arms and more", place="w6", usual="decide", options=_HOW)),
    "vary": Section("vary.*", (
        FormField("field", SELECT, "Vary", place="w3", usual="none", options=_VARIED,
                  called="Varied field"),
        FormField("values", TEXT, "Values", "two or more, by commas: 1, 10, 64, or before, after",
                  place="w3"),
    )),
}  # fmt: skip
"""The fields of what becomes of several arms, and of what is varied."""


@dataclass(frozen=True)
class FormArm:
    """One run of a form: `parts` tell it from the others."""

    parts: tuple[str, ...]
    document: Document

    @property
    def name(self) -> str:
        return ", ".join(self.parts)


@dataclass(frozen=True)
class VariedField:
    """A field of the spec that takes several values; `place` is where the form has them."""

    place: str
    path: str
    values: tuple[Any, ...]

    def name_of(self, value: object) -> str:
        """Return `concurrency 10`; a text stands for itself."""
        if isinstance(value, str):
            return value
        return f"{label_of(self.path).lower()} {text_of(self.path, value)}"


def varied_fields(parser: FormParser) -> list[VariedField]:
    """Return the fields that the form varies, at most two; what cannot be read is refused."""
    found: list[VariedField] = []
    for index in parser.form.indices("vary")[:MOST_VARIED]:
        place, path = f"vary.{index}.values", parser.form.text(f"vary.{index}.field")
        if path in {"", "none"}:
            continue
        values = [_value(word) for word in parser.words(place)]
        if len(values) < 2:
            example = _EXAMPLES.get(path, "1, 10, 64")
            parser.refuse(place, f"Write at least two values, by commas: {example}.")
        elif len({*map(repr, values)}) < len(values):
            parser.refuse(place, "A value stands here twice.")
        elif path in [known.path for known in found]:
            parser.refuse(f"vary.{index}.field", "This field is varied already.")
        else:
            found.append(VariedField(place, path, tuple(values)))
    return found


def _value(word: str) -> Any:
    """Return a number, true, false or null as such; everything else is a text."""
    try:
        value = from_json(word)
    except ValueError:
        return word
    return value if value is None or isinstance(value, bool | int | float) else word


def multiplied(
    arms: Sequence[FormArm], varied: Sequence[VariedField], parts_of: PartsOf
) -> list[FormArm]:
    """Return each arm with each value of the varied fields, the last field quickest."""
    made = list(arms)
    for field in varied:
        if field.path.startswith("target."):
            made = [
                FormArm(arm.parts, arm.document | {"target": parts_of(arm.document["target"])})
                for arm in made
            ]
        made = [_with(arm, field, value) for arm in made for value in field.values]
    return made


def _with(arm: FormArm, field: VariedField, value: Any) -> FormArm:
    name, title = field.name_of(value), arm.document.get("title")
    titled = arm.document | ({"title": f"{title}, {name}"} if title else {})
    return FormArm((*arm.parts, name), put(titled, field.path.split("."), value))


def put(node: Any, path: Sequence[str], value: Any) -> Any:
    """Return a document with a value at a path, whose numbers are places in lists."""
    if not path:
        return value
    key, *rest = path
    if isinstance(node, list):
        return [put(each, rest, value) if str(at) == key else each for at, each in enumerate(node)]
    inner = node if isinstance(node, dict) else {}
    return inner | {key: put(inner.get(key), rest, value)}


def too_many(arms: int, *, experiment: bool) -> str:
    """Return what is wrong with that many arms; "" for a number that fits."""
    if experiment and arms > MOST_ARMS:
        return f"{arms} arms are more than the {MOST_ARMS} of an experiment. Leave some out."
    if not experiment and arms > MAX_COMPARED_RUNS:
        return f"{arms} runs are more than the {MAX_COMPARED_RUNS} that fit on a page. Untick some."
    return ""


def wants_experiment(form: FormData) -> bool:
    """Return whether two arms and more are to be decided over; else each is a run of its own."""
    return form.text("experiment.how", "decide") == "decide"


def blocks_of(arms: int, trials: object) -> int:
    """Return the blocks of an experiment of so many arms: the trials, and enough to decide."""
    wanted = trials if isinstance(trials, int) else FIRST_LOOK
    return rounded_blocks(arms, max(wanted, FIRST_LOOK + 1))


def experiment_document(form: FormData, arms: Sequence[FormArm]) -> Document:
    """Return the experiment over the arms of a form. The first is the baseline."""
    first = arms[0].document
    names = list(_names(arms))
    chosen = form.text("experiment.metric", "usual")
    metric = usual_metric(first) if chosen == "usual" else chosen
    return {
        "question": _question(form, first, names),
        "metric": metric,
        "blocks": blocks_of(len(arms), first.get("trials")),
        "seed": first.get("seed", 1),
        **_guardrails(metric),
        "arms": [
            {"name": name, "spec": untitled(arm.document)}
            for name, arm in zip(names, arms, strict=True)
        ],
    }


def _guardrails(metric: str) -> Document:
    """Return the usual guardrails without the metric that decides; {} where it is none of them."""
    usual = [guardrail.metric for guardrail in ExperimentDesign.guardrails]
    others = [{"metric": name} for name in usual if name != metric]
    return {"guardrails": others} if metric in usual else {}


def usual_metric(document: Document) -> str:
    """Return what decides where nothing is chosen.

    The throughput of a load that waits for answers; the mean response time of one on a schedule,
    whose throughput is given.
    """
    model = document["workload"]["streams"][0]["load"]["model"]
    return "response_time_s.mean" if model in {"open", "periodic"} else "throughput_per_s"


def _question(form: FormData, first: Document, names: Sequence[str]) -> str:
    if title := form.text("title"):
        return title
    stream = first["workload"]["streams"][0]
    path = stream["requests"][0].get("path", "")
    asked = stream.get("name") or path
    asked = path if asked in names else asked
    said = f"{', '.join(names[:-1])} or {names[-1]}"
    if len(said) > 120 or any("," in name for name in names):
        said = f"which of {len(names)} arms"
    return f"{asked}: {said}?"[:200]


def _names(arms: Sequence[FormArm]) -> Iterator[str]:
    """Yield a name for each arm that no other has, short enough for an experiment."""
    names = [arm.name or "arm" for arm in arms]
    for at, name in enumerate(names):
        short = len(name) <= TEXT_LENGTHS.arm_name and names.count(name) == 1
        yield name if short else f"{name[: TEXT_LENGTHS.arm_name - 4].rstrip()} {at + 1}"


def untitled(document: Document) -> Document:
    """Return the document of an arm without what its experiment says."""
    return {
        name: value for name, value in document.items() if name not in {"title", "trials", "seed"}
    }
