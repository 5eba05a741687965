"""An experiment as TOML, to keep in a repository: what its arms share stands once."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from control_plane.domain.experiment import Experiment, ExperimentDesign
from control_plane.domain.limits import Limits
from control_plane.domain.run import Run
from control_plane.domain.spec import BUNDLED
from control_plane.domain.spec_json import SOME_WORKLOAD, Document, read_spec, write_spec

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WIDEST = 88
"""Characters of a table that still stands on one line."""


_OWN_NAMES = {"title", "tags", "trials", "seed"}
"""What a spec says that its experiment decides."""


def stored_document(experiment: Experiment, runs: Sequence[Run | None]) -> Document | None:
    """Return the document that a stored experiment was made from, to be handed in again.

    Arms that were deleted are left out; None where fewer than two are left. Secrets stand in it as
    placeholders.
    """
    usual = asdict(ExperimentDesign())
    said = {
        name: value for name, value in asdict(experiment.design).items() if value != usual[name]
    }
    placed = list(zip(experiment.arms, runs, strict=True))
    handed_in = placed[:-1] if experiment.design.control else placed
    arms = [{"name": arm.name, "spec": _spec_of(run)} for arm, run in handed_in if run]
    if len(arms) < 2:
        return None
    return {"question": experiment.question, **said, "arms": arms}


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
