"""What pages, API and command line do with runs: submit, cancel, follow, estimate."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from control_plane.domain.errors import Conflict, InvalidInput, NotFound, TargetFailed
from control_plane.domain.experiment import Experiment, read_experiment
from control_plane.domain.limits import Limits
from control_plane.domain.result import Environment, Progress
from control_plane.domain.run import LastRun, Live, Run, State
from control_plane.domain.spec import AnyTarget, Spec, Target
from control_plane.domain.spec_json import SOME_WORKLOAD, Document, write_spec
from control_plane.domain.tool_result import ToldOfFile
from control_plane.jobs import Runtime
from control_plane.jobs.application_check import ApplicationChecks, OpenApiCache
from control_plane.jobs.manual_targets import ManualTargets
from control_plane.jobs.progress_and_expected_time import Phases, expected_phases, expected_seconds
from control_plane.jobs.queue import IdleTasks, QueueStatus, RunQueue
from control_plane.jobs.run_end import CANCELLED, PAUSED, RunEnd, withdraw
from control_plane.jobs.submissions import Submissions, run_kind
from control_plane.store.audit_log import Action
from control_plane.store.bundle_import import ImportedBundle
from control_plane.store.store import Draft, Store
from control_plane.targets.application import (
    Application,
    Applications,
    missing_files,
    resolve_application,
)
from control_plane.targets.configurations import (
    Configuration,
    Configurations,
    for_application,
    target_name,
)
from control_plane.targets.cores_and_run_environment import SHARED_CORES, cpu_model, run_environment
from control_plane.targets.environment_variables import missing_variables
from control_plane.targets.interpreter_packages import (
    choice_to_install,
    default_target,
    interface_of,
    standing_in,
    target_of_choice,
)
from control_plane.targets.launch import shown_command
from control_plane.targets.openapi_operations import Offer, Operation

if TYPE_CHECKING:
    from control_plane.jobs.smoke_test import TriedTarget

__all__ = ["Application", "Configuration", "Offer", "Operation", "QueueStatus", "RunService"]


class RunService:
    """The jobs of one control plane; made inside its event loop, used from any thread."""

    def __init__(self, store: Store, limits: Limits, runtime: Runtime) -> None:
        runtime = replace(runtime, allowed_targets=limits.allowed_targets)
        self._store, self._limits, self._runtime = store, limits, runtime
        self.configurations = Configurations(store, self.check)
        self.submissions = Submissions(
            self.configurations.resolve,
            limits,
            runtime.applications,
            runtime.own_ports,
            store.secret_key,
            store.secret_holders,
            runtime.interpreters,
        )
        self.manual_targets = ManualTargets(runtime)
        self._queue = RunQueue(
            store, runtime, lambda run: self._last_run(run.spec), self.manual_targets
        )
        self.loads: Callable[[], bool] = lambda: self._queue.loads
        runtime.interpreters.give_way_while(lambda: self._queue.busy, self.loads)
        self._idle_tasks = IdleTasks(self._queue)
        self.openapi_cache = OpenApiCache(self._idle_tasks, runtime, limits)
        self.application_checks = ApplicationChecks(self._idle_tasks, runtime, self.openapi_cache)

    @property
    def limits(self) -> Limits:
        """The bounds of every spec."""
        return self._limits

    @property
    def database(self) -> Path:
        """The file that its runs are in."""
        return self._store.path

    async def close(self) -> None:
        """End all work in order; what measures is interrupted."""
        await self._idle_tasks.close()
        await self._queue.close()
        await self.manual_targets.close()

    def check(self, document: Mapping[str, Any]) -> Spec:
        """Return a checked spec whose target is resolved and whose title is set.

        Raises InvalidInput with the wrong fields.
        """
        return self.submissions.resolve(document).spec

    def target_parts(self, target: Mapping[str, Any]) -> Document:
        """Return a target with all of its parts, also where it names a configuration alone.

        Raises InvalidInput.
        """
        checked = self.check({"workload": SOME_WORKLOAD, "target": target})
        parts: Document = write_spec(checked)["target"]
        return parts

    async def import_file(self, file: Path, told: ToldOfFile) -> ImportedBundle:
        """Take over what a file holds, while no run begins. Raises as the store, else Conflict."""
        from control_plane.analysis.prose.run_sentences import told_of_run
        from control_plane.other_tools import read_tool_file, recognized_format

        await asyncio.to_thread(self._store.refuse_unknown_file, file, told, recognized_format)
        read = (told_of_run, read_tool_file)
        async with self._queue.reserve():
            return await asyncio.to_thread(self._store.import_file, file, told, *read)

    def submit(
        self, documents: Sequence[Mapping[str, Any]], *, key: str | None = None
    ) -> list[Run]:
        """Queue one run for each document: all or none.

        The same `key` with the same documents gives the runs that were made first; with others it
        raises Conflict. Raises InvalidInput or QueueFull before anything is stored.
        """
        drafts = [self.submissions.resolve(document) for document in documents]
        return self._queued(drafts, documents, key)

    def rerun(self, run: Run, *, key: str | None = None) -> Run:
        """Queue the same spec once more, its configuration under the name that it was given.

        Raises as `submit`.
        """
        document = write_spec(run.spec)
        draft = replace(self.submissions.resolve(document), given_name=run.given_name)
        (made,) = self._queued([draft], [document], key)
        return made

    def _queued(
        self, drafts: Sequence[Draft], documents: Sequence[Mapping[str, Any]], key: str | None
    ) -> list[Run]:
        digest = self.submissions.digest(documents)
        runs = self._store.add(
            drafts, key=key, digest=digest if key else None, max_queue=self._limits.max_queue
        )
        self._idle_tasks.give_way()
        self._queue.wake()
        return runs

    def submit_experiment(
        self, document: Mapping[str, Any], *, key: str | None = None
    ) -> Experiment:
        """Queue a run for each arm of an experiment, whose trials will be interleaved.

        `key` as in `submit`. Raises InvalidInput or QueueFull before anything is stored.
        """
        submitted = read_experiment(document)
        arms = self.submissions.planned_arms(submitted, self.expected_seconds)
        design = replace(submitted.design, blocks=arms[0][1].spec.trials)
        given = (key, self.submissions.digest([document])) if key else None
        most = self._limits.max_queue
        made = self._store.add_experiment(submitted.question, design, arms, most, given)
        self._idle_tasks.give_way()
        self._queue.wake()
        return made

    def experiment_elsewhere(self, document: Mapping[str, Any]) -> tuple[str, ...]:
        """Return which other machines an experiment asks, and how much at most.

        Empty where load stays here. Raises InvalidInput as `submit_experiment`.
        """
        from control_plane.analysis.prose.run_sentences import arms_elsewhere

        arms = self.submissions.planned_arms(read_experiment(document), self.expected_seconds)
        specs = [draft.spec for _, draft in arms]
        return arms_elsewhere(specs, specs[0].trials)

    def seconds_of_experiments(self, documents: Sequence[Document]) -> list[float | InvalidInput]:
        """Return how long each takes, or else why it cannot be measured."""
        return self.submissions.seconds_of_experiments(documents, self._store.last_runs)

    async def cancel_experiment(self, experiment_id: str) -> None:
        """End every arm that is not over; complete blocks stay. Raises Conflict where none is."""
        await self._end_experiment(experiment_id, CANCELLED)

    async def pause_experiment(self, experiment_id: str) -> None:
        """Stop the arms that go on or wait; complete blocks stay. Raises Conflict where none is."""
        await self._end_experiment(experiment_id, PAUSED)

    def resume_experiment(self, experiment_id: str) -> None:
        """Queue an experiment again that is paused. Raises Conflict where it is not."""
        self._store.resume_experiment(experiment_id)
        self._idle_tasks.give_way()
        self._queue.wake()

    async def _end_experiment(self, experiment_id: str, end: RunEnd) -> None:
        experiment = await asyncio.to_thread(self._store.experiment, experiment_id)
        ended = 0
        runs = await asyncio.to_thread(self._store.arm_runs, experiment)
        # What waits is withdrawn first, so that it does not begin when what works is ended.
        for run in sorted(filter(None, runs), key=lambda run: run.state is not State.QUEUED):
            with suppress(Conflict, NotFound):
                await self._end_run(run, end)
                ended += 1
        if not ended:
            raise Conflict(f"Experiment {experiment_id} cannot be {end.why} as it is now.")
        action: Action = "paused" if end is PAUSED else "cancelled"
        await asyncio.to_thread(
            self._store.record_action, action, experiment_id, experiment.question, experiment=True
        )

    async def cancel(self, run_id: str) -> Run:
        """End a run; every process of it is gone then. Raises Conflict when it is terminal.

        An arm takes its experiment with it: the others would be measured for nothing.
        """
        run = await asyncio.to_thread(self._store.run, run_id)
        experiment = await asyncio.to_thread(self._store.experiment_of, run_id)
        if experiment is not None and not run.state.terminal:
            await self.cancel_experiment(experiment.id)
            return await asyncio.to_thread(self._store.run, run_id)
        ended = await self._end_run(run, CANCELLED)
        await asyncio.to_thread(self._store.record_action, "cancelled", run_id, run.title)
        return ended

    async def _end_run(self, run: Run, end: RunEnd) -> Run:
        withdrawn = await asyncio.to_thread(withdraw, self._store, run, end)
        if not withdrawn and not await self._queue.end(run.id, end):
            state = (await asyncio.to_thread(self._store.run, run.id)).state.value
            raise Conflict(
                f"Run {run.id} is {state}: only a run that is not over can be {end.why}."
            )
        return await asyncio.to_thread(self._store.run, run.id)

    def progress(self, run_id: str) -> Progress | None:
        """Return how far a run is; None for one that is over, or that does not exist."""
        live_run = self._queue.live_run
        if live_run is not None and live_run.run_id == run_id:
            return live_run.progress()
        position = self._store.position(run_id)
        if position is None:
            return None
        try:
            trials = self._store.run(run_id).spec.trials
        except NotFound:
            return None
        return Progress("queued", 0, trials, 0.0, None, position)

    def live(self, run_id: str) -> Live | None:
        """Return what a run measures now; None unless it is the one that works now."""
        live_run = self._queue.live_run
        return live_run.live() if live_run is not None and live_run.run_id == run_id else None

    def working(self) -> tuple[str, int, State, bool] | None:
        """Return id, trial and phase of the run that works now; whether responses are awaited."""
        live = self._queue.live_run
        return None if live is None else (live.run_id, live.trial, live.phase, live.awaited > 0)

    def queue_status(self) -> QueueStatus:
        """Return what works and how many runs wait."""
        live_run, queued = self._queue.live_run, self._store.count_queued()
        if live_run is None:
            return QueueStatus(None, None, queued)
        try:
            return QueueStatus(self._store.run(live_run.run_id), live_run.progress(), queued)
        except NotFound:
            return QueueStatus(None, None, queued)

    def applications(self) -> tuple[Application, ...]:
        """Return those of the settings, in the order of their file."""
        return tuple(self._runtime.applications.values())

    @property
    def applications_by_name(self) -> Applications:
        """Those of the settings, as they are now."""
        return self._runtime.applications

    def application(self, name: str) -> Application:
        """Return an application of the settings. Raises NotFound."""
        found = self._runtime.applications.get(name)
        if found is None:
            raise NotFound(f"There is no application {name[:40]!r} in the settings.")
        return found

    async def try_requests(
        self, documents: Sequence[Document], form: str
    ) -> "tuple[TriedTarget, ...]":
        """Send each request of some specs once, to each of their targets, for the form of that key.

        Raises InvalidInput, and Conflict while a run measures or for what lasts of another form.
        """
        from control_plane.jobs.smoke_test import SmokeTests

        resolve = self.submissions.resolve
        drafts = await asyncio.to_thread(lambda: [resolve(document) for document in documents])
        tests = SmokeTests(self._idle_tasks, self._runtime, self._store, self.openapi_cache)
        return await tests.check(drafts, form)

    async def read_openapi(self, target: Document, form: str) -> Offer:
        """Read the OpenAPI document of the target of a spec; it is kept in `openapi_cache`.

        Raises InvalidInput when it cannot be read, Conflict as `try_requests`.
        """
        document = {"workload": SOME_WORKLOAD, "target": target}
        checked = (await asyncio.to_thread(self.check, document)).target
        return await self.openapi_cache.read(checked, form)

    async def start_manual_target(self, name: str) -> None:
        """Start an application of the settings by its defaults. Raises NotFound or Conflict."""
        application = self.application(name)
        self.manual_targets.check(name)
        target = await asyncio.to_thread(self.default_target, application)
        await self.manual_targets.start(name, target)

    def unset_variables(self, application: Application) -> frozenset[str]:
        """Return the names of its list that are nowhere set; none where its file cannot be read."""
        try:
            return frozenset(missing_variables(application))
        except TargetFailed:
            return frozenset()

    def target_name(self, target: AnyTarget) -> str:
        """Return the name of a configuration, or what tells the parts of a target."""
        return target_name(target)

    def server_command(self, target: Target) -> str:
        """Return the server's command line, to copy."""
        return shown_command(
            target, application=resolve_application(target, self._runtime.applications)
        )

    def default_command(self, application: Application) -> str:
        """Return the `server_command` by its defaults; "" where its interpreter is to be asked."""
        known = application.command or self._runtime.interpreters.tells(application.interpreter)
        return self.server_command(self.default_target(application)) if known else ""

    def default_target(self, application: Application) -> Target:
        """Return the target of a run that names the application alone."""
        interpreters, python = self._runtime.interpreters, application.interpreter
        known = application.command or interpreters.tells(python)
        if not known or (not application.command and any(missing_files(application))):
            return for_application(Target(), application.name)
        return default_target(application, interpreters) or target_of_choice(
            application.name, choice_to_install(application, interpreters.inspect(python))
        )

    def interface(self, application: Application) -> str:
        """Return `wsgi` or `asgi`; empty where that is not known, or its own command decides."""
        interpreters, python = self._runtime.interpreters, application.interpreter
        known = not application.command and interpreters.tells(python)
        if not known or any(missing_files(application)):
            return ""
        return interface_of(application, interpreters.inspect(python))

    def stand_ins(self, target: AnyTarget) -> tuple[tuple[str, str], ...]:
        """Return packages that an own application lacks, each with what serves instead."""
        application = self._runtime.applications.get(target.application or "")
        if target.started is None or application is None or application.command:
            return ()
        interpreters, python = self._runtime.interpreters, application.interpreter
        known = interpreters.tells(python)
        return standing_in(target.started, interpreters.inspect(python)) if known else ()

    def hints(self, run: Run) -> tuple[str, ...]:
        """Return what to do about a target that did not start; () where nothing can be told."""
        from control_plane.analysis.start_hints import start_hints

        target = run.spec.target.started
        if run.state is not State.FAILED or target is None:
            return ()
        found = self._runtime.applications.get(target.application)
        python = str(found.interpreter) if found else "python"
        return start_hints(run.reason or "", run.log, python)

    def environment(self) -> Environment:
        """Return what a run on shared cores would be measured on now."""
        return run_environment(SHARED_CORES)

    def cpu_model(self) -> str:
        """Return the name of this machine's processor."""
        return cpu_model()

    def expected_seconds(self, spec: Spec) -> float:
        """Return how long the run will take, from the last runs of its kind."""
        return expected_seconds(spec, self._last_run(spec))

    def expected_phases(self, spec: Spec) -> Phases:
        """Return how long each phase of a trial will take."""
        return expected_phases(spec, self._last_run(spec))

    def _last_run(self, spec: Spec) -> LastRun:
        return self._store.last_runs([kind := run_kind(spec)])[kind]
