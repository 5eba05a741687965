from dataclasses import replace
from typing import Any

import pytest

from control_plane.domain.errors import TargetFailed
from control_plane.domain.limits import Limits
from control_plane.domain.spec import Client, Cores, Spec, Target, UrlTarget
from control_plane.domain.spec_json import read_spec
from control_plane.targets.cores_and_quota import (
    SHARED_CORES,
    CorePlan,
    available_cores,
    share_cores,
)


def spec(streams: int = 1, **changes: Any) -> Spec:
    named = [
        {"name": f"s{index}", "requests": [{}], "load": {}, "stop": {"requests": 1}}
        for index in range(streams)
    ]
    for stream in named:
        stream["load"] = {"model": "closed", "concurrency": 1}
    return replace(read_spec({"workload": {"streams": named}}, Limits()), **changes)


@pytest.mark.parametrize(
    ("chosen", "available", "plan"),
    [
        (spec(), (0, 1), CorePlan((0,), (1,), "apart")),
        (spec(), (3, 2, 7), CorePlan((2,), (3, 7), "apart")),
        (spec(), (0,), SHARED_CORES),
        (spec(2), (0, 1), SHARED_CORES),
        (spec(client=Client(processes=2)), (0, 1), SHARED_CORES),
        (spec(client=Client(processes=2)), (0, 1, 2), CorePlan((0,), (1, 2), "apart")),
        (spec(2), (0, 1, 2), CorePlan((0,), (1, 2), "apart")),
        (spec(target=Target(workers=2)), (0, 1), SHARED_CORES),
        (spec(target=Target(workers=2)), (0, 1, 2, 3), CorePlan((0, 1), (2, 3), "apart")),
        (spec(target=UrlTarget("http://127.0.0.1:9000")), (0, 1), SHARED_CORES),
        (spec(cores="shared"), (0, 1), SHARED_CORES),
        (spec(cores=Cores((1,), (0, 1))), (0, 1), CorePlan((1,), (0, 1), "given")),
    ],
)
def test_cores_are_shared_out(chosen: Spec, available: tuple[int, ...], plan: CorePlan) -> None:
    assert share_cores(chosen, available) == plan


def test_a_core_that_is_not_there_is_named() -> None:
    with pytest.raises(TargetFailed, match=r"no core 5 to use: this machine gives 0, 1"):
        share_cores(spec(cores=Cores((0,), (5, 1))), (0, 1))


def test_this_machine_has_cores() -> None:
    assert available_cores() == tuple(sorted(available_cores())) != ()
