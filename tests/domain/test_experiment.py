"""Documents of experiments: what is refused, and at which field."""

from typing import Any

import pytest

from control_plane.domain.errors import InvalidInput
from control_plane.domain.experiment import laid_over, read_experiment

ARMS = [{"name": "a", "spec": {}}, {"name": "b", "spec": {"seed": 1}}]


def experiment(**changes: Any) -> dict[str, Any]:
    return {"question": "Which?", "arms": ARMS, **changes}


def test_what_is_left_out_has_a_default() -> None:
    found = read_experiment(experiment())
    assert (found.metric, found.margin, found.blocks) == ("throughput_per_s", 0.03, 10)
    assert [guardrail.metric for guardrail in found.guardrails] == [
        "response_time_s.p99",
        "peak_memory_bytes",
    ]
    assert found.design.blocks == 10


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"question": " "}, "question", "must not be empty"),
        ({"arms": ARMS[:1]}, "arms", "give 2 to 64"),
        ({"arms": [{"name": f"{n}", "spec": {}} for n in range(65)]}, "arms", "give 2 to 64"),
        ({"arms": [ARMS[0], ARMS[0]]}, "arms.1.name", "Another arm is called a"),
        ({"arms": [ARMS[0], {"name": "b"}]}, "arms.1.spec", "missing"),
        ({"arms": {"a": 1}}, "arms", "not a list"),
        ({"metric": "speed"}, "metric", "no metric"),
        ({"metric": "bytes_received_per_request"}, "metric", "better or worse"),
        ({"guardrails": [{"metric": "x"}]}, "guardrails.0.metric", "no metric"),
        ({"metric": "error_share"}, "metric", "no ratio"),
        ({"guardrails": [{"metric": "throughput_per_s"}]}, "guardrails.0.metric", "named twice"),
        (
            {"guardrails": [{"metric": "duration_s", "margin": -3}]},
            "guardrails.0.margin",
            "below",
        ),
        ({"seed": -1}, "seed", "below"),
        ({"margin": -0.1}, "margin", "below"),
        ({"blocks": 2}, "blocks", "below"),
        ({"blocks": 101}, "blocks", "above"),
        ({"blocks": 4.5}, "blocks", "not a whole number"),
        ({"margin": "3 %"}, "margin", "not a number"),
        ({"colour": 1}, "colour", "no such field"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(
    changes: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_experiment(experiment(**changes))
    (wrong,) = refused.value.fields
    assert wrong.field == field
    assert message in wrong.message


def test_an_arm_lies_over_what_all_have_in_common() -> None:
    base = {"client": {"strategy": "raw", "loop": "uvloop"}, "workload": {"streams": [1, 2]}}
    found = laid_over(base, {"client": {"loop": "asyncio"}, "workload": {"streams": [3]}})
    assert found["client"] == {"strategy": "raw", "loop": "asyncio"}
    assert found["workload"] == {"streams": [3]}
    assert base["client"] == {"strategy": "raw", "loop": "uvloop"}
