"""Repeats: what another Looplab measured is measured here, by what this one serves, and nothing of
theirs is started: commands come from the settings of this Looplab alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from control_plane.analysis.differences import measured_commit, named_code
from control_plane.analysis.prose import joined, plain_text
from control_plane.analysis.prose.experiment_sentences import findings_sentence
from control_plane.analysis.prose.run_sentences import arms_elsewhere, headline, load_elsewhere
from control_plane.analysis.validity import TheirValidity, their_validity
from control_plane.domain.errors import Conflict, FieldError, InvalidInput, NotFound, refuse
from control_plane.domain.experiment import Experiment, read_experiment, rounded_blocks
from control_plane.domain.ids import experiment_address
from control_plane.domain.redaction import HIDDEN_BY_LINK, OF_REQUESTS
from control_plane.domain.request import SAFE_METHODS
from control_plane.domain.run import Run
from control_plane.domain.spec import BUNDLED, AnyTarget, Spec
from control_plane.domain.spec_json import Document, write_spec
from control_plane.experiments.experiment_file import stored_document
from control_plane.jobs.application_check import code_here
from control_plane.jobs.experiment_job import judged_now
from control_plane.jobs.run_service import RunService
from control_plane.store.store import Store

_NOT_BOTH = "Choose an application, or give an address: not both."


@dataclass(frozen=True)
class Served:
    """What serves here in the place of a target of theirs: an application, or a running server.

    Both empty: what is called the same here.
    """

    application: str = ""
    url: str = ""


@dataclass(frozen=True)
class TheirTarget:
    """A target as they have it: an application of their settings, or the address of a server.

    `command` is how they started it, `commit` of which code, `code` the package and the directory
    of that, as far as they are told: texts to read. `missing`: why it cannot be measured here as it
    is; empty where it can. `here` says which code an application here has, and `differs` that
    theirs had another; empty where nothing is known.
    """

    name: str
    command: str
    commit: str
    code: str
    missing: str
    here: str
    differs: str


@dataclass(frozen=True)
class Repeat:
    """What a click would start here, and set beside what `machine` measured.

    `specs` by arm, of a run under its title; none where `wrong` says what is missing. `commands`
    are the command lines in full, `addresses` servers that run already and get the load, of which
    `elsewhere` says what those of other machines get.
    `requests` are those of all arms; `writing` of them may change what the target keeps. `sentence`
    is what they found.
    """

    subject: str
    kind: Literal["run", "experiment"]
    title: str
    sentence: str
    validity: tuple[TheirValidity, ...]
    machine: str
    targets: tuple[TheirTarget, ...]
    requests: tuple[str, ...]
    writing: tuple[str, ...]
    document: Document
    specs: tuple[tuple[str, Spec], ...]
    commands: tuple[str, ...]
    addresses: tuple[str, ...]
    elsewhere: tuple[str, ...]
    seconds: float | None
    wrong: tuple[FieldError, ...]


@dataclass(frozen=True)
class StartedRepeat:
    """What was started: its id, and the page on which it stands beside theirs."""

    id: str
    url: str


@dataclass(frozen=True)
class Repeatable:
    """A result that is over, with its runs by arm; of a run under its title."""

    id: str
    experiment: Experiment | None
    runs: tuple[tuple[str, Run], ...]

    @property
    def title(self) -> str:
        """Its question, or the title of the run."""
        return self.experiment.question if self.experiment else self.runs[0][0]

    @property
    def machine(self) -> str:
        """The machine that measured it; empty where that is this Looplab's."""
        return next((run.origin.machine for _, run in self.runs if run.origin), "")


def chosen_here(serve: Mapping[str, Mapping[str, str]]) -> dict[str, Served]:
    """Return what serves here by the names of their targets. InvalidInput: two at once."""
    served = {name: Served(**chosen) for name, chosen in serve.items()}
    twice = [name for name, chosen in served.items() if chosen.application and chosen.url]
    refuse(FieldError(f"serve.{name[:60]}.url", _NOT_BOTH) for name in twice)
    return served


def planned_repeat(
    store: Store, service: RunService, subject: str, served: Mapping[str, Served]
) -> Repeat:
    """Return what repeating a run or an experiment of elsewhere would start; nothing is started.

    `served` by their targets. Raises NotFound, Conflict, and InvalidInput for another target.
    """
    theirs = repeatable(store, subject)
    if not theirs.machine:
        raise Conflict(f"{subject} was measured by this Looplab: run it again on its page.")
    targets = tuple(_their_targets(theirs.runs, served, service))
    _refuse_unknown(served, [target.name for target in targets])
    document = _document(theirs, served, service)
    wrong = [*_unserved(targets, served, service), *_hidden_requests(theirs.runs)]
    specs: tuple[tuple[str, Spec], ...] = ()
    if not wrong:
        specs, wrong = _resolved(document, service, is_experiment=theirs.experiment is not None)
        wrong += _served_by_same(targets, served, wrong)
    sentence, judged = _found_there(store, theirs)
    elsewhere, seconds = _load(document, specs, service, theirs.experiment)
    every = [request for _, run in judged for _, request in run.spec.requests()]
    requests = {request.line: request.method for request in every}
    return Repeat(
        subject=subject,
        kind="experiment" if theirs.experiment else "run",
        title=theirs.title,
        sentence=sentence,
        validity=tuple(their_validity(name, run) for name, run in judged),
        machine=theirs.machine,
        targets=targets,
        requests=tuple(requests),
        writing=tuple(line for line, method in requests.items() if method not in SAFE_METHODS),
        document=document,
        specs=specs,
        commands=_commands(specs, service),
        addresses=tuple(dict.fromkeys(spec.target.url for _, spec in specs if spec.target.url)),
        elsewhere=elsewhere,
        seconds=seconds,
        wrong=tuple(wrong),
    )


