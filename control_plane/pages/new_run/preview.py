"""What a form would start: how long it takes, the commands, the spec, and what is wrong."""

import json
import shlex
import shutil
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from control_plane.analysis.prose.run_sentences import arms_elsewhere, load_elsewhere
from control_plane.domain.spec import Spec
from control_plane.domain.spec_json import Document
from control_plane.domain.units import SPACE, about, number_of
from control_plane.experiments.experiment_file import experiment_toml
from control_plane.jobs.progress_and_expected_time import Phases
from control_plane.jobs.run_service import RunService
from control_plane.jobs.smoke_test import TriedTarget
from control_plane.pages.form import FormData
from control_plane.pages.form.arms import untitled
from control_plane.pages.form.fields import label_of
from control_plane.pages.form.to_spec import CheckedForm
from control_plane.pages.site import View

WIDTH = 46
"""What fits beside the form; a value that is shorter stands on one line."""


@dataclass(frozen=True)
class SpecLine:
    text: str
    wrong: bool


def spec_lines(document: Any, wrong: Collection[str] = ()) -> tuple[SpecLine, ...]:
    """Return a document as lines of JSON, wrong ones marked.

    `wrong` holds dotted paths, such as `workload.streams.0.load.concurrency`.
    """
    return tuple(_SpecLineWriter(frozenset(wrong)).lines(document, "", "", "", ""))


@dataclass(frozen=True)
class _SpecLineWriter:
    wrong: frozenset[str]

    def lines(
        self, value: Any, path: str, indent: str, before: str, after: str
    ) -> Iterator[SpecLine]:
        """Yield the lines of a value; `before` and `after` stand around it."""
        flat = f"{indent}{before}{json.dumps(value, ensure_ascii=False)}{after}"
        if not isinstance(value, dict | list) or not value or len(flat) <= WIDTH:
            yield SpecLine(flat, self._is_wrong(path))
            return
        if isinstance(value, list) and len(value) == 1:
            yield from self.lines(value[0], f"{path}.0", indent, f"{before}[", f"]{after}")
            return
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        yield SpecLine(f"{indent}{before}{opening}", path in self.wrong)
        named = value.items() if isinstance(value, dict) else enumerate(value)
        for at, (key, inner) in enumerate(named):
            below = f"{path}.{key}" if path else str(key)
            label = f"{json.dumps(key, ensure_ascii=False)}: " if isinstance(key, str) else ""
            comma = "," if at < len(value) - 1 else ""
            yield from self.lines(inner, below, f"{indent}  ", label, comma)
        yield SpecLine(f"{indent}{closing}{after}", wrong=False)

    def _is_wrong(self, path: str) -> bool:
        """Tell whether a line is marked: a value on one line stands for everything in it."""
        return any(f"{wrong}.".startswith(f"{path}.") for wrong in self.wrong if path)


MOST_BARS = 60
"""More trials than this are drawn as one bar."""


@dataclass(frozen=True)
class TimeBarPart:
    """A part of the time bar, in per cent."""

    kind: str
    at: float
    width: float


@dataclass(frozen=True)
class PlannedRun:
    """One run that would be started."""

    title: str
    time: str


@dataclass(frozen=True)
class InvalidField:
    """`label` names the field for people; `field` is its element, "" where there is none."""

    field: str
    label: str
    message: str


@dataclass(frozen=True)
class PlanView(View):
    """What a form would start; `line` is empty where a field is wrong. `right` answers Check.

    `tried` is what its requests met when they were sent once; `untried` says why they were not.
    `stand_ins` say what serves in place of packages that an application lacks. `toml` is the file
    of the experiment over the runs; empty where each is one of its own. `elsewhere`: which other
    machines get how much.
    """

    template: ClassVar[str] = "partials/plan.html"
    line: str
    when: str
    pieces: tuple[TimeBarPart, ...]
    phases: str
    runs: tuple[PlannedRun, ...]
    command: str
    commands: tuple[str, ...]
    stand_ins: tuple[str, ...]
    spec: tuple[SpecLine, ...]
    others: int
    toml: str
    wrong: tuple[InvalidField, ...]
    elsewhere: tuple[str, ...] = ()
    right: str = ""
    tried: tuple[TriedTarget, ...] = ()
    untried: str = ""


def plan_view(form: FormData, read: CheckedForm, service: RunService) -> PlanView:
    """Return what the runs of a checked form would do, and how long they would take."""
    experiment = read.experiment
    specs = planned_specs(read)
    phases = [service.expected_phases(spec) for spec in specs]
    shown = [service.submissions.hidden(document) for document in read.documents]
    return PlanView(
        line=plan_line(specs, phases, "block" if experiment else "trial") if specs else "",
        when=_when(service),
        pieces=tuple(_pieces(specs, phases)),
        phases=phases[0].text if len(set(phases)) == 1 else "",
        runs=tuple(_runs(specs, phases, experiment)),
        command=run_command(service.database, experiment=experiment is not None),
        commands=tuple(_commands(read.specs, service)),
        stand_ins=tuple(dict.fromkeys(_stand_ins(read.specs, service))),
        spec=spec_lines(_brief(shown[0]), list(read.messages)),
        others=len(read.documents) - 1,
        toml=experiment_toml(_hidden(experiment, shown)) if experiment else "",
        wrong=tuple(_wrong(form, read)),
        elsewhere=plan_elsewhere(read),
    )


