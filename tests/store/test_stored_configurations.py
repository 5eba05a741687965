"""What the last runs of a configuration tell of the next one."""

from dataclasses import replace

from control_plane.domain.result import Validity
from control_plane.domain.run import LastRun, Run, State
from control_plane.domain.spec import BUNDLED, Target
from control_plane.store.store import Store
from tests.builders.runs import ASYNC, merged_streams, trial_of
from tests.builders.states import draft, in_state


def test_the_last_start_is_that_of_the_same_target(store: Store) -> None:
    def done(ready_s: float, application: str = BUNDLED, last: State = State.FINISHED) -> None:
        asked = draft("one", trials=1, target=Target(application=application))
        (run,) = store.add([asked])
        for after in (State.STARTING, State.RUNNING, State.FINALIZING):
            run = store.move(run.id, run.state, after)
        result = trial_of(run.spec, ASYNC)
        target = replace(result.trial.target, ready_s=ready_s)
        store.save_trial(run.id, replace(result, trial=replace(result.trial, target=target)))
        if last is State.FINISHED:
            store.finish(run.id, merged_streams([result]), Validity(None))

    def ready_s(application: str = BUNDLED, configuration: str = "one") -> float | None:
        kind = ("blocking", configuration, "/other", application)
        return store.last_runs([kind])[kind].ready_s

    assert ready_s() is None
    done(0.5)
    assert ready_s() == 0.5
    done(8.0, "shop")
    done(0.7)
    done(9.0, last=State.FINALIZING)
    assert [ready_s(), ready_s("shop"), ready_s(configuration="two")] == [0.7, 8.0, None]
    assert ready_s("") is None
    odd = ("async", "one", "/\0\udc80", BUNDLED)
    assert store.last_runs([odd]) == {odd: LastRun()}


def test_the_last_rate_is_that_of_the_same_kind(store: Store) -> None:
    def done(configuration: str, rate: float, given_name: str | None = None) -> Run:
        (run,) = store.add([replace(draft(configuration, trials=1), given_name=given_name)])
        for after in (State.STARTING, State.RUNNING, State.FINALIZING):
            run = store.move(run.id, run.state, after)
        merged = merged_streams([trial_of(run.spec, ASYNC)])
        exact = [replace(merged[0], summary=replace(merged[0].summary, throughput_per_s=rate))]
        return store.finish(run.id, exact, Validity(None))

    def rate(path: str = "/items/{item_id}", strategy: str = "async") -> float | None:
        kinds = [(strategy, configuration, path, BUNDLED) for configuration in ("two", "one")]
        return store.last_runs(kinds)[kinds[-1]].rate_per_s

    assert rate() is None
    done("one", 100.0)
    done("two", 200.0)
    assert rate() == 100.0
    done("one", 300.0, "my own")
    in_state(store, State.FAILED, configuration="one")
    assert rate() == 300.0
    assert rate("/another") is rate(strategy="blocking") is None
