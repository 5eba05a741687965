"""Strategies of hypothesis for whatever may be handed in: valid specs, and valid experiments."""

import json
from typing import Any

from hypothesis import strategies as st

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.metrics_and_objectives import METRIC

Documents = st.SearchStrategy[dict[str, Any]]
Texts = st.SearchStrategy[str]

PLAIN = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"), exclude_characters="{}")
ANY = st.characters(exclude_categories=["Cs"], exclude_characters="{}")
PRINTABLE = st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="{}")
CAPTURED = "captured_"
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,39}", fullmatch=True).filter(
    lambda name: not name.startswith(CAPTURED)
)
HEADER_NAMES = st.from_regex(r"y-[a-z0-9!#$%&'*+.^_`|~-]{1,40}", fullmatch=True)
MEDIA_TYPES = st.sampled_from(("image/png", "text/plain; charset=utf-8", "application/x.y+json"))
WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")
METHODS = (*WITHOUT_BODY, "POST", "PUT", "PATCH", "DELETE")
CAPTURES = {
    "json": {"json": "items.0.id"},
    "header": {"header": "X-Token"},
    "cookie": {"cookie": "session"},
}
"""Where the answers of `tests/faults/test_valid_specs.py` have values."""
LEAST_TIMEOUT_S = 0.5


def plain(longest: int) -> Texts:
    """More than blanks, and no control characters."""
    return st.text(PLAIN, min_size=1, max_size=longest).filter(str.strip)


FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.text(ANY, max_size=40) | st.integers(-(2**63), 2**63) | FINITE
JSON = st.recursive(
    st.none() | st.booleans() | SCALARS | st.integers(2**64, 2**70),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(ANY, max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)
FORM_FIELDS = st.dictionaries(
    plain(20), SCALARS | st.lists(SCALARS, min_size=1, max_size=3), max_size=3
)


def low_and_high(low: int, high: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(low, high), min_size=2, max_size=2).map(sorted)


def held(names: list[str]) -> str:
    """A text with their placeholders."""
    return "".join(f"{{{name}}}" for name in names)


@st.composite
def single_values(draw: st.DrawFn, *, before: bool = False) -> dict[str, Any]:
    kind = draw(st.sampled_from(("integer", "sequence", "choice", "string", "uuid")))
    value: dict[str, Any] = {"kind": kind, "repeat": draw(st.booleans())}
    if kind == "integer":
        value["low"], value["high"] = draw(low_and_high(-(2**53), 2**53))
    elif kind == "sequence":
        value |= {"start": draw(st.integers(-(2**53), 2**53)), "step": draw(st.integers(-9, 9))}
        value["repeat"] |= before
    elif kind == "choice":
        choices = st.text(PLAIN, max_size=30) | st.integers(-(2**63), 2**63) | FINITE
        value["of"] = draw(st.lists(choices, min_size=1, max_size=4))
        value["secret"] = draw(st.booleans())
    elif kind == "string":
        value["length"] = draw(st.integers(1, 50))
    return value


@st.composite
def row_values(draw: st.DrawFn, columns: list[str], once: int) -> dict[str, Any]:
    """Of a table as CSV or JSON lines; with `once` rows, each of which comes once."""
    cell = st.text(PRINTABLE, min_size=1, max_size=12)
    names = [*columns, "captured_by_nobody"]
    table = [[draw(cell) for _ in names] for _ in range(once or draw(st.integers(1, 4)))]
    content = "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in table)
    if draw(st.booleans()):
        quoted = ([f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in table)
        content = "\n".join(",".join(row) for row in [names, *quoted])
    order = "each_once" if once else draw(st.sampled_from(("in_order", "shuffled")))
    return {
        "kind": "row",
        "file": {"content": content, "name": draw(plain(20))},
        "columns": columns,
        "order": order,
        "secret": draw(st.lists(st.sampled_from(columns), unique=True)),
        "repeat": draw(st.booleans()),
    }


@st.composite
def bodies(draw: st.DrawFn, text: str) -> dict[str, Any]:
    """One that holds the text, where it can."""
    kind = draw(st.sampled_from(("json", "text", "form", "multipart", "generated")))
    fields = {**draw(FORM_FIELDS), "held": text}
    if kind == "json":
        return {"json": draw(st.sampled_from((text, [text], {text: 1, "any": draw(JSON)})))}
    if kind == "text":
        return {"text": draw(st.text(ANY, max_size=99)) + text}
    if kind == "form":
        return {"form": fields}
    if kind == "multipart":
        file = {
            "size_bytes": draw(st.integers(0, 5_000)),
            "name": draw(plain(20)),
            "filename": draw(plain(20)),
            "content_type": draw(MEDIA_TYPES),
        }
        return {"multipart": {"fields": fields, **({"file": file} if draw(st.booleans()) else {})}}
    return {"generated": {"shape": "name-data", "size_bytes": draw(st.integers(32, 3_000))}}


@st.composite
def expectations(draw: st.DrawFn, method: str, text: str) -> Any:
    statuses = draw(st.lists(st.integers(200, 599), min_size=1, max_size=4))
    if draw(st.booleans()):
        return statuses
    low, high = draw(low_and_high(0, 10_000))
    sizes = ({"at_least": low}, {"at_most": high}, {"at_least": low, "at_most": high})
    known: dict[str, Any] = {
        "statuses": statuses,
        "size_bytes": draw(st.sampled_from(sizes)),
        "text": draw(plain(20)) + text,
        "json_key": draw(st.sampled_from(("token", "items.0.id"))),
    }
    names = ["statuses"] if method == "HEAD" else sorted(known)
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    return {name: known[name] for name in chosen}


@st.composite
def requests(
    draw: st.DrawFn,
    captured: list[str],
    methods: tuple[str, ...],
    *,
    before: bool = False,
    once: int = 0,
) -> dict[str, Any]:
    """One whose every value has a place; it may hold what was captured."""
    method = draw(st.sampled_from(methods))
    names = draw(st.lists(NAMES, max_size=4, unique=True))
    single = draw(st.integers(0, len(names)))
    values = {name: draw(single_values(before=before)) for name in names[:single]}
    if columns := names[single:]:
        values["rows of it"] = draw(row_values(columns, once))
    used = [*names, *(name for name in captured if draw(st.booleans()))]
    at = draw(st.integers(0, len(used)))
    text = held(used[at:])
    request: dict[str, Any] = {
        "method": method,
        "path": "/".join(["", "items", *(held([name]) for name in used[:at])]),
        "values": values,
        "headers": draw(st.dictionaries(HEADER_NAMES, st.text(PRINTABLE), max_size=2)),
    }
    if text:
        request["headers"]["X-Held"] = f"a {text} {{{{kept}}}}"
    if method not in WITHOUT_BODY and draw(st.booleans()):
        request["body"] = draw(bodies(text))
    if draw(st.booleans()):
        request["expect"] = [200] if before else draw(expectations(method, text))
    return request


@st.composite
def befores(draw: st.DrawFn, methods: tuple[str, ...]) -> list[dict[str, Any]]:
    """Requests before the load; each captures something, and may hold what others captured."""
    made: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 2))):
        per = draw(st.sampled_from(("run", "user")))
        earlier = [other for other in made if other["per"] in {"run", per}]
        known = [name for other in earlier for name in other["capture"]]
        request = draw(requests(known, methods, before=True))
        kinds = ("header", "cookie") if request["method"] == "HEAD" else tuple(CAPTURES)
        capture = {f"{CAPTURED}{number}": CAPTURES[draw(st.sampled_from(kinds))]}
        made.append({**request, "per": per, "capture": capture})
    return made