def planned_specs(read: CheckedForm) -> tuple[Spec, ...]:
    """Return the specs of a form; those of an experiment with a trial for each of its blocks."""
    if read.experiment is None:
        return read.specs
    blocks = read.experiment["blocks"]
    return tuple(replace(spec, trials=blocks) for spec in read.specs)


def plan_elsewhere(read: CheckedForm) -> tuple[str, ...]:
    """Return which other machines the runs of a form ask, and how much."""
    if read.experiment is None:
        return load_elsewhere(read.specs)
    return arms_elsewhere(read.specs, read.experiment["blocks"])


def _hidden(experiment: Document, shown: Sequence[Document]) -> Document:
    """Return an experiment with the documents of its arms as they may be shown."""
    arms = [
        {"name": arm["name"], "spec": _brief(untitled(document))}
        for arm, document in zip(experiment["arms"], shown, strict=True)
    ]
    return experiment | {"arms": arms}


def plan_line(specs: Sequence[Spec], phases: Sequence[Phases], unit: str = "trial") -> str:
    """Return the plan in one line: `3 strategies × 3 trials, about 50 s`.

    The `unit` of an experiment is the block; its burnt trial counts.
    """
    burnt_s = max(parts.trial_s for parts in phases) if unit == "block" else 0
    whole = about(_whole_s(specs, phases) + burnt_s)
    strategies = len({spec.client.strategy for spec in specs})
    targets = len({repr(spec.target) for spec in specs})
    parts = [f"{strategies} strategies"] if strategies > 1 else []
    parts += [f"{targets} configurations"] if targets > 1 else []
    if strategies * targets != len(specs):
        parts = [f"{len(specs)} arms"]
    trials = specs[0].trials
    parts.append(number_of(trials, unit))
    return f"{' × '.join(parts)}, about{SPACE}{whole}"


def with_check_result(
    plan: PlanView, tried: tuple[TriedTarget, ...], untried: str = ""
) -> PlanView:
    """Return a plan that is right with the answer to Check."""
    runs = number_of(len(plan.runs), "run")
    runs = f"an experiment over {len(plan.runs)} arms" if plan.toml else runs
    what = "The spec is right" if len(plan.runs) == 1 else "The specs are right"
    right = f"{what}: {runs}, {plan.line.rpartition(', ')[2]}."
    return replace(plan, right=right, tried=tried, untried=untried)


def _when(service: RunService) -> str:
    view = service.queue_status()
    before = view.queued + (view.running is not None)
    if not before:
        return "Starts at once: the queue is empty."
    return f"Starts after {number_of(before, 'other run')}."


def _whole_s(specs: Sequence[Spec], phases: Sequence[Phases]) -> float:
    return sum(spec.trials * parts.trial_s for spec, parts in zip(specs, phases, strict=True))


def _pieces(specs: Sequence[Spec], phases: Sequence[Phases]) -> Iterator[TimeBarPart]:
    whole_s = _whole_s(specs, phases)
    if not whole_s:
        return
    if sum(spec.trials for spec in specs) > MOST_BARS:
        yield TimeBarPart("measure", 0, 100)
        return
    at = 0.0
    for spec, parts in zip(specs, phases, strict=True):
        for _ in range(spec.trials):
            for kind in ("start", "warmup", "measure"):
                width = 100 * getattr(parts, f"{kind}_s") / whole_s
                yield TimeBarPart(kind, round(at, 3), round(width, 3))
                at += width


def _runs(
    specs: Sequence[Spec], phases: Sequence[Phases], experiment: Document | None
) -> Iterator[PlannedRun]:
    arms = experiment["arms"] if experiment else ()
    for at, (spec, parts) in enumerate(zip(specs, phases, strict=True)):
        title = arms[at]["name"] if arms else spec.title
        yield PlannedRun(title, about(spec.trials * parts.trial_s))


def _commands(specs: Sequence[Spec], service: RunService) -> Iterator[str]:
    targets = {service.target_name(spec.target): spec.target.started for spec in specs}
    for target in targets.values():
        if target is not None:
            yield service.server_command(target)


def _stand_ins(specs: Sequence[Spec], service: RunService) -> Iterator[str]:
    """Yield what an application lacks, and what is used in its place."""
    for spec in specs:
        for package, instead in service.stand_ins(spec.target):
            where = f"the environment of {spec.target.application}"
            yield f"{package} is not installed in {where}: {instead} is used."


def _brief(document: Document) -> Document:
    """Return a document without what is empty, which is the default."""
    return {name: value for name, value in document.items() if value not in ("", [], None)}


def _wrong(form: FormData, read: CheckedForm) -> Iterator[InvalidField]:
    for path, message in read.messages.items():
        field = form.nearest(path)
        yield InvalidField(field, label_of(field or path), message)


USUAL_DATABASE = "runs.db"
"""The file that is taken where none is named."""


def run_command(database: Path, *, experiment: bool = False) -> str:
    """Return `.venv/bin/looplab run spec.json --wait`, with `--db` unless it is the default."""
    own = (Path.cwd() / USUAL_DATABASE).resolve()
    chosen = () if database == own else ("--db", str(database))
    does = ("experiment", "experiment.toml") if experiment else ("run", "spec.json", "--wait")
    return shlex.join((_program(), *does, *chosen))


def _program() -> str:
    """Return the name of the program where the shell finds it, else its path."""
    beside = Path(sys.executable).with_name("looplab")
    found = shutil.which("looplab")
    if (found and Path(found) == beside) or not beside.exists():
        return "looplab"
    inside = beside.is_relative_to(Path.cwd())
    return str(beside.relative_to(Path.cwd()) if inside else beside)
