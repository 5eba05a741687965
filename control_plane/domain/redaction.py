"""What of a run is not for everybody: host names, paths, values, commands, logs and answers.

A redacted run is a run: what is made of it, in whatever form, cannot tell what it no longer holds.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, Literal, get_args

from control_plane.domain.experiment import Experiment
from control_plane.domain.observations import Gauges
from control_plane.domain.private_names import (
    HIDDEN_CONTENT,
    HIDDEN_PATH,
    SHORTEST_NAME,
    WINDOWS_PATH,
    hosts_of,
    machines_of,
    name_pattern,
    path_pattern,
    programs_of,
    told_apart,
    without_addresses,
    without_file_path,
    without_secrets,
)
from control_plane.domain.request import RowValue, Value
from control_plane.domain.result import (
    Cause,
    ClientUse,
    Environment,
    Summary,
    TargetUse,
    Trial,
    Validity,
)
from control_plane.domain.run import Run, RunDetail
from control_plane.domain.spec import BeforeRequest, Spec, Target
from control_plane.domain.stream_record import FailedResponse
from control_plane.domain.trend_runs import (
    TrendBaseline,
    TrendRuns,
)

Showable = Literal["hosts", "paths", "environment", "commands"]
"""What is hidden unless somebody asks for it; logs, stacks and answers always are."""

SHOWABLE: tuple[Showable, ...] = get_args(Showable)

HIDDEN_LINE, SOMEBODY = "a hidden line", "somebody"
HIDDEN_BY_LINK, OF_REQUESTS = "hidden_by_link", "requests"
"""The fact of a run that came by a share link: what that hid, `requests` where they lack parts."""

_TEXTS = ("title", "tags", "note", "reason", "configuration", "given_name", "origin")
_OF_SYSTEM = frozenset(("system", "kernel", "cpu_model", "python", "target_python"))
"""Facts that name no host, though one may be called as they are."""


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
            self._name(machines_of(runs), "machine")
            self._name(hosts_of(runs), "host")
        self._named = name_pattern(self._names)
        self._path = None if "paths" in self._shown else path_pattern(runs)
        programs = () if "commands" in self._shown else dict.fromkeys(programs_of(runs))
        self._programs = {name: f"program-{at}" for at, name in enumerate(programs, start=1)}
        streams = (stream.name for run in runs for stream in run.spec.workload.streams)
        self._streams = told_apart({name: self.text(name) for name in streams})

    def text(self, text: str) -> str:
        """Return a text without host names and paths of files, and without secrets in any case."""
        text = self._without_hosts(without_secrets(text))
        if self._path is None:
            return text
        return WINDOWS_PATH.sub(HIDDEN_PATH, self._path.sub(HIDDEN_PATH, text))

    def detail(self, detail: RunDetail) -> RunDetail:
        """Return a run with what its figures need, redacted."""
        gauges = tuple(self.gauges(each) for each in detail.gauges)
        streams = {
            self.stream(name): replace(
                found, summary=replace(found.summary, name=self.stream(found.summary.name))
            )
            for name, found in detail.streams.items()
        }
        return replace(
            detail,
            run=self.run(detail.run),
            streams=streams,
            timelines={self.stream(name): found for name, found in detail.timelines.items()},
            gauges=gauges,
            slices={self.stream(name): found for name, found in detail.slices.items()},
        )

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
            streams=tuple(map(self._summary, run.streams)),
            objectives=tuple(map(self._of_stream, run.objectives)),
            log=(),
            causes=tuple(map(self._cause, run.causes)),
        )

    def trend(self, runs: TrendRuns) -> TrendRuns:
        """Return the runs of a trend, redacted: of their machine, their spec and its steps."""
        key, baseline = runs.key, "baseline" if runs.key.baseline else ""
        facts = {id(run.environment): run.environment for run in runs.runs}
        told = {which: self._environment(known) or {} for which, known in facts.items()}
        stream, machine = self.stream(key.stream), self.text(key.machine)
        pins = (each for each in runs.baselines if baseline and each.spec == key.baseline)
        return replace(
            runs,
            key=replace(key, spec="", stream=stream, baseline=baseline, machine=machine),
            spec=self._spec(runs.spec),
            title=self.text(runs.title),
            runs=tuple(replace(run, environment=told[id(run.environment)]) for run in runs.runs),
            marks=tuple(
                replace(mark, note=self.text(mark.note), made_by=mark.made_by and SOMEBODY)
                for mark in runs.marks
            ),
            baselines=tuple(TrendBaseline(baseline, self.text(p.name), p.runs) for p in pins),
            machines=(machine,),
        )

    def experiment(self, experiment: Experiment) -> Experiment:
        """Return an experiment, redacted; of its other attempts it tells that there are any."""
        design, names = experiment.design, self._arm_names(experiment)
        predictions = (
            replace(
                self._of_stream(each), text=self.text(each.text), arm=names.get(each.arm, each.arm)
            )
            for each in design.predictions
        )
        return replace(
            experiment,
            question=self.text(experiment.question),
            design=replace(
                design,
                note=self.text(design.note),
                stream=self.stream(design.stream),
                objectives=tuple(
                    replace(self._of_stream(each), arm=names.get(each.arm, each.arm))
                    for each in design.objectives
                ),
                predictions=tuple(predictions),
                confirms="another experiment" if design.confirms else "",
                repeats="",
            ),
            arms=tuple(replace(arm, name=names[arm.name]) for arm in experiment.arms),
            sentence=self._changed(experiment.sentence),
            headline=None,
            attempts=tuple(
                replace(each, sentence=self._changed(each.sentence))
                if each.id == experiment.id
                else replace(each, id="", sentence=each.sentence and HIDDEN_CONTENT)
                for each in experiment.attempts
            ),
        )

    def _arm_names(self, experiment: Experiment) -> dict[str, str]:
        """Return what each arm is called, by its name."""
        return told_apart({arm.name: self.text(arm.name) for arm in experiment.arms})

    def stream(self, name: str) -> str:
        """Return what a stream is called here."""
        return self._streams.get(name, name)

    def _summary(self, summary: Summary) -> Summary:
        return replace(summary, name=self.stream(summary.name))

    def _of_stream(self, claim: Any) -> Any:
        """Return an objective or a prediction, its stream called as it is here."""
        return replace(claim, stream=self.stream(claim.stream))

    def gauges(self, gauges: Gauges) -> Gauges:
        """Return gauges without stacks; programs that count to the target have numbers."""
        kept = _without_stacks(gauges)
        if "commands" in self._shown:
            return kept
        named = dict.fromkeys(each.program for each in kept.processes if each.program)
        for name in named:
            self._programs.setdefault(name, f"program-{len(self._programs) + 1}")
        return replace(
            kept,
            processes=tuple(
                replace(each, program=self._programs.get(each.program, ""))
                for each in kept.processes
            ),
        )

    def _name(self, found: Iterable[str], kind: str) -> None:
        """Number names; that of a machine may stand without its domain, too."""
        known = dict.fromkeys(name.lower() for name in found if len(name) >= SHORTEST_NAME)
        for number, name in enumerate(known, start=1):
            self._names.setdefault(name, f"{kind}-{number}")
            first = name.partition(".")[0]
            if kind == "machine" and len(first) >= SHORTEST_NAME:
                self._names.setdefault(first, f"{kind}-{number}")

    def _without_hosts(self, text: str) -> str:
        if "hosts" in self._shown:
            return text
        if self._named is not None:
            text = self._named.sub(lambda found: self._names[found[0].lower()], text)
        return without_addresses(text)

    def _requested(self, path: str) -> str:
        """Return the path of a request, without hosts and secrets."""
        return self._without_hosts(without_secrets(path))

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
        if "paths" not in self._shown:
            hidden.add("application_directory")
        kept = {
            name: fact if name in _OF_SYSTEM else self._changed(fact)
            for name, fact in stored.items()
            if name not in hidden
        }
        if "changed_in_pause" in kept and not self._shown.issuperset(SHOWABLE):
            # Its texts hold old values of every kind.
            kept["changed_in_pause"] = [HIDDEN_CONTENT]
        return (
            kept if self._path is None else {name: without_file_path(kept[name]) for name in kept}
        )

    def _trial(self, trial: Trial) -> Trial:
        failures = tuple(map(self._failure, trial.failures))
        machine = trial.machine
        if machine is not None:
            used = machine.programs.items()
            programs = {self._programs.get(name, name): cores for name, cores in used}
            machine = replace(machine, programs=programs)
        target = self._target_use(trial.target)
        return replace(
            trial,
            streams=tuple(map(self._summary, trial.streams)),
            target=target,
            client=self._client(trial.client),
            machine=machine,
            failures=failures,
        )

    def _client(self, client: ClientUse) -> ClientUse:
        """Return what the clients did, by the streams as they are called here."""
        by_stream: dict[str, Any] = {
            known.name: {self.stream(name): value for name, value in found.items()}
            for known in fields(client)
            if isinstance(found := getattr(client, known.name), Mapping)
        }
        return replace(client, **by_stream)

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
        own = self._requested(path) if (path := failed.leads_to()) else None
        return replace(
            failed,
            request=self._requested(failed.request),
            stream=self.stream(failed.stream),
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
            replace(
                stream,
                name=self.stream(stream.name),
                requests=tuple(map(self._request, stream.requests)),
            )
            for stream in spec.workload.streams
        )
        return replace(
            spec,
            title=self.text(spec.title) if spec.title else spec.title,
            tags=self._changed(spec.tags),
            target=self._target(spec.target),
            workload=replace(spec.workload, streams=streams),
            before=tuple(map(self._request, spec.before)),
            objectives=tuple(map(self._of_stream, spec.objectives)),
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
            path=self._requested(request.path),
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


def _without_stacks(gauges: Gauges) -> Gauges:
    """Return gauges as a bundle carries them: when loops stood still, and not where."""
    workers = tuple(
        replace(worker, samples=replace(worker.samples, places=())) for worker in gauges.workers
    )
    stalls = tuple(replace(stall, stack=()) for stall in gauges.stalls)
    return replace(gauges, workers=workers, stalls=stalls)
