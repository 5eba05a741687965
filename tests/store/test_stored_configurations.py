"""How quick configurations were when they were measured last."""

from dataclasses import replace

from control_plane.domain.result import Validity
from control_plane.domain.run import Run, State
from control_plane.store.store import Store
from tests.builders.runs import ASYNC, merged_streams, trial_of
from tests.builders.states import draft, in_state


def test_the_last_rate_is_that_of_the_same_kind(store: Store) -> None:
    def done(configuration: str, rate: float, given_name: str | None = None) -> Run:
        (run,) = store.add([replace(draft(configuration, trials=1), given_name=given_name)])
        for after in (State.STARTING, State.RUNNING, State.FINALIZING):
            run = store.move(run.id, run.state, after)
        merged = merged_streams([trial_of(run.spec, ASYNC)])
        exact = [replace(merged[0], summary=replace(merged[0].summary, throughput_per_s=rate))]
        return store.finish(run.id, exact, Validity(None))

    def rate(path: str = "/items/{item_id}", strategy: str = "async") -> float | None:
        kinds = [(strategy, configuration, path) for configuration in ("two", "one")]
        return store.last_rates(kinds).get(kinds[-1])

    assert rate() is None
    done("one", 100.0)
    done("two", 200.0)
    assert rate() == 100.0
    done("one", 300.0, "my own")
    in_state(store, State.FAILED, configuration="one")
    assert rate() == 300.0
    assert rate("/another") is rate(strategy="blocking") is None
