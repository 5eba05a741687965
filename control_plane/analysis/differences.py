"""What differs between runs: fields of their specs, and facts of their environments."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

from control_plane.analysis.field_labels import label_of, text_of
from control_plane.domain.endless_responses import end_label
from control_plane.domain.result import Environment
from control_plane.domain.row_files import RowFile
from control_plane.domain.run import Run
from control_plane.domain.spec import BUNDLED, Spec
from control_plane.domain.spec_json import write_spec
from control_plane.domain.units import number_of

NAMES_ONLY = ("title", "tags")
"""Fields that name a run and change nothing in it."""

STREAM_NAME = "workload.streams.0.name"
"""The field of the only stream's name: it changes nothing in a run either."""

CHANGED_IN_PAUSE = "changed_in_pause"
BOOTED_IN_PAUSE = "booted_in_pause"
_BOOT = "boot_id"
_CALLED = ("application_package", "application_directory")
PASSING = frozenset(
    {
        *("load_before", "load_average", "stopped_before"),
        *(_BOOT, CHANGED_IN_PAUSE, BOOTED_IN_PAUSE, *_CALLED),
    }
)
"""Facts of the moment, and names of the code: no part of what the environment is."""

_OF_COMMIT = frozenset(
    f"application_{name}" for name in ("commit", "commit_subject", "dirty", "changes")
)
_SHORT_COMMIT = 10

MOST_CHANGES = 20
"""So many changes of one run are told."""

QUOTAS = ("cpu_available", "cpu_quota_cores", "target_quota_cores")
"""How much of the machine may be used; None where nothing bounds it, which differs from a bound."""

MACHINE = ("hostname", "cpu_model", "cpu_count", "memory_bytes", "system", "kernel", "python")
"""Facts that make two machines different; versions of libraries and the commit do not."""


@dataclass(frozen=True)
class Difference:
    """One field of several runs, the same or not: its dotted path, and by run id the raw value.

    None stands where a run has no such field.
    """

    field: str
    label: str
    values: Mapping[str, Any]

    @cached_property
    def texts(self) -> Mapping[str, str]:
        """How each value is read, by run id."""
        texts: dict[str, str] = {}
        before, text = object(), ""
        for run_id, value in self.values.items():
            # Lists and numbers that are equal may be written in other ways: [1] and [1.0].
            plain = isinstance(value, str) or type(value) is int
            if not plain or type(value) is not type(before) or value != before:
                before, text = value, text_of(self.field, value)
            texts[run_id] = text
        return texts

    @cached_property
    def differs(self) -> bool:
        """Whether its values are not all the same."""
        first, *others = self.values.values()
        return any(value != first for value in others)


def spec_fields(runs: Sequence[Run], lone: Collection[str] = ()) -> tuple[Difference, ...]:
    """Return every field of the specs, the same or not.

    Streams are matched by name. `lone` are ids of runs whose only streams are matched under any
    name: the name is a field too then, and the first.
    """
    streams = _stream_names(runs, lone)
    leaves = {run.id: _flat_spec(run.spec, streams, lone=run.id in lone) for run in runs}
    fields = _compared(leaves, streams)
    return tuple(sorted(fields, key=lambda field: field.field != STREAM_NAME))


class HasEnvironment(Protocol):
    """A run, or what stands for it: its id, and the facts that it was measured in."""

    @property
    def id(self) -> str: ...
    @property
    def environment(self) -> Environment | None: ...


def environment_differences(runs: Sequence[HasEnvironment]) -> tuple[Difference, ...]:
    """Return the lasting facts that differ between the runs whose environment is known."""
    facts = {run.id: _lasting(run.environment) for run in runs if run.environment is not None}
    return tuple(field for field in _compared(facts, ()) if field.differs)


def same_environment(first: Environment | None, second: Environment | None) -> bool:
    """Return whether no lasting fact differs, as of an environment that is not known."""
    if first is None or second is None or first == second:
        return True
    return _told_facts(first) == _told_facts(second)


def _told_facts(environment: Environment) -> dict[str, Any]:
    """Return the lasting facts that are not None, which says as much as none at all."""
    return {name: fact for name, fact in _lasting(environment).items() if fact is not None}


def _lasting(environment: Environment) -> dict[str, Any]:
    return {name: fact for name, fact in _leaves(environment) if name not in PASSING}


@dataclass(frozen=True)
class MeasuredCommit:
    """The code that a run measured; `changes`: a digest of what differed from the commit, or ""."""

    commit: str
    subject: str
    changes: str

    @property
    def text(self) -> str:
        """`3f2a91c0b7`, with a plus where the code differed from it."""
        return self.commit[:_SHORT_COMMIT] + ("+" if self.changes else "")

    @property
    def named(self) -> str:
        """`3f2a91c0b7+ Answer from the cache`."""
        return f"{self.text} {self.subject}".strip()

    @property
    def version(self) -> str:
        """`commit 3f2a91c0b7`, with the digest of what differed from it."""
        changes = f" with changes {self.changes}" if self.changes else ""
        return f"commit {self.commit[:_SHORT_COMMIT]}{changes}"


