"""The run service and its queue over a real database, with real targets where a run must last."""

import asyncio
import gc
import sqlite3
from collections import UserDict
from collections.abc import Callable, ItemsView, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from control_plane.domain.errors import Conflict, InvalidInput, NotFound, QueueFull
from control_plane.domain.experiment import ExperimentDesign
from control_plane.domain.limits import Limits
from control_plane.domain.run import Run, State
from control_plane.domain.spec import Target
from control_plane.domain.tool_result import ToldOfFile
from control_plane.jobs import recover
from control_plane.jobs.run_service import RunService
from control_plane.store.mapping import Draft
from control_plane.store.store import Store, open_store
from control_plane.targets.application import Application, bundled_application
from control_plane.targets.observation.sampler import Sampler
from tests.builders.runs import items
from tests.builders.states import in_state
from tests.dashboard import (
    BARE,
    TERMINAL,
    free_port,
    items_spec,
    long_spec,
    provide_database,
    state_in,
)
from tests.stalled_server import stalled_server


def unreachable() -> dict[str, object]:
    """A run that fails at once: nothing listens there."""
    return items_spec(target={"url": f"http://127.0.0.1:{free_port()}"})


async def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.02)


async def over(store: Store, run: Run, within_s: float = 20.0) -> Run:
    await until(lambda: state_in(store.path, run.id) in TERMINAL, within_s)
    return store.run(run.id)


def test_a_start_says_what_an_earlier_one_left_and_what_became_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        recover(store, (), "normal")
        assert not caplog.messages
        running = in_state(store, State.RUNNING)
        in_state(store, State.QUEUED)
        arms = [(name, Draft(items())) for name in "ab"]
        made = store.add_experiment("Which?", ExperimentDesign(), arms, max_queue=9)
        store.begin_session(made.id)
        store.end_block(made.id, store.begin_block(made.id, 0).number, "complete")
        recover(store, (), "normal")
        (told,) = caplog.messages
        assert f"run {running.id} (running), which is interrupted now" in told
        assert "; 1 queued run, interrupted now" in told
        assert f"experiment {made.id}, which is paused now with 1 complete block: resume" in told
        assert store.run(running.id).state is State.INTERRUPTED
        recover(store, (), "normal")
        assert caplog.messages == [told]


async def test_arms_of_an_experiment_that_cannot_be_read_count_as_paused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        arms = [(name, Draft(items())) for name in "ab"]
        made = store.add_experiment("Which?", ExperimentDesign(), arms, max_queue=9)
        with closing(sqlite3.connect(store.path)) as database:
            database.execute("UPDATE experiment SET document = '{'")
            database.commit()
        service = RunService(store, Limits(), recover(store, (), "normal"))
        left = [store.run(arm.run_id or "") for arm in made.arms]
        assert {run.state for run in left} == {State.PAUSED}
        told = caplog.messages[-1]
        assert f"experiment {made.id}, which is paused now and cannot be read" in told
        assert "interrupted" not in told
        for run in left:  # As the log advises.
            assert (await service.cancel(run.id)).state is State.CANCELLED
        await service.close()


async def test_runs_are_executed_in_the_order_of_their_hand_in(
    service: RunService, store: Store
) -> None:
    runs = service.submit([unreachable() for _ in range(3)])
    ended = [await over(store, run) for run in runs]
    assert {run.state for run in ended} == {State.FAILED}
    assert ended == sorted(ended, key=lambda run: str(run.finished_at))
    assert "Nothing listens" in str(ended[0].reason)


class Unreadable(UserDict[str, Application]):
    """Applications of a file that cannot be read for a while."""

    reason: str | None = "somebody took the file away"

    def items(self) -> ItemsView[str, Application]:
        if self.reason:
            raise OSError(self.reason)
        return super().items()


async def test_a_fault_while_a_job_is_made_is_a_failed_run(tmp_path: Path) -> None:
    store = open_store(provide_database(tmp_path / "runs.db"))
    applications = Unreadable(shop=bundled_application())
    service = RunService(store, Limits(), recover(store, {1}, "normal", applications))
    (first,) = service.submit([unreachable()])
    assert (await over(store, first)).reason == "internal error: OSError"
    applications.reason = None
    (second,) = service.submit([unreachable()])
    assert "Nothing listens" in str((await over(store, second)).reason)
    await service.close()
    store.close()