@st.composite
def loads(draw: st.DrawFn, *, alone: bool, paused: bool) -> dict[str, Any]:
    """`alone`: of one user; `paused`: it may ramp up."""
    models = ("closed", "periodic") if alone else ("closed", "periodic", "burst", "open")
    users = 1 if alone else draw(st.integers(1, 4))
    rates = st.floats(20, 300)
    steps = st.fixed_dictionaries({"rate_per_s": rates, "duration_s": st.floats(0.1, 0.2)})
    model = draw(st.sampled_from(models))
    if model == "closed":
        ramp_up_s = draw(st.sampled_from((0, 0.05))) if paused else 0
        think_time_s = draw(st.sampled_from((0, 0.01, 0.03)))
        times = {"think_time_s": think_time_s, "ramp_up_s": ramp_up_s}
        return {"model": model, "concurrency": users, **times}
    if model == "periodic":
        interval_s = draw(st.floats(0.002, 0.05))
        return {"model": model, "concurrency": users, "interval_s": interval_s}
    if model == "burst":
        return {"model": model, "connections": users}
    return {
        "model": model,
        "rate_per_s": draw(rates | st.lists(steps, min_size=1, max_size=3)),
        "arrivals": draw(st.sampled_from(("constant", "poisson"))),
        "max_in_flight": users,
    }


UNTIL = st.one_of(
    st.fixed_dictionaries({"bytes": st.integers(1, 1_000)}),
    st.fixed_dictionaries({"event": st.integers(1, 3)}),
    st.fixed_dictionaries({"seconds": st.floats(0.001, LEAST_TIMEOUT_S / 2)}),
)


@st.composite
def streams(
    draw: st.DrawFn,
    captured: list[str],
    methods: tuple[str, ...],
    *,
    alone: bool,
    once: int,
) -> dict[str, Any]:
    """`once`: so many rows come once, for as many requests."""
    classes = [draw(requests(captured, methods, once=once)) for _ in range(draw(st.integers(1, 2)))]
    for request in classes:
        request["weight"] = draw(st.floats(0.001, 1_000))
        if request["method"] != "HEAD" and draw(st.booleans()):
            request["until"] = draw(UNTIL)
    load = draw(loads(alone=alone, paused=not once))
    by_requests = bool(once) or load["model"] == "burst" or draw(st.booleans())
    stop = {"requests": once or draw(st.integers(1, 12))}
    return {
        "requests": classes,
        "load": load,
        "stop": stop if by_requests else {"duration_s": draw(st.floats(0.1, 0.3))},
        "start_after_s": draw(st.sampled_from((0, 0.05))),
    }


def most_processes(made: list[dict[str, Any]]) -> int:
    """How many processes can share the users and the requests of each stream."""
    users = ("concurrency", "connections", "max_in_flight")
    loaded = [stream["load"] for stream in made]
    counts = [next(load[name] for name in users if name in load) for load in loaded]
    return min([2, *counts, *(stream["stop"].get("requests", 2) for stream in made)])


@st.composite
def objectives(draw: st.DrawFn, names: list[str]) -> dict[str, Any]:
    low, high = draw(low_and_high(0, 10**15))
    bounds = ({"at_least": low}, {"at_most": high}, {"at_least": low, "at_most": high})
    return {
        "metric": draw(st.sampled_from(sorted(METRIC))),
        "stream": draw(st.sampled_from(("", *names))),
        **draw(st.sampled_from(bounds)),
    }


@st.composite
def clients(draw: st.DrawFn, strategy: str, processes: int) -> dict[str, Any]:
    return {
        "strategy": strategy,
        "reuse_connections": draw(st.booleans()),
        "session": draw(st.sampled_from(("per-thread", "shared"))),
        "loop": draw(st.sampled_from(("uvloop", "asyncio"))),
        "processes": draw(st.integers(1, processes)),
        "max_body_bytes": draw(st.sampled_from((1_000, 10_000_000))),
        "cookies": draw(st.booleans()),
    }


