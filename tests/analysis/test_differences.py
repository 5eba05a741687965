"""What differs between runs, and what makes two machines."""

from dataclasses import replace

import pytest

from control_plane.analysis.differences import (
    Difference,
    environment_differences,
    machine_mismatch,
    spec_fields,
)
from control_plane.domain.endless_responses import UntilEvent, UntilSeconds
from control_plane.domain.load_models import Burst, Open, Periodic, RateStep
from control_plane.domain.spec import RequestClass, Spec, Stream, UrlTarget, Workload
from tests.builders.trials import run, spec, with_spaces

HERE = {
    "hostname": "a",
    "cpu_model": "EPYC",
    "cpu_count": 2,
    "kernel": "6.1",
    "python": "3.11.7",
    "uvicorn": "0.54.0",
    "commit": "abc",
    "load_before": 0.1,
    "cores_target": [0],
}


def differing(*specs: Spec) -> list[tuple[str, list[str]]]:
    runs = [run(str(index), spec=each) for index, each in enumerate(specs)]
    return [
        (field.label, list(field.texts.values())) for field in spec_fields(runs) if field.differs
    ]


def test_the_same_spec_twice():
    runs = [run("a"), run("b")]
    fields = spec_fields(runs)
    assert len(fields) > 30
    assert not any(field.differs for field in fields)


def test_only_the_fields_that_differ():
    found = differing(spec("blocking", 1), spec("threaded", 6), spec("async", 100))
    assert found == [
        ("Strategy", ["blocking, requests", "threaded, requests", "async, aiohttp"]),
        ("Concurrency", ["1", "6", "100"]),
    ]


def test_names_of_a_run_are_no_differences():
    assert differing(spec(title="before", tags=("a",)), spec(title="after")) == []


def test_a_field_that_one_run_lacks():
    burst = Stream(
        (RequestClass(path="/items/1"),), Burst("burst", 5), spec().workload.streams[0].stop
    )
    found = dict(
        differing(spec(), replace(spec(), workload=Workload((replace(burst, name="items"),))))
    )
    assert found["Load model"] == ["closed", "burst"]
    assert found["Concurrency"] == ["100", "–"]
    assert found["Connections"] == ["–", "5"]


def test_streams_are_matched_by_name_not_by_place():
    both = spec(names=("small", "large"))
    turned = replace(both, workload=Workload(tuple(reversed(both.workload.streams))))
    assert differing(both, turned) == []


def test_a_stream_that_one_run_lacks():
    labels = [label for label, _ in differing(spec(names=("a",)), spec(names=("a", "b")))]
    assert labels
    assert all(label.endswith(", b") for label in labels)


def test_another_target():
    found = dict(differing(spec(), spec(target=UrlTarget("http://127.0.0.1:9000"))))
    assert found["Address"] == ["–", "http://127.0.0.1:9000"]
    assert found["Server"] == ["uvicorn", "–"]


def test_values_stay_raw_beside_their_texts():
    runs = [run("a", spec=spec(timeout_s=30.0)), run("b", spec=spec(timeout_s=60.0))]
    (found,) = (field for field in spec_fields(runs) if field.differs)
    assert (found.field, found.values) == ("timeout_s", {"a": 30.0, "b": 60.0})


def test_equal_values_of_other_kinds_are_told_apart() -> None:
    values = {"a": [1], "b": [True], "c": [1.0], "d": [1.0]}
    texts = Difference("target.settings.x", "x", values).texts
    assert list(texts.values()) == ["1", "True", "1.0", "1.0"]


def test_facts_of_the_moment_are_no_part_of_the_environment():
    runs = [
        run("a", environment=HERE),
        run("b", environment={**HERE, "load_before": 1.9}),
    ]
    assert environment_differences(runs) == ()


def test_how_the_cores_were_used_is_a_difference():
    apart = {**HERE, "core_policy": "apart"}
    shared = {**HERE, "core_policy": "shared", "cores_target": [0, 1]}
    runs = [run("a", environment=apart), run("b", environment=shared)]
    assert [(fact.label, list(fact.texts.values())) for fact in environment_differences(runs)] == [
        ("Target on cores", ["0", "0, 1"]),
        ("Use of cores", ["target and client apart", "target and client share all"]),
    ]
    assert machine_mismatch(apart, shared) is None


def test_versions_are_differences():
    runs = [run("a", environment=HERE), run("b", environment={**HERE, "uvicorn": "0.55.0"})]
    (found,) = environment_differences(runs)
    assert (found.label, found.texts) == ("uvicorn", {"a": "0.54.0", "b": "0.55.0"})


def test_runs_that_never_started_have_no_environment():
    assert environment_differences([run("a", environment=HERE), run("b", environment=None)]) == ()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, None),
        ({"uvicorn": "0.55.0"}, None),
        ({"commit": "def"}, None),
        ({"load_before": 2.0}, None),
        ({"python": "3.12.4"}, "Python 3.11.7 against 3.12.4"),
        ({"kernel": "6.8", "cpu_count": 8}, "CPU count 2 against 8, Kernel 6.1 against 6.8"),
        ({"hostname": "b"}, "Machine a against b"),
        ({"hostname": None}, None),
    ],
)
def test_two_machines_are_told_by_both_values(change, expected):
    assert machine_mismatch(HERE, {**HERE, **change}) == expected


@pytest.mark.parametrize(("first", "second"), [(None, HERE), (HERE, None), (None, None)])
def test_an_unknown_environment_refuses_nothing(first, second):
    assert machine_mismatch(first, second) is None


def test_the_fields_of_load_models():
    def under(load):
        (stream,) = spec().workload.streams
        return replace(spec(), workload=Workload((replace(stream, load=load),)))

    steps = (RateStep(1_000, 5), RateStep(0.5, 2.5))
    found = dict(
        differing(
            under(Open("open", 250.0)),
            under(Open("open", steps, "poisson", 50)),
            under(Periodic("periodic", 0.1)),
        )
    )
    texts = {label: [with_spaces(value) for value in values] for label, values in found.items()}
    assert texts == {
        "Load model": ["open", "open", "periodic"],
        "Rate": ["250 /s", "1,000/s for 5 s, 0.5/s for 2.5 s", "–"],
        "Arrivals": ["constant", "poisson", "–"],
        "In flight at most": ["1,000", "50", "–"],
        "Interval": ["–", "–", "0.1 s"],
        "Concurrency": ["–", "–", "1"],
    }


def test_where_reading_ends_is_one_field():
    (stream,) = spec().workload.streams
    read = [
        replace(
            spec(),
            workload=Workload((replace(stream, requests=(RequestClass(until=until),)),)),
        )
        for until in (UntilEvent(1), UntilSeconds(0.5))
    ]
    assert [(label, [*map(with_spaces, texts)]) for label, texts in differing(*read)] == [
        ("Read", ["until its first event", "for 0.5 s"])
    ]