@pytest.mark.parametrize("moment", range(5))
async def test_cancel_at_once_after_the_hand_in(
    service: RunService, store: Store, moment: int
) -> None:
    """However far the queue has come with the run, it ends as cancelled."""
    (run,) = service.submit([long_spec(**BARE)])
    await asyncio.sleep(moment * 0.004)
    async with asyncio.timeout(2):
        cancelled = await service.cancel(run.id)
    assert cancelled.state is State.CANCELLED
    with pytest.raises(Conflict, match="cancelled"):
        await service.cancel(run.id)


async def test_two_cancels_of_one_run_end_it_once(service: RunService, store: Store) -> None:
    (run, second) = service.submit([long_spec(**BARE), unreachable()])
    await until(lambda: store.run(run.id).state.active)
    ends = await asyncio.gather(
        service.cancel(run.id), service.cancel(run.id), return_exceptions=True
    )
    assert State.CANCELLED in {ended.state for ended in ends if isinstance(ended, Run)}
    assert (await over(store, second)).state is State.FAILED


async def test_closing_interrupts_what_works(service: RunService, store: Store) -> None:
    (run, waiting) = service.submit([long_spec(**BARE), long_spec(**BARE)])
    await until(lambda: store.run(run.id).state.active)
    await service.close()
    assert store.run(run.id).state is State.INTERRUPTED
    assert store.run(waiting.id).state is State.QUEUED


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is opened after this soon gives up what is locked."""
    monkeypatch.setattr("control_plane.store.database.BUSY_S", 0.2)


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """By another connection, as that of another process."""
    with closing(sqlite3.connect(store.path, isolation_level=None)) as stranger:
        stranger.execute("begin immediate")
        yield
        stranger.execute("rollback")


@pytest.mark.usefixtures("impatient")
async def test_a_locked_database_does_not_stop_the_queue(
    service: RunService, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    (first,) = service.submit([long_spec(**BARE)])
    await until(lambda: state_in(store.path, first.id) == "running")
    with locked(store):
        cancelling = asyncio.create_task(service.cancel(first.id))
        await until(lambda: caplog.text.count("a run waits") > 1)
        assert not cancelling.done()
    assert (await cancelling).state is State.CANCELLED
    (second,) = service.submit([unreachable()])
    assert (await over(store, second)).state is State.FAILED


@pytest.mark.usefixtures("impatient")
async def test_a_result_waits_for_a_locked_database(
    service: RunService, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with stalled_server() as target:
        (run,) = service.submit([items_spec(target={"url": target.url}, warmup_s=0)])
        await until(lambda: state_in(store.path, run.id) == "running")
        with locked(store):
            target.released.set()
            await until(lambda: caplog.text.count("a run waits") > 1)
    ended = await over(store, run)
    assert ended.state is State.FINISHED
    assert ended.streams


async def test_a_run_that_is_over_is_refused_at_once_while_an_application_is_looked_at(
    service: RunService, store: Store
) -> None:
    (run,) = service.submit([unreachable()])
    await over(store, run)
    await until(lambda: service.queue_status().running is None)
    async with service._queue.reserve():  # noqa: SLF001 - any idle task holds it so
        async with asyncio.timeout(1):
            with pytest.raises(Conflict, match="is failed"):
                await service.cancel(run.id)
        (waiting,) = service.submit([unreachable()])
        assert (await service.cancel(waiting.id)).state is State.CANCELLED


async def test_no_idle_task_begins_before_a_run_that_waits(service: RunService) -> None:
    service.submit([unreachable()])
    with pytest.raises(Conflict):
        async with service._queue.reserve():  # noqa: SLF001 - any idle task holds it so
            pass


async def test_an_idle_task_waits_while_the_queue_only_looks(service: RunService) -> None:
    done = asyncio.Event()

    async def work() -> None:
        done.set()

    async with service._queue._taking:  # noqa: SLF001 - as a look for the oldest run holds it
        task = await service._idle_tasks.begin(work, "a check")  # noqa: SLF001 - what checks begin
        assert not done.is_set()
    await task
    assert done.is_set()


async def test_no_idle_task_waits_for_an_import(service: RunService) -> None:
    """It may last long; also where it waits itself, while the queue looks."""
    queue, begin = service._queue, service._idle_tasks.begin  # noqa: SLF001 - what checks begin
    ends, done = asyncio.Event(), asyncio.Event()

    async def imports() -> None:
        async with queue.reserve():
            await ends.wait()

    async def work() -> None:
        done.set()

    async with asyncio.TaskGroup() as importing:
        async with queue._taking:  # noqa: SLF001 - as a look for the oldest run holds it
            importing.create_task(imports())
            await until(lambda: queue.reserving)
            with pytest.raises(Conflict, match="is being imported"):
                await begin(work, "a check")
        await until(lambda: queue.busy)
        with pytest.raises(Conflict, match="is being imported"):
            await begin(work, "a check")
        ends.set()
    await begin(work, "a check")
    await asyncio.wait_for(done.wait(), 5)


async def test_who_asks_again_gets_a_new_look_in_the_place_of_the_one_that_lasts(
    service: RunService,
) -> None:
    begun: list[int] = []

    async def work() -> None:
        begun.append(1)
        if len(begun) == 1:
            await asyncio.Event().wait()

    begin = service._idle_tasks.begin  # noqa: SLF001 - what checks begin
    first = await begin(work, "a check")
    await until(lambda: begun == [1])
    with pytest.raises(Conflict, match="is being looked at"):
        await begin(work, "another")
    second = await begin(work, "a check")
    assert first.cancelled()
    await second
    assert begun == [1, 1]
    lost, last = await begin(work, "a check"), await begin(work, "a check")
    await last
    assert (lost.cancelled(), begun) == (True, [1, 1, 1])


async def test_a_file_is_imported_while_the_queue_is_held(
    service: RunService, tmp_path: Path
) -> None:
    """So that no run begins meanwhile; an unknown one is refused at once."""
    file, unknown = tmp_path / "results.hlog", tmp_path / "unknown"
    file.write_text("#[damaged")
    unknown.write_text("no results")
    async with service._queue.reserve():  # noqa: SLF001 - another import holds it so
        async with asyncio.timeout(1):
            with pytest.raises(InvalidInput, match="no bundle"):
                await service.import_file(unknown, ToldOfFile(unknown.name))
        importing = asyncio.create_task(service.import_file(file, ToldOfFile(file.name)))
        done, _ = await asyncio.wait({importing}, timeout=0.2)
        assert not done
    with pytest.raises(InvalidInput):
        await importing


async def test_a_wrong_document_leaves_nothing(service: RunService, store: Store) -> None:
    with pytest.raises(InvalidInput):
        service.submit([items_spec(), items_spec(trials=0)])
    with pytest.raises(InvalidInput, match="There is no configuration"):
        service.submit([items_spec(target={"configuration": "nothing"})])
    with pytest.raises(InvalidInput, match="this dashboard"):
        service.submit([items_spec(target={"url": "http://127.0.0.1:1"})])
    assert store.runs(limit=1).total == 0


async def test_the_expected_time_is_that_of_the_parts_by_whatever_name(service: RunService) -> None:
    service.configurations.add("my fast", Target(threads=9))
    named = service.submissions.resolve(items_spec(target={"configuration": "my fast"}, title=""))
    typed = service.submissions.resolve(items_spec(target={"threads": 9}, title=""))
    assert (named.name, named.configuration) == ("my fast", typed.name)
    assert named.spec.title.endswith(", my fast")
    assert replace(named.spec, title="") == replace(typed.spec, title="")


@pytest.mark.parametrize("given", ["shop, my fast", None])
async def test_again_keeps_the_name_that_somebody_gave(
    service: RunService, store: Store, given: str | None
) -> None:
    draft = replace(service.submissions.resolve(unreachable()), given_name=given)
    (run,) = store.add([draft])
    made = service.rerun(run)
    assert (made.given_name, made.configuration) == (given, run.configuration)


async def test_what_a_run_leaves_in_memory_is_collected_before_the_next_one(
    service: RunService, store: Store
) -> None:
    def kept() -> int:
        return sum(isinstance(thing, Sampler) for thing in gc.get_objects())

    gc.disable()
    try:
        for run in service.submit([items_spec(**BARE) for _ in range(3)]):
            assert (await over(store, run)).state is State.FINISHED
        assert kept() <= 1
    finally:
        gc.enable()


async def test_a_full_queue_takes_nothing(service: RunService, store: Store) -> None:
    with pytest.raises(QueueFull):
        service.submit([unreachable()] * 1_001)
    assert store.runs(limit=1).total == 0


async def test_the_queue_tells_its_places(service: RunService) -> None:
    first, second, third = service.submit([long_spec(**BARE)] * 3)
    await until(lambda: service.live(first.id) is not None)
    assert service.queue_status().queued == 2
    waiting = [service.progress(run.id) for run in (second, third)]
    places = [progress.queue_position for progress in waiting if progress]
    assert places == [1, 2]
    with pytest.raises(NotFound):
        await service.cancel("zzzzzzzzzz")