@st.composite
def specs(
    draw: st.DrawFn,
    targets: Documents,
    methods: tuple[str, ...] = METHODS,
    *,
    alone: bool = False,
) -> dict[str, Any]:
    """Of runs that take a moment; `alone`: each strategy can send its load."""
    strategy = draw(st.sampled_from(sorted(STRATEGIES)))
    trials, once = draw(st.integers(1, 2)), 0 if alone else draw(st.sampled_from((0, 0, 0, 4)))
    alone = alone or STRATEGIES[strategy].alone
    before = draw(befores(methods))
    captured = [name for request in before for name in request["capture"]]
    made = [
        draw(streams(captured, methods, alone=alone, once=once))
        for _ in range(draw(st.integers(1, 2)))
    ]
    names = draw(st.lists(plain(40), min_size=len(made), max_size=len(made), unique=True))
    for name, stream in zip(names, made, strict=True):
        stream["name"] = name
        for request in stream["requests"]:
            if "rows of it" in request["values"] and once:
                request["values"]["rows of it"]["repeat"] |= trials > 1
    return {
        "workload": {"streams": made},
        "target": draw(targets),
        "client": draw(clients(strategy, most_processes(made))),
        "title": draw(st.just("") | plain(200)),
        "tags": draw(st.lists(plain(40), max_size=3)),
        "seed": draw(st.integers(0, 2**53)),
        "trials": trials,
        "warmup_s": 0 if once else draw(st.sampled_from((0, 0.1))),
        "timeout_s": draw(st.floats(LEAST_TIMEOUT_S, 2)),
        "max_error_share": draw(st.floats(0, 1)),
        "cores": draw(st.sampled_from(("auto", "shared", {"target": [0], "client": [0]}))),
        "before": before,
        "objectives": draw(st.lists(objectives(names), max_size=2)),
    }


@st.composite
def predictions(draw: st.DrawFn, arms: list[str]) -> dict[str, Any]:
    expected: list[dict[str, Any]] = [
        {"about": draw(st.floats(0.01, 100))},
        {"low": draw(st.floats(0, 1)), "high": draw(st.floats(1, 10))},
        {"word": draw(st.sampled_from(("the same", "better", "worse", "faster", "slower")))},
    ]
    return {
        "text": draw(plain(100)),
        "arm": draw(st.sampled_from(arms)),
        **draw(st.sampled_from(expected)),
    }


@st.composite
def experiments(draw: st.DrawFn, targets: Documents) -> dict[str, Any]:
    """Of two or three strategies, each with one user."""
    spec = draw(specs(targets, alone=True))
    strategies = draw(
        st.lists(st.sampled_from(sorted(STRATEGIES)), min_size=2, max_size=3, unique=True)
    )
    names = [f"{draw(plain(40))} {number}" for number in range(len(strategies))]
    arms = [
        {"name": name, "spec": {"client": {"strategy": strategy}}}
        for name, strategy in zip(names, strategies, strict=True)
    ]
    decisive = sorted(name for name in METRIC if METRIC[name].less_is_better is not None)
    metric, *others = draw(
        st.lists(
            st.sampled_from([name for name in decisive if name != "error_share"]),
            min_size=1,
            max_size=3,
            unique=True,
        )
    )
    own = {name: spec.pop(name) for name in ("seed", "trials", "objectives", "title", "tags")}
    return {
        "question": draw(plain(200)),
        "note": draw(st.just("") | plain(200)),
        "spec": spec,
        "arms": arms,
        "blocks": 3,
        "seed": own["seed"],
        "metric": metric,
        "guardrails": [{"metric": name, "margin": draw(st.floats(0, 10))} for name in others],
        "margin": draw(st.floats(0, 1)),
        "rule": draw(st.sampled_from(("spending", "precision"))),
        "control": draw(st.booleans()),
        "objectives": own["objectives"],
        "predictions": draw(st.lists(predictions(names[1:]), max_size=2)),
    }