def measured_commit(facts: Environment, application: str | None) -> MeasuredCommit | None:
    """Return the code that was measured; the bundled application is part of Looplab."""
    name = "commit" if application == BUNDLED else "application_commit"
    if not (commit := facts.get(name)):
        return None
    subject, changes = (facts.get(f"application_{fact}") for fact in ("commit_subject", "changes"))
    return MeasuredCommit(str(commit), str(subject or ""), str(changes or ""))


def named_code(facts: Environment) -> str:
    """Return `package shop 2.3.1, directory shop/api`: by what others find it; "" if not known."""
    kinds = (name.removeprefix("application_") for name in _CALLED)
    found = zip(kinds, map(facts.get, _CALLED), strict=True)
    return ", ".join(f"{kind} {name}" for kind, name in found if isinstance(name, str))


@dataclass(frozen=True)
class EnvironmentChange:
    """The lasting facts that differ between the run number `at` of a series and the one before."""

    at: int
    differences: tuple[Difference, ...]


def environment_changes(
    runs: Sequence[HasEnvironment], application: str | None
) -> Iterator[EnvironmentChange]:
    """Yield where facts differ from one run to the next, but for the commit of the application."""
    own = {"commit"} if application == BUNDLED else set()
    passing = PASSING | _OF_COMMIT | own

    def lasting(facts: Environment | None) -> Environment:
        return {name: fact for name, fact in (facts or {}).items() if name not in passing}

    for at, (before, now) in enumerate(pairwise(run.environment for run in runs), start=1):
        if before is not now and lasting(before) != lasting(now):
            differing = environment_differences(runs[at - 1 : at + 1])
            if told := tuple(each for each in differing if each.field not in passing):
                yield EnvironmentChange(at, told)


SERVER_SETTINGS = "server_settings."
HIDDEN_FIELD, HIDDEN_HERE = "hidden", "What is hidden here"
"""Stands for all fields and facts that differ in what is hidden from whoever looks."""


def hidden_difference(
    known: Sequence[Difference], shown: Sequence[Difference]
) -> tuple[Difference, ...]:
    """Return what differs among `known` and no longer among `shown`, as one; () where nothing does.

    Its values tell runs apart, and nothing else.
    """
    seen = {field.field for field in shown if field.differs}
    gone = [field for field in known if field.differs and field.field not in seen]
    runs = dict.fromkeys(run_id for field in gone for run_id in field.values)
    values = {run_id: repr([field.values.get(run_id) for field in gone]) for run_id in runs}
    kinds = list(dict.fromkeys(values.values()))
    told = {run_id: f"value {kinds.index(value) + 1}" for run_id, value in values.items()}
    return (Difference(HIDDEN_FIELD, HIDDEN_HERE, told),) if gone else ()


def machine_mismatch(first: Environment | None, second: Environment | None) -> str | None:
    """Return both values of each fact that makes these two machines; None where they are one."""
    if first is None or second is None:
        return None
    known = [
        name for name in MACHINE if first.get(name) is not None and second.get(name) is not None
    ]
    known += [name for name in QUOTAS if name in first and name in second]
    differing = [
        f"{label_of(name)} {text_of(name, first[name])} against {text_of(name, second[name])}"
        for name in known
        if first[name] != second[name]
    ]
    return ", ".join(differing) or None


def machine_of(run: Run) -> str | None:
    """Return what tells the machine of a run from others; None where it is not known."""
    if not run.environment:
        return None
    return "; ".join(str(run.environment.get(name)) for name in MACHINE)


NO_MACHINE_TOLD = "it is not told which machine measured it"


def measured_elsewhere(first: Run, second: Run) -> str | None:
    """Return how the machines of two runs differ of which another Looplab measured one.

    None where they are one machine, or both runs come from the same place. What does not tell its
    machine is of another.
    """
    places = [run.origin.machine if run.origin else None for run in (first, second)]
    if places[0] == places[1]:
        return None
    names = [(run.environment or {}).get("hostname") for run in (first, second)]
    return machine_mismatch(first.environment, second.environment) or (
        None if all(names) else NO_MACHINE_TOLD
    )


def after_pause(before: Environment, now: Environment) -> Environment:
    """Return an environment with what differs from that of the session before, if anything does.

    What changed in earlier pauses stays, and that the machine was started anew in one.
    """
    boots = {facts[_BOOT] for facts in (before, now) if facts.get(_BOOT)}
    if before.get(BOOTED_IN_PAUSE) or len(boots) > 1:
        now = {**now, BOOTED_IN_PAUSE: True}
    first, second = dict(_leaves(before)), dict(_leaves(now))
    common = (name for name in second if name in first and name not in PASSING)
    changed = list(before.get(CHANGED_IN_PAUSE, ()))
    changed += [
        f"{label_of(name)} {text_of(name, first[name])} before, {text_of(name, second[name])} after"
        for name in common
        if first[name] != second[name]
    ]
    return {**now, CHANGED_IN_PAUSE: changed[:MOST_CHANGES]} if changed else now


