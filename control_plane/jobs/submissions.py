"""Documents of the spec, checked and resolved into runs that could be queued."""

import hashlib
import json
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import to_json

from control_plane.domain.api_documents import laid_over
from control_plane.domain.errors import FieldError, InvalidInput, UnreadableInput, refuse
from control_plane.domain.experiment import (
    SubmittedExperiment,
    read_experiment,
    rounded_blocks,
)
from control_plane.domain.limits import Limits, bounded
from control_plane.domain.run import LastRun
from control_plane.domain.secrets import HiddenSpec, hide_spec, misplaced
from control_plane.domain.spec import NamedTarget, Spec, Target
from control_plane.domain.spec_json import (
    SOME_WORKLOAD,
    Document,
    TargetOf,
    read_spec,
    stored_spec,
    write_spec,
)
from control_plane.domain.target_addresses import is_here, port_of
from control_plane.domain.units import figures
from control_plane.jobs.progress_and_expected_time import expected_seconds, experiment_seconds
from control_plane.store.store import Draft
from control_plane.store.stored_configurations import RunKind
from control_plane.targets.application import Applications, application_errors, missing_files
from control_plane.targets.configurations import target_name
from control_plane.targets.interpreter_packages import (
    CHOICE,
    Choice,
    Interpreters,
    absent,
    choice_to_install,
    installed_choice,
)

LastRuns = Callable[[Collection[RunKind]], Mapping[RunKind, LastRun]]
"""Returns by kind what the last run like this tells, as the store does."""


def run_kind(spec: Spec) -> RunKind:
    """Return by what the last run like this is found."""
    path = spec.workload.streams[0].requests[0].path
    application = spec.target.application or ""
    return spec.client.strategy, target_name(spec.target), path, application


def _wrong_arms(
    submitted: SubmittedExperiment, arms: list[tuple[str, Draft]]
) -> Iterable[FieldError]:
    """Yield arms that are the same, and those without the stream that is compared."""
    specs = [replace(draft.spec, title="", objectives=()) for _, draft in arms]
    for place, spec in enumerate(specs):
        if spec in specs[:place] and not submitted.same_arms:
            same = arms[specs.index(spec)][0]
            yield FieldError(f"arms.{place}.spec", f"This arm is the same as “{same}”.")
        streams = [stream.name for stream in spec.workload.streams]
        if submitted.stream and submitted.stream not in streams:
            yield FieldError("stream", f"Arm {arms[place][0]} has no stream of this name.")
        for where, arm, stream in submitted.named_streams():
            if arm in {"", arms[place][0]} and stream not in streams:
                yield FieldError(where, f"Arm {arms[place][0]} has no stream {stream[:40]}.")


def _too_long(seconds: float, most_s: float) -> Iterable[FieldError]:
    if seconds > most_s:
        takes, limit = (f"{figures(value_s / 3_600)} hours" for value_s in (seconds, most_s))
        remedy = f"Take fewer, or raise {Limits.setting('max_experiment_s')} to allow it."
        message = f"All trials would take {takes}, above the limit of {limit}. {remedy}"
        yield FieldError("blocks", message, most_s)


def _control_of(arms: Sequence[tuple[str, Draft]]) -> tuple[str, Draft]:
    """Return the baseline as an arm of its own, with a name that no other has."""
    name, baseline = arms[0]
    while f"{name} again" in dict(arms):
        name = f"{name} again"
    title = f"{baseline.spec.title}, negative control"[:200]
    return f"{name} again", replace(baseline, spec=replace(baseline.spec, title=title))


def no_secrets(digests: Collection[str]) -> Mapping[str, str]:
    """Return no run: where there is no database, no secret is known."""
    del digests
    return {}


def title_of(spec: Spec, configuration: str) -> str:
    """Return what tells runs of one form apart: `items, async, 100 users, uvicorn 1 worker`.

    A stream without a name of its own is called by what it asks for.
    """
    stream = spec.workload.streams[0]
    parts = [stream.title, spec.client.strategy, stream.load.label, stream.stop.label]
    # A stream may be called like the application that the configuration begins with.
    configuration = configuration.removeprefix(f"{stream.title}, ")
    return ", ".join([*parts, configuration])[:200]