def start_repeat(
    store: Store,
    service: RunService,
    subject: str,
    served: Mapping[str, Served],
    key: str | None = None,
) -> StartedRepeat:
    """Queue what `planned_repeat` returns; the same `key` starts it once.

    Raises as that does, InvalidInput for what is missing here, and QueueFull.
    """
    planned = planned_repeat(store, service, subject, served)
    refuse(planned.wrong)
    given = f"{subject}.{key}.repeat" if key else None
    if planned.kind == "experiment":
        made = service.submit_experiment(planned.document, key=given)
        return StartedRepeat(made.id, experiment_address(made.id))
    (run,) = service.submit([planned.document], key=given)
    return StartedRepeat(run.id, f"/compare?runs={subject},{run.id}")


def repeat_document(planned: Repeat, started: StartedRepeat | None) -> Document:
    """Return what would be started, or was, as the API tells it."""
    return {
        "id": planned.subject,
        "kind": planned.kind,
        "title": planned.title,
        "sentence": planned.sentence,
        "validity": [{**vars(each), "text": each.text} for each in planned.validity],
        "machine": planned.machine,
        "targets": [vars(target) for target in planned.targets],
        "requests": list(planned.requests),
        "writing": list(planned.writing),
        "specs": {name: write_spec(spec) for name, spec in planned.specs},
        "commands": list(planned.commands),
        "addresses": list(planned.addresses),
        "elsewhere": list(planned.elsewhere),
        "seconds": planned.seconds,
        "missing": [{"field": each.field, "message": each.message} for each in planned.wrong],
        "started": vars(started) if started else None,
    }


def repeatable(store: Store, subject: str) -> Repeatable:
    """Return the run or experiment of that id. Raises NotFound, and Conflict for what is not over
    or of which nothing is left.
    """
    with suppress(NotFound):
        experiment = store.experiment(subject)
        arms = zip(experiment.arms, store.arm_runs(experiment), strict=True)
        found = tuple((arm.name, run) for arm, run in arms if run)
        if not found:
            raise Conflict(f"All arms of experiment {subject} were deleted.")
        return _over(Repeatable(subject, experiment, found))
    run = store.run(subject)
    return _over(Repeatable(subject, None, ((run.title, run),)))


def _over(found: Repeatable) -> Repeatable:
    for _, run in found.runs:
        if not run.state.terminal:
            raise Conflict(f"Run {run.id} is {run.state}: it can be repeated when it is over.")
    return found


def _their_name(target: AnyTarget) -> str:
    return target.application or target.url


def _their_targets(
    runs: Sequence[tuple[str, Run]], served: Mapping[str, Served], service: RunService
) -> Iterator[TheirTarget]:
    """Yield each target once, with what its first run tells of it."""
    known = {BUNDLED, *(application.name for application in service.applications())}
    seen = set[str]()
    for _, run in runs:
        name = _their_name(run.spec.target)
        if name in seen:
            continue
        seen.add(name)
        theirs = measured_commit(run.environment or {}, run.spec.target.application)
        chosen = served.get(name, Served())
        code = ("", "")
        if not chosen.url and (own := chosen.application or run.spec.target.application):
            code = code_here(own, theirs, service.applications())
        missing = ""
        if run.spec.target.url:
            missing = f"They measured a server that ran already, {name}: say what serves it here."
        elif name not in known:
            missing = f"This Looplab has no application {name}: say what serves it here."
        yield TheirTarget(
            name,
            run.command or "",
            theirs.named if theirs else "",
            named_code(run.environment or {}),
            missing,
            *code,
        )


def _refuse_unknown(served: Mapping[str, Served], known: Sequence[str]) -> None:
    theirs = joined([f"“{name}”" for name in known])
    refuse(
        FieldError(f"serve.{name[:60]}", f"They measured no “{name[:60]}”, but {theirs}.")
        for name in served
        if name not in known
    )


def _served_by_same(
    targets: Sequence[TheirTarget], served: Mapping[str, Served], wrong: Sequence[FieldError]
) -> Iterator[FieldError]:
    """Yield which of theirs have the same in their place, where that makes arms the same."""
    if not any(each.field.startswith("arms.") for each in wrong):
        return
    first = dict[str, str]()
    for place, target in enumerate(targets):
        chosen = served.get(target.name, Served())
        here = chosen.application or chosen.url or target.name
        if here in first:
            both = f"“{first[here]}” and “{target.name}” are both served by “{here[:60]}” here."
            yield FieldError(f"application.{place}", both)
        first.setdefault(here, target.name)