def known_same_code(runs: Sequence[Run]) -> bool:
    """Return whether the code that served is known of all runs, with what differs from its commit.

    The bundled application is part of Looplab, whose own commit is that of its code.
    """
    codes = {_code(run) for run in runs}
    return len(codes) == 1 and None not in codes


def _code(run: Run) -> tuple[str, str | None] | None:
    """Return commit and digest of what differs from it; None where either is not known."""
    facts = run.environment or {}
    if run.spec.target.application == BUNDLED:
        return (facts["commit"], None) if facts.get("commit") else None
    commit, changes = facts.get("application_commit"), facts.get("application_changes")
    if not commit or (facts.get("application_dirty") and not changes):
        return None
    return commit, changes


def environment_fields(runs: Sequence[Run]) -> tuple[Difference, ...]:
    """Return every fact of the environments, the same or not."""
    return _compared({run.id: dict(_leaves(run.environment or {})) for run in runs}, ())


def _stream_names(runs: Sequence[Run], lone: Collection[str]) -> tuple[str, ...]:
    specs = [run.spec for run in runs if run.id not in lone]
    names = dict.fromkeys(stream.name for spec in specs for stream in spec.workload.streams)
    return ("", *names) if lone else tuple(names)


def _compared(
    leaves: Mapping[str, Mapping[str, Any]], streams: Sequence[str]
) -> tuple[Difference, ...]:
    names = dict.fromkeys(name for of_run in leaves.values() for name in of_run)
    return tuple(
        Difference(
            name,
            label_of(name, streams),
            {run_id: of_run.get(name) for run_id, of_run in leaves.items()},
        )
        for name in names
    )


def _flat_spec(spec: Spec, names: Sequence[str], *, lone: bool) -> dict[str, Any]:
    """Return the leaves by dotted path.

    A stream stands at the place of its name among `names`, a `lone` one at the first with its name
    in it.
    """
    document = write_spec(spec)
    for name in NAMES_ONLY:
        del document[name]
    document["before"] = {
        str(index): _request(request) for index, request in enumerate(document["before"])
    }
    streams = document.pop("workload")["streams"]
    placed = {
        "0" if lone else str(names.index(stream.pop("name"))): _stepless(
            {**stream, "requests": [_request(request) for request in stream["requests"]]}
        )
        for stream in streams
    }
    return dict(_leaves({**document, "workload": {"streams": placed}}))


def _stepless(stream: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the stream with the steps of its rate as one field: `100/s for 5 s, 500/s for 5 s`."""
    rate = stream["load"].get("rate_per_s")
    if not isinstance(rate, list):
        return stream
    steps = [f"{step['rate_per_s']:,.10g}/s for {step['duration_s']:g} s" for step in rate]
    return {**stream, "load": {**stream["load"], "rate_per_s": ", ".join(steps)}}


def _request(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the request class with one field for what is one thing."""
    values = {name: _table(value) for name, value in request["values"].items()}
    read = request.get("until")
    until = None if read is None else end_label(read)
    return _expecting({**request, "values": values, "until": until})


def _table(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a value with its file as one field: `users.csv, 10 rows, content 3f2a91c0`."""
    if value["kind"] != "row":
        return value
    file = RowFile(**value["file"])
    return {
        **value,
        "file": f"{file.name}, {number_of(file.rows or 0, 'row')}, content {file.mark}",
    }


def _expecting(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the request class with its expected statuses at one place, however it has them."""
    expect = request["expect"]
    if not isinstance(expect, Mapping):
        return request
    others = {f"expect.{name}": expect[name] for name in expect if name != "statuses"}
    return {**request, "expect": expect.get("statuses"), **others}


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Return scalars by their path, and lists of scalars as one leaf; nothing of empty objects."""
    if isinstance(node, dict):
        items = [(str(key), value) for key, value in node.items()]
    elif isinstance(node, list | tuple) and any(isinstance(item, dict) for item in node):
        items = [(str(index), value) for index, value in enumerate(node)]
    else:
        yield path, list(node) if isinstance(node, tuple) else node
        return
    for key, value in items:
        yield from _leaves(value, f"{path}.{key}" if path else key)


def like_fields(fields: Sequence[Difference], facts: Sequence[Difference]) -> list[Difference]:
    """Return the fields and facts that differ to which a ratio may belong, as they are named.

    How cores were shared out counts as a field: with `cores: auto` it follows from the others. So
    do what a server reads unasked, its settings, and what is hidden.
    """
    found = [field for field in fields if field.field != STREAM_NAME]
    found += [fact for fact in facts if fact.field in {"core_policy", HIDDEN_FIELD}]
    return [*found, *(fact for fact in facts if fact.field.startswith(SERVER_SETTINGS))]
