"""What of a run is not for everybody: host names, paths, values, commands, logs and answers.

A redacted run is a run: what is made of it, in whatever form, cannot tell what it no longer holds.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, get_args

from control_plane.domain.experiment import Experiment
from control_plane.domain.request_bodies_and_values import RowValue, Value
from control_plane.domain.result import Cause, Environment, Gauges, TargetUse, Trial, Validity
from control_plane.domain.run import Run, RunDetail
from control_plane.domain.spec import BeforeRequest, Spec, Target
from control_plane.domain.stream_record import FailedResponse

Showable = Literal["hosts", "paths", "environment", "commands"]
"""What is hidden unless somebody asks for it; logs, stacks and answers always are."""

SHOWABLE: tuple[Showable, ...] = get_args(Showable)

HIDDEN_LINE = "a hidden line"
HIDDEN_PATH = "(hidden path)"
HIDDEN_CONTENT = "(hidden)"

_TEXTS = ("title", "tags", "note", "reason", "configuration", "given_name", "origin")
_OF_SYSTEM = frozenset(("system", "kernel", "cpu_model", "python", "target_python"))
"""Facts that name no host, though one may be called as they are."""
_ROOTS = frozenset(
    (
        *("Users", "app", "bin", "boot", "builds", "code", "data", "dev", "etc", "home", "lib"),
        *("lib64", "media", "mnt", "nix", "opt", "private", "proc", "root", "run", "sbin", "snap"),
        *("srv", "sys", "tmp", "usr", "var", "work", "workspace"),
    )
)
_URL = re.compile(
    r"(?P<before>\b[a-z][a-z+]*://(?:[^\s/@]*@)?)(?P<host>\[[^\]\s]+\]|[^\s/:?#\"'<>]+)",
    re.IGNORECASE,
)
_LOOPBACK = re.compile(r"localhost|127\.[0-9.]+|\[?::1\]?|0\.0\.0\.0|host-\d+|machine-\d+")
_WINDOWS_PATH = re.compile(r"\b[A-Za-z]:\\[^\s\"'<>|]+")
_ANY_PATH = re.compile(r"(?:file://|~)?(?<![\w.:-])(?:/[^\s/\"'`,:;()\[\]<>]+){2,}/?")
_WHOLE_WORD = r"(?<![\w-]){}(?![\w-])"
_SHORTEST_NAME = 2


class Redaction:
    """Hides what is of the machine and of the application in runs that are shown together.

    Machines and hosts are numbered over all of them, so that what was the same still is, and what
    was not is not. `shown` names what is not hidden.
    """

    def __init__(self, runs: Iterable[Run], shown: Collection[str] = ()) -> None:
        self._shown = frozenset(shown)
        runs = tuple(runs)
        self._names: dict[str, str] = {}
        if "hosts" not in self._shown:
            self._name(_machines(runs), "machine")
            self._name(_hosts(runs), "host")
        names = sorted(self._names, key=len, reverse=True)
        either = "|".join(map(re.escape, names))
        self._named = (
            re.compile(_WHOLE_WORD.format(f"(?:{either})"), re.IGNORECASE) if names else None
        )
        self._path = None if "paths" in self._shown else _path_pattern(runs)
        programs = () if "commands" in self._shown else dict.fromkeys(_programs(runs))
        self._programs = {name: f"program-{at}" for at, name in enumerate(programs, start=1)}

    def text(self, text: str) -> str:
        """Return a text without host names and paths of files."""
        text = self._without_hosts(text)
        if self._path is None:
            return text
        return _WINDOWS_PATH.sub(HIDDEN_PATH, self._path.sub(HIDDEN_PATH, text))

    def detail(self, detail: RunDetail) -> RunDetail:
        """Return a run with what its figures need, redacted."""
        gauges = tuple(_without_stacks(each) for each in detail.gauges)
        return replace(detail, run=self.run(detail.run), gauges=gauges)

    def run(self, run: Run) -> Run:
        """Return a run, redacted."""
        texts = {name: self._changed(getattr(run, name)) for name in _TEXTS}
        shows_command = "commands" in self._shown and run.command is not None
        return replace(
            run,
            **texts,
            validity=self._validity(run.validity),
            spec=self._spec(run.spec),
            command=self.text(run.command or "") if shows_command else None,
            environment=self._environment(run.environment),
            trials=tuple(map(self._trial, run.trials)),
            log=(),
            causes=tuple(map(self._cause, run.causes)),
        )

    def experiment(self, experiment: Experiment) -> Experiment:
        """Return an experiment, redacted; of its other attempts it tells that there are any."""
        design, names = experiment.design, self._arm_names(experiment)
        predictions = (
            replace(each, text=self.text(each.text), arm=names.get(each.arm, each.arm))
            for each in design.predictions
        )
        return replace(
            experiment,
            question=self.text(experiment.question),
            design=replace(
                design,
                note=self.text(design.note),
                objectives=tuple(
                    replace(each, arm=names.get(each.arm, each.arm)) for each in design.objectives
                ),
                predictions=tuple(predictions),
                confirms="another experiment" if design.confirms else "",
            ),
            arms=tuple(replace(arm, name=names[arm.name]) for arm in experiment.arms),
            sentence=self._changed(experiment.sentence),
            attempts=tuple(
                replace(each, sentence=self._changed(each.sentence))
                if each.id == experiment.id
                else replace(each, id="", sentence=each.sentence and HIDDEN_CONTENT)
                for each in experiment.attempts
            ),
        )

    def _arm_names(self, experiment: Experiment) -> dict[str, str]:
        """Return what each arm is called, by its name; those that would be one have numbers."""
        texts = [self.text(arm.name) for arm in experiment.arms]
        return {
            arm.name: text if texts.count(text) == 1 else f"{text} {place}"
            for place, (arm, text) in enumerate(zip(experiment.arms, texts, strict=True), start=1)
        }

    def _name(self, found: Iterable[str], kind: str) -> None:
        """Number names; that of a machine may stand without its domain, too."""
        known = dict.fromkeys(name.lower() for name in found if len(name) >= _SHORTEST_NAME)
        for number, name in enumerate(known, start=1):
            self._names.setdefault(name, f"{kind}-{number}")
            first = name.partition(".")[0]
            if kind == "machine" and len(first) >= _SHORTEST_NAME:
                self._names.setdefault(first, f"{kind}-{number}")

    def _without_hosts(self, text: str) -> str:
        if "hosts" in self._shown:
            return text
        if self._named is not None:
            text = self._named.sub(lambda found: self._names[found[0].lower()], text)
        return _URL.sub(_with_host_hidden, text)

    def _changed(self, value: Any) -> Any:
        """Return a value with every text in it redacted; its shape stays."""
        if type(value) is str:
            return self.text(value)
        if isinstance(value, tuple | list):
            return type(value)(map(self._changed, value))
        if isinstance(value, Mapping):
            return {key: self._changed(each) for key, each in value.items()}
        if is_dataclass(value) and not isinstance(value, type):
            known = ((field.name, getattr(value, field.name)) for field in fields(value))
            new = {
                name: changed for name, each in known if (changed := self._changed(each)) != each
            }
            return replace(value, **new) if new else value
        return value

    def _environment(self, stored: Environment | None) -> Environment | None:
        if stored is None:
            return None
        hidden = set() if "environment" in self._shown else {"server_settings"}
        if not self._shown.issuperset({"paths", "commands"}):
            hidden.add("target_program")
        if "hosts" not in self._shown:
            hidden.add("boot_id")
        kept = {
            name: fact if name in _OF_SYSTEM else self._changed(fact)
            for name, fact in stored.items()
            if name not in hidden
        }
        if "changed_in_pause" in kept and not self._shown.issuperset(SHOWABLE):
            # Its texts hold old values of every kind.
            kept["changed_in_pause"] = [HIDDEN_CONTENT]
        return kept if self._path is None else {name: _without_path(kept[name]) for name in kept}

    def _trial(self, trial: Trial) -> Trial:
        failures = tuple(map(self._failure, trial.failures))
        machine = trial.machine
        if machine is not None:
            used = machine.programs.items()
            programs = {self._programs.get(name, name): cores for name, cores in used}
            machine = replace(machine, programs=programs)
        target = self._target_use(trial.target)
        return replace(trial, target=target, machine=machine, failures=failures)

    def _validity(self, validity: Validity | None) -> Validity | None:
        if validity is None:
            return None
        reasons, judged = (
            tuple(replace(each, text=self.text(self._without_programs(each.text))) for each in told)
            for told in (validity.reasons, validity.judged)
        )
        return replace(validity, reasons=reasons, judged=judged)

    def _without_programs(self, text: str) -> str:
        """Return a reason without the names of other programs: `of which yes 0.7, node 0.2`."""
        before, listed, named = text.partition(", of which ")
        either = "|".join(map(re.escape, sorted(self._programs, key=len, reverse=True)))
        if not either:
            return text
        pattern = rf"(?:^|(?<=, ))(?:{either})(?= \d)"
        return before + listed + re.sub(pattern, lambda found: self._programs[found[0]], named)

    def _target_use(self, used: TargetUse) -> TargetUse:
        host = None if used.host is None else self._without_hosts(used.host)
        return replace(used, address=self._without_hosts(used.address), host=host, log=())

    def _failure(self, failed: FailedResponse) -> FailedResponse:
        """Keep the request, how it failed, and the path to which it was led on the same host."""
        path = re.split("[?#]", failed.location or "", maxsplit=1)[0]
        # A second slash begins a host, and browsers take a backslash for one.
        own = self._without_hosts(path) if re.match(r"/(?![/\\])", path) else None
        return replace(
            failed,
            request=self._without_hosts(failed.request),
            location=own, head="", body="", body_bytes=0, detail="",
        )  # fmt: skip

    def _cause(self, cause: Cause) -> Cause:
        frame = cause.evidence.get("frame")
        if "paths" in self._shown or not isinstance(frame, str):
            return replace(
                cause, text=self.text(cause.text), evidence=self._changed(cause.evidence)
            )
        text = self.text(cause.text.replace(frame, HIDDEN_LINE))
        evidence = {**self._changed(cause.evidence), "frame": HIDDEN_LINE}
        return replace(cause, text=text, evidence=evidence)

    def _spec(self, spec: Spec) -> Spec:
        streams = tuple(
            replace(stream, requests=tuple(map(self._request, stream.requests)))
            for stream in spec.workload.streams
        )
        return replace(
            spec,
            title=self.text(spec.title) if spec.title else spec.title,
            tags=self._changed(spec.tags),
            target=self._target(spec.target),
            workload=replace(spec.workload, streams=streams),
            before=tuple(map(self._request, spec.before)),
        )

    def _target(self, target: Any) -> Any:
        host = None if target.host is None else self._without_hosts(target.host)
        if isinstance(target, Target):
            return replace(target, host=host, settings=self._changed(target.settings))
        return replace(target, url=self._without_hosts(target.url), host=host)

    def _request(self, request: Any) -> Any:
        """Return a request; its path is the application's, and no path of a file."""
        if isinstance(request, BeforeRequest):
            request = replace(request, capture=self._changed(request.capture))
        return replace(
            request,
            expect=self._changed(request.expect),
            path=self._without_hosts(request.path),
            headers=self._changed(request.headers),
            values={name: self._value(value) for name, value in request.values.items()},
            body=self._changed(request.body),
        )

    def _value(self, value: Value) -> Value:
        """Return a value; of rows their file is named alone."""
        if isinstance(value, RowValue):
            file = replace(value.file, content=HIDDEN_CONTENT, name=self.text(value.file.name))
            return replace(value, file=file)
        changed: Value = self._changed(value)
        return changed