@dataclass(frozen=True)
class Submissions:
    """Turns documents of the spec into drafts of runs, whoever hands them in.

    `target_of` resolves the name of a configuration; `own_ports` are the dashboard's. Digests of
    secrets are made with `secret_key`; `secret_holders` gives a run that has each that is known.
    """

    target_of: TargetOf
    limits: Limits
    applications: Applications
    own_ports: Collection[int] = ()
    secret_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    secret_holders: Callable[[Collection[str]], Mapping[str, str]] = no_secrets
    interpreters: Interpreters = field(default_factory=lambda: Interpreters("submissions"))

    def resolve(self, document: Mapping[str, Any]) -> Draft:
        """Check a document, resolve its target, set its title and take its secrets out.

        Raises InvalidInput with the wrong fields.
        """
        try:
            spec = read_spec(self._with_installed(document), self.limits, self._fitted)
        except UnreadableInput:
            raise
        except InvalidInput as invalid:
            refuse(dict.fromkeys((*invalid.fields, *self._wrong_target(document))))
            raise
        refuse(self._target_errors(spec, document))
        draft = Draft(spec, target_name(spec.target), self._given_name(document, spec))
        title = spec.title.strip() or title_of(spec, draft.name)
        hidden = hide_spec(write_spec(replace(spec, title=title)), self.secret_key)
        stored = stored_spec(to_json(hidden.document).decode())
        refuse(
            (
                *self._unknown_secrets(hidden),
                *(FieldError(place, _MISPLACED) for place in misplaced(stored.requests())),
            )
        )
        return replace(draft, spec=stored, secrets=hidden.kept)

    def resolve_arms(self, submitted: SubmittedExperiment, blocks: int) -> list[tuple[str, Draft]]:
        """Return each arm of an experiment by its name, with a trial for each block.

        Raises InvalidInput with the wrong fields, also where two arms are the same.
        """
        refuse(bounded("blocks", blocks, 1, self.limits.max_trials - 1, "max_trials"))
        arms: list[tuple[str, Draft]] = []
        wrong: list[FieldError] = []
        for place, arm in enumerate(submitted.arms):
            document = laid_over(submitted.spec or {}, arm.spec)
            common = {"title": f"{submitted.question}: {arm.name}"[:200], "tags": []}
            # With the burnt trial there is one more than blocks.
            document |= {**common, "trials": blocks + 1, "seed": submitted.seed}
            try:
                draft = self.resolve(document)
                spec = replace(draft.spec, trials=blocks)
                arms.append((arm.name, replace(draft, spec=spec)))
            except InvalidInput as invalid:
                wrong += [
                    replace(error, field=f"arms.{place}.spec.{error.field}")
                    for error in invalid.fields
                ]
        refuse(wrong)
        refuse(_wrong_arms(submitted, arms))
        return [*arms, _control_of(arms)] if submitted.control else arms

    def seconds_of_experiments(
        self, documents: Sequence[Mapping[str, Any]], last_runs: LastRuns
    ) -> list[float | InvalidInput]:
        """Return how long each takes with all blocks, and the burnt trial; else what is wrong.

        `last_runs` is asked once, for all of their arms.
        """
        planned = [self._specs_or_wrong(document) for document in documents]
        specs = [spec for arms in planned if isinstance(arms, list) for spec in arms]
        known = last_runs([run_kind(spec) for spec in specs])

        def expected(spec: Spec) -> float:
            return expected_seconds(spec, known[run_kind(spec)])

        return [
            arms if isinstance(arms, InvalidInput) else self._seconds_or_wrong(arms, expected)
            for arms in planned
        ]

    def _specs_or_wrong(self, document: Mapping[str, Any]) -> list[Spec] | InvalidInput:
        try:
            return [draft.spec for _, draft in self._arms(read_experiment(document))]
        except InvalidInput as error:
            return error

    def _seconds_or_wrong(
        self, arms: Sequence[Spec], expected: Callable[[Spec], float]
    ) -> float | InvalidInput:
        seconds = experiment_seconds(arms, expected)
        try:
            refuse(_too_long(seconds, self.limits.max_experiment_s))
        except InvalidInput as error:
            return error
        return seconds

    def planned_arms(
        self, submitted: SubmittedExperiment, expected: Callable[[Spec], float]
    ) -> list[tuple[str, Draft]]:
        """Return each arm by its name, with its trials in whole squares of the order.

        Raises InvalidInput with the wrong fields, also where it would take too long.
        """
        arms = self._arms(submitted)
        seconds = experiment_seconds([draft.spec for _, draft in arms], expected)
        refuse(_too_long(seconds, self.limits.max_experiment_s))
        return arms

    def _arms(self, submitted: SubmittedExperiment) -> list[tuple[str, Draft]]:
        refuse(bounded("blocks", submitted.blocks, 1, self.limits.max_trials - 1, "max_trials"))
        blocks = rounded_blocks(len(submitted.arms) + submitted.control, submitted.blocks)
        return self.resolve_arms(submitted, blocks)

    def _wrong_target(self, document: Mapping[str, Any]) -> Iterable[FieldError]:
        """Return what is wrong with its target, whatever else is wrong with it."""
        alone = {"workload": SOME_WORKLOAD, "target": document.get("target", {})}
        try:
            spec = read_spec(self._with_installed(alone), self.limits, self._fitted)
        except InvalidInput as invalid:
            return invalid.fields
        return self._target_errors(spec, alone)

    def _target_errors(self, spec: Spec, document: Mapping[str, Any]) -> Iterable[FieldError]:
        """Yield what the settings and the machine say against the target of a checked spec."""
        started = spec.target.started
        if started is None:
            yield from _own_port(spec.target.url, self.own_ports)
            return
        unknown = [*application_errors(started, self.applications)]
        named = "configuration" in document.get("target", {})
        yield from unknown or self._not_installed(started, named=named)

    def hidden(self, document: Mapping[str, Any]) -> Document:
        """Return a document, right or wrong, with placeholders in the place of its secrets."""
        return hide_spec(document, self.secret_key).document

    def digest(self, documents: Sequence[Mapping[str, Any]]) -> str:
        """Return what tells documents apart without keeping their secrets."""
        hidden = [self.hidden(document) for document in documents]
        return hashlib.sha256(json.dumps(hidden, sort_keys=True).encode()).hexdigest()

    def _unknown_secrets(self, hidden: HiddenSpec) -> Iterable[FieldError]:
        copied = {digest for digest, value in hidden.kept.items() if value is None}
        known = self.secret_holders(copied) if copied else {}
        for place in dict.fromkeys(
            place for place, digest in hidden.digests if digest in copied and digest not in known
        ):
            yield FieldError(place, _UNKNOWN)

    def _with_installed(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return it with a server, loop and parser that its application has, where none is said."""
        target = document.get("target")
        if not isinstance(target, dict) or "configuration" in target:
            return document
        given = {name: target[name] for name in CHOICE if name in target}
        choice = self._choice(str(target.get("application")), given)
        return {**document, "target": choice | target}

    def _fitted(self, named: NamedTarget) -> Target:
        """Return a configuration; a parser that its name leaves out follows the application."""
        target = self.target_of(named)
        parts = {name: getattr(target, name) for name in CHOICE}
        if target.http == Target.http:
            del parts["http"]
        choice = self._choice(target.application, parts)
        return replace(target, **{name: choice[name] for name in CHOICE if name in choice})

    def _choice(self, name: str, given: Mapping[str, object]) -> Choice:
        """Return what an application has that agrees with what is given, else what it should have.

        {} where nothing agrees.
        """
        application = self.applications.get(name)
        if application is not None and application.command:
            return {} if given else {"server": "command"}
        if application is None or len(given) == len(CHOICE):
            return {}
        if any(missing_files(application)):
            return {}
        interpreter = self.interpreters.inspect(application.interpreter)
        return installed_choice(application, interpreter, given) or choice_to_install(
            application, interpreter, given
        )

    def _not_installed(self, target: Target, *, named: bool) -> Iterable[FieldError]:
        """Yield the loop and the parser that the application's interpreter does not have."""
        application = self.applications.get(target.application)
        if application is None or application.command or any(missing_files(application)):
            return
        if "PYTHONPATH" in {*application.environment, *application.passed_on}:
            return
        interpreter, python = self.interpreters.inspect(application.interpreter), application.python
        for part, package, instead in absent(target, interpreter):
            remedy = f"choose {instead}, or install it: {python} -m pip install {package}"
            message = (
                f"{package} is not installed in the environment of {application.name}: {remedy}"
            )
            yield FieldError("target.configuration" if named else f"target.{part}", message)

    def _given_name(self, document: Mapping[str, Any], spec: Spec) -> str | None:
        """Return the name of the configuration in a checked document.

        None where there is none, or where the application has something else installed.
        """
        target = document.get("target", {})
        if "configuration" not in target:
            return None
        named = NamedTarget(**target)
        return named.label if self.target_of(named) == spec.target else None


_MISPLACED = (
    "(secret …) stands for a value only in headers and choices. Put the value itself in a choice "
    'marked "secret": true, and the name of the choice in braces here.'
)
_UNKNOWN = (
    "(secret …) stands for a value that is not kept here: it was copied from another database, "
    "its runs are deleted, or it does not stand alone. Type the value itself."
)


def _own_port(url: str, own_ports: Collection[int]) -> Iterable[FieldError]:
    port = port_of(urlsplit(url))
    if port in own_ports and is_here(url):
        message = f"Port {port} is this dashboard: load would go to itself."
        yield FieldError("target.url", message)
