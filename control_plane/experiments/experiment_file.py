"""Experiments as TOML: those that come with Looplab, and the file of any, to keep in a repository.

What comes with it stands in bundled_experiments.toml. In a file what the arms share stands once.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from control_plane.domain.api_documents import laid_over
from control_plane.domain.errors import InvalidInput, NotFound
from control_plane.domain.experiment import Experiment, ExperimentDesign
from control_plane.domain.limits import Limits
from control_plane.domain.run import Run
from control_plane.domain.spec import BUNDLED
from control_plane.domain.spec_json import SOME_WORKLOAD, Document, read_spec, write_spec
from control_plane.domain.units import number_of
from control_plane.experiments import stream_of_preset

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDEST = 88
"""Characters of a table that still stands on one line."""


Variant = Literal["quick", "full"]
BLOCKS: dict[Variant, int] = {"quick": 4, "full": 10}
"""The declared maximum of blocks of a bundled experiment."""

QUICK_WARMUP_S, SHORTEST_WINDOW_S, FEWEST_REQUESTS = 0.3, 0.5, 2
SMALLEST_BODY_BYTES = 100
WAITS = ("log_s", "wait_scale", "upstream_delay_s")
"""Settings of the bundled application that are waits, or a factor of them."""


@dataclass(frozen=True)
class BundledExperiment:
    """An experiment that one click starts. The first of `arms` is the baseline.

    `predictions` are the claims that it tests, in words.
    """

    slug: str
    question: str
    teaches: str
    arms: tuple[str, ...]
    predictions: tuple[str, ...]
    table: Document

    def document(self, variant: Variant) -> Document:
        """Return the experiment as it is handed in.

        Counts, waits and bodies of the quick one are scaled, and its note says by what; no claim of
        an absolute value is judged in it.
        """
        quick = self.table["quick"] if variant == "quick" else {}
        kept = [claim for claim in self.table["predictions"] if not quick or not _absolute(claim)]
        return {
            "question": _question(self.table, quick),
            "slug": self.slug,
            "note": _note(quick),
            "metric": self.table.get("metric", ExperimentDesign.metric),
            "stream": self.table.get("stream_compared", ""),
            "blocks": BLOCKS[variant],
            "control": not quick,
            **{name: self.table[name] for name in ("guardrails",) if name in self.table},
            "predictions": [
                {name: claim[name] for name in claim if name != "full"} for claim in kept
            ],
            "arms": [
                {"name": arm["name"], "spec": _arm_spec(self.table, arm, quick)}
                for arm in self.table["arms"]
            ],
        }


def _question(table: Document, quick: Document) -> str:
    """Return the question with the counts that are asked for: `1,000 requests: async, …`."""
    question: str = table["question"]
    for stream in table.get("streams") or [table["stream"]]:
        if count := stream.get("stop", {}).get("requests"):
            sent = _requests(count, quick)
            question = question.replace(f"{count:,} requests", number_of(sent, "request"))
    return question


def _requests(count: int, quick: Document) -> int:
    scale: float = quick.get("scale", 1)
    return max(FEWEST_REQUESTS, round(count * scale))


def _absolute(claim: Document) -> bool:
    return bool(claim.get("kind") == "value" or claim.get("full"))


@cache
def bundled_experiments() -> Mapping[str, BundledExperiment]:
    """Return what bundled_experiments.toml holds by slug, read once."""
    path = Path(__file__).parent / "bundled_experiments.toml"
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["experiment"]
    return {
        table["slug"]: BundledExperiment(
            table["slug"],
            table["question"],
            table["teaches"],
            tuple(arm["name"] for arm in table["arms"]),
            tuple(claim["text"] for claim in table["predictions"]),
            table,
        )
        for table in tables
    }


def bundled_experiment(slug: str) -> BundledExperiment:
    """Return the bundled experiment of that slug. Raises NotFound."""
    found = bundled_experiments().get(slug)
    if found is None:
        raise NotFound(f"There is no experiment {slug[:40]}.")
    return found


SecondsOf = Callable[[Sequence[Document]], Sequence[float | InvalidInput]]
"""Returns how long each of some documents takes, or else why it cannot be measured."""


def seconds_of_variants(
    bundled: Sequence[BundledExperiment], seconds_of: SecondsOf
) -> list[dict[Variant, float] | InvalidInput]:
    """Return how long the variants of each experiment take, or else why it cannot be measured."""
    found = seconds_of([each.document(variant) for each in bundled for variant in BLOCKS])
    parts = (found[at : at + len(BLOCKS)] for at in range(0, len(found), len(BLOCKS)))
    return [_seconds_or_wrong(part) for part in parts]


def _seconds_or_wrong(
    found: Sequence[float | InvalidInput],
) -> dict[Variant, float] | InvalidInput:
    seconds: dict[Variant, float] = {}
    for variant, each in zip(BLOCKS, found, strict=True):
        if isinstance(each, InvalidInput):
            return each
        seconds[variant] = each
    return seconds


def bundled_documents(seconds_of: SecondsOf) -> list[Document]:
    """Return the experiments that come with Looplab as the API lists them.

    `seconds` by variant is null, and `refusal` says why, where one cannot be measured here.
    """
    known = list(bundled_experiments().values())
    return [
        {
            "slug": bundled.slug,
            "question": bundled.question,
            "arms": list(bundled.arms),
            "predictions": list(bundled.predictions),
            "seconds": None if isinstance(seconds, InvalidInput) else seconds,
            "refusal": seconds.first if isinstance(seconds, InvalidInput) else None,
        }
        for bundled, seconds in zip(known, seconds_of_variants(known, seconds_of), strict=True)
    ]


def _note(quick: Document) -> str:
    if not quick:
        return ""
    scaled = [f"counts and windows × {quick['scale']:g}"] if quick["scale"] != 1 else []
    scaled += [f"waits × {quick['waits']:g}"] if "waits" in quick else []
    scaled += [f"bodies × {quick['bodies']:g}"] if "bodies" in quick else []
    told = ", ".join(scaled) or "fewer blocks"
    return f"Quick variant: {told}. Claims of absolute values are judged in the full one."


_OF_EACH_STREAM = ("request", "load", "stop", "start_after_s")


def _arm_spec(table: Document, arm: Document, quick: Document) -> Document:
    own: Document = {name: arm[name] for name in _OF_EACH_STREAM if name in arm}
    given = [laid_over(each, own) for each in table.get("streams") or [table["stream"]]]
    before = [arm["before"]] if "before" in arm else []
    streams = [_scaled(stream_of_preset(each), quick) for each in (*before, *given)]
    spec: Document = {"workload": {"streams": streams}}
    for name in ("target", "client"):
        if merged := laid_over(table.get(name, {}), arm.get(name, {})):
            spec[name] = merged
    if quick:
        spec["warmup_s"] = QUICK_WARMUP_S
    if settings := spec.get("target", {}).get("settings"):
        waits = quick.get("waits", 1)
        scaled = {
            name: value * waits if name in WAITS else value for name, value in settings.items()
        }
        spec["target"] = spec["target"] | {"settings": scaled}
    return spec


def _scaled(stream: Document, quick: Document) -> Document:
    """Return a stream with its count or window times the scale of the quick variant."""
    scale, stop = quick.get("scale", 1), stream["stop"]
    if "requests" in stop:
        shorter: Document = {"requests": _requests(stop["requests"], quick)}
    else:
        shorter = {"duration_s": max(SHORTEST_WINDOW_S, stop["duration_s"] * scale)}
    requests = [_smaller(request, quick.get("bodies", 1)) for request in stream["requests"]]
    return stream | {"stop": shorter, "requests": requests}


def _smaller(request: Document, factor: float) -> Document:
    body = request.get("body", {})
    if factor == 1 or "generated" not in body:
        return request
    size = max(SMALLEST_BODY_BYTES, round(body["generated"]["size_bytes"] * factor))
    return request | {"body": {"generated": body["generated"] | {"size_bytes": size}}}


_OWN_NAMES = {"title", "tags", "trials", "seed"}
"""What a spec says that its experiment decides."""


def stored_document(experiment: Experiment, runs: Sequence[Run | None]) -> Document | None:
    """Return the document that a stored experiment was made from, to be handed in again.

    Arms that were deleted are left out, with the claims of them; None without the baseline, and
    where fewer than two are left. Secrets stand in it as placeholders. What it confirms or repeats
    is known in its database alone, and left out.
    """
    usual = asdict(ExperimentDesign())
    said = {
        name: value
        for name, value in asdict(experiment.design).items()
        if value != usual[name] and name not in {"confirms", "repeats"}
    }
    placed = list(zip(experiment.arms, runs, strict=True))
    handed_in = placed[:-1] if experiment.design.control else placed
    arms = [{"name": arm.name, "spec": _spec_of(run)} for arm, run in handed_in if run]
    if len(arms) < 2 or runs[0] is None:
        return None
    left = {"", *(arm["name"] for arm in arms)}
    for name in ("objectives", "predictions"):
        if name in said:
            said[name] = [_said(claim) for claim in said[name] if claim["arm"] in left]
    return {"question": experiment.question, **said, "arms": arms}


def _said(claim: Document) -> Document:
    return {name: value for name, value in claim.items() if value not in ("", None)}


def _spec_of(run: Run) -> Document:
    spec = {name: value for name, value in write_spec(run.spec).items() if value not in ([], None)}
    if run.given_name and run.spec.target.application == BUNDLED:
        spec["target"] = {"configuration": run.given_name}
    return {name: value for name, value in spec.items() if name not in _OWN_NAMES}


def experiment_toml(document: Document) -> str:
    """Return the document of an experiment as TOML; `looplab experiment FILE` takes it.

    What is the default is left out, and so is null, for which TOML has no word.
    """
    specs = [_without_nulls(_short(arm["spec"])) for arm in document["arms"]]
    shared = _shared(specs)
    arms = [
        {"name": arm["name"], "spec": _beside(spec, shared)}
        for arm, spec in zip(document["arms"], specs, strict=True)
    ]
    rest = {name: value for name, value in document.items() if name not in {"arms", "spec"}}
    whole = _without_nulls(rest | {"spec": shared}) | {"arms": arms}
    return "\n".join(_table(whole, ())).strip() + "\n"


_OF_STREAMS = {
    "start_after_s": 0,
    "think_time_s": 0,
    "ramp_up_s": 0,
    "weight": 1,
    "method": "GET",
}


def _short(spec: Mapping[str, Any]) -> Document:
    """Return a spec without what says the default; the strategy is always said."""
    usual = write_spec(read_spec({"workload": SOME_WORKLOAD}, Limits()))
    known = {name: usual[name] for name in ("target", "client", *_ALONE)}
    del known["client"]["strategy"]
    short = _beside({name: spec[name] for name in spec if name != "workload"}, known)
    if "workload" not in spec:
        return short
    streams = [_short_stream(stream) for stream in spec["workload"]["streams"]]
    return short | {"workload": {"streams": streams}}


_ALONE = ("warmup_s", "timeout_s", "max_error_share", "cores")


def _short_stream(stream: Mapping[str, Any]) -> Document:
    requests = [_other(request) for request in stream["requests"]]
    return _other(stream) | {"requests": requests, "load": _other(stream["load"])}


def _other(part: Mapping[str, Any]) -> Document:
    return {name: value for name, value in part.items() if _OF_STREAMS.get(name, _MISSING) != value}


_MISSING = object()


def _shared(tables: Sequence[Mapping[str, Any]]) -> Document:
    """Return what all tables have in common."""
    first, *others = tables
    found: Document = {}
    for key, value in first.items():
        known = [other.get(key) for other in others]
        if all(other == value for other in known):
            found[key] = value
        elif isinstance(value, dict) and all(isinstance(other, dict) for other in known):
            found[key] = _shared([value, *(other for other in known if other)])
    return {key: value for key, value in found.items() if value != {}}


def _beside(table: Mapping[str, Any], shared: Mapping[str, Any]) -> Document:
    """Return a table without what it shares."""
    own: Document = {}
    for key, value in table.items():
        known = shared.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            value = _beside(value, known)
            if value == {}:
                continue
        elif key in shared and value == known:
            continue
        own[key] = value
    return own


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
        return {key: inner for key, inner in kept.items() if inner != {}}
    if isinstance(value, list | tuple):
        return [_without_nulls(inner) for inner in value]
    return value


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a table: what stands on one line first, then tables of their own."""
    own = {key: value for key, value in table.items() if not _fits(key, value)}
    yield from (f"{_key(key)} = {_inline(table[key])}" for key in table if key not in own)
    for key, value in own.items():
        inner = (*path, key)
        name = ".".join(map(_key, inner))
        if isinstance(value, Mapping):
            lines = list(_table(value, inner))
            # A table that holds tables alone needs no line of its own.
            yield from lines if lines[0] == "" else ("", f"[{name}]", *lines)
            continue
        for each in value:
            yield from ("", f"[[{name}]]", *_table(each, inner))


def _fits(key: str, value: Any) -> bool:
    """Return whether a value stands behind its key: all but long tables, and lists of them."""
    tables = isinstance(value, list) and value and all(isinstance(each, dict) for each in value)
    if key == "arms" or not (tables or isinstance(value, Mapping)):
        return key != "arms"
    return len(_inline(value)) + len(key) <= _WIDEST


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_inline(inner)}" for key, inner in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)