def _with_host_hidden(found: re.Match[str]) -> str:
    kept = _LOOPBACK.fullmatch(found["host"].lower())
    return found[0] if kept else f"{found['before']}hidden-host"


def _machines(runs: Iterable[Run]) -> Iterator[str]:
    """Yield the names of the machines that measured."""
    for run in runs:
        names = [(run.environment or {}).get("hostname"), run.origin.machine if run.origin else ""]
        yield from (str(name) for name in names if name)


def _hosts(runs: Iterable[Run]) -> Iterator[str]:
    """Yield the hosts that requests went to, and those that they named, but for this machine."""
    for run in runs:
        target = run.spec.target
        used = [trial.target for trial in run.trials]
        addresses = [target.url, *(each.address for each in used)]
        named = [target.host, *(each.host for each in used)]
        texts = [found["host"] for text in addresses if (found := _URL.search(text))]
        for text in [*texts, *(host.rpartition(":")[0] or host for host in named if host)]:
            if not _LOOPBACK.fullmatch(text.lower()):
                yield text


def _programs(runs: Iterable[Run]) -> Iterator[str]:
    """Yield the names of the other programs that ran beside targets and clients."""
    for run in runs:
        for trial in run.trials:
            yield from trial.machine.programs if trial.machine else ()


def _path_pattern(runs: Iterable[Run]) -> re.Pattern[str]:
    """Return what finds the path of a file in a text that may tell paths of requests as well.

    Those of the specs are left alone, up to their first placeholder.
    """
    roots, requested = set(_ROOTS), set[str]()
    for run in runs:
        roots |= {found[1] for found in re.finditer(r"(?<![\w.-])/([\w.-]+)/", run.command or "")}
        paths = (request.path.partition("?")[0] for _, request in run.spec.requests())
        requested |= {_literal(path) for path in paths if path.strip("/")}
    beginning = rf"(?<![\w/.:-])(?!{'|'.join(sorted(requested)) or '$'})/(?:{_either(roots)})"
    return re.compile(rf"(?:file:/*|~|{beginning})(?:/[^\s/\"'`,:;()\[\]<>]+)+/?")


def _either(words: Iterable[str]) -> str:
    return "|".join(sorted(map(re.escape, words)))


def _literal(path: str) -> str:
    """Return what finds a path of requests, whole or up to its first placeholder."""
    before, placeholder, _ = path.partition("{")
    return re.escape(before) + ("" if placeholder else r"(?![\w./-])")


def _without_path(fact: Any) -> Any:
    """Return a fact of the environment, which tells no request: each path is one of a file."""
    if isinstance(fact, str):
        return _ANY_PATH.sub(HIDDEN_PATH, fact)
    if isinstance(fact, list | tuple):
        return [_without_path(each) for each in fact]
    if isinstance(fact, Mapping):
        return {key: _without_path(each) for key, each in fact.items()}
    return fact


def _without_stacks(gauges: Gauges) -> Gauges:
    """Return gauges as a bundle carries them: when loops stood still, and not where."""
    workers = tuple(
        replace(worker, samples=replace(worker.samples, places=())) for worker in gauges.workers
    )
    stalls = tuple(replace(stall, stack=()) for stall in gauges.stalls)
    return replace(gauges, workers=workers, stalls=stalls)