def _unserved(
    targets: Sequence[TheirTarget], served: Mapping[str, Served], service: RunService
) -> Iterator[FieldError]:
    """Yield what is missing or wrong in the choice of what serves here."""
    known = {BUNDLED, *(application.name for application in service.applications())}
    for place, target in enumerate(targets):
        chosen = served.get(target.name, Served())
        if chosen.application and chosen.url:
            yield FieldError(f"url.{place}", _NOT_BOTH)
        elif chosen.application and chosen.application not in known:
            name = chosen.application[:60]
            yield FieldError(f"application.{place}", f"This Looplab has no application {name}.")
        elif target.missing and not (chosen.application or chosen.url):
            yield FieldError(f"application.{place}", target.missing)


def _hidden_requests(runs: Sequence[tuple[str, Run]]) -> Iterator[FieldError]:
    # Others wrote the fact: it may be anything.
    told = [str((run.environment or {}).get(HIDDEN_BY_LINK, "")) for _, run in runs]
    if any(OF_REQUESTS in text for text in told):
        yield FieldError(
            "workload",
            "Its requests name what the link that it came by hides, so they are not whole: ask for "
            "a link that shows it, or write them on the form.",
        )


def _document(theirs: Repeatable, served: Mapping[str, Served], service: RunService) -> Document:
    """Return what is handed in: theirs, served by what is here."""
    specs = {name: write_spec(run.spec) for name, run in theirs.runs}
    for name, run in theirs.runs:
        specs[name]["target"] = _placed(run.spec.target, served, service, specs[name]["target"])
    if theirs.experiment is None:
        return specs[theirs.runs[0][0]]
    by_arm = dict(theirs.runs)
    runs = [by_arm.get(arm.name) for arm in theirs.experiment.arms]
    document = stored_document(theirs.experiment, runs)
    if document is None:
        raise Conflict("The baseline of this experiment, or all else, was deleted.")
    for arm in document["arms"]:
        # Their names of configurations are not known here.
        arm["spec"]["target"] = specs[arm["name"]]["target"]
    return {**document, "repeats": theirs.id}


def _placed(
    target: AnyTarget, served: Mapping[str, Served], service: RunService, parts: Document
) -> Document:
    """Return the target of a spec with what serves here in its place; `parts` are its own."""
    chosen = served.get(_their_name(target), Served())
    if chosen.url:
        return {"url": chosen.url}
    if not chosen.application or chosen.application == target.application:
        return parts
    own = {application.name: application for application in service.applications()}
    by_command = getattr(own.get(chosen.application), "command", ())
    started = target.started
    if started is None or started.server == "command" or by_command:
        return {"application": chosen.application}
    return {**parts, "application": chosen.application, "settings": {}}


def _resolved(
    document: Document, service: RunService, *, is_experiment: bool
) -> tuple[tuple[tuple[str, Spec], ...], list[FieldError]]:
    """Return the specs as they would be queued, or else what is wrong with them here."""
    try:
        if not is_experiment:
            draft = service.submissions.resolve(document)
            return ((draft.spec.title, draft.spec),), []
        submitted = read_experiment(document)
        blocks = rounded_blocks(len(submitted.arms) + submitted.control, submitted.blocks)
        arms = service.submissions.resolve_arms(submitted, blocks)
        return tuple((name, draft.spec) for name, draft in arms), []
    except InvalidInput as error:
        return (), list(error.fields) or [FieldError("", str(error))]


def _commands(specs: Sequence[tuple[str, Spec]], service: RunService) -> tuple[str, ...]:
    started = (spec.target.started for _, spec in specs)
    return tuple(dict.fromkeys(service.server_command(each) for each in started if each))


def _load(
    document: Document,
    specs: Sequence[tuple[str, Spec]],
    service: RunService,
    experiment: Experiment | None,
) -> tuple[tuple[str, ...], float | None]:
    """Return which other machines get how much, and how many seconds all of it takes."""
    if not (given := [spec for _, spec in specs]):
        return (), None
    if experiment is None:
        return load_elsewhere(given), service.expected_seconds(given[0])
    (seconds,) = service.seconds_of_experiments([document])
    if isinstance(seconds, InvalidInput):
        raise seconds
    return arms_elsewhere(given, given[0].trials), seconds


def _found_there(store: Store, theirs: Repeatable) -> tuple[str, Sequence[tuple[str, Run]]]:
    """Return what they found, and the runs by arm as they are judged: without blocks set aside."""
    if theirs.experiment is not None:
        judged = judged_now(store, theirs.id)
        arms = zip((arm.name for arm in judged.experiment.arms), judged.runs, strict=True)
        return findings_sentence(judged), [(name, run) for name, run in arms if run]
    said = plain_text(headline(theirs.runs[0][1]))
    return "Nothing that counts." if said == theirs.title else said, theirs.runs
