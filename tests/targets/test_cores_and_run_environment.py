import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control_plane.domain.errors import TargetFailed
from control_plane.domain.limits import Limits
from control_plane.domain.spec import Client, Cores, Spec, Target, UrlTarget
from control_plane.domain.spec_json import read_spec
from control_plane.targets.cores_and_run_environment import (
    SHARED_CORES,
    CorePlan,
    commit,
    run_environment,
    share_cores,
)

HASH = "97ca2d0000000000000000000000000000000001"


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


def test_the_facts_of_this_machine() -> None:
    facts = run_environment(CorePlan((0,), (1, 2), "apart"))
    assert facts["cpu_model"]
    assert facts["memory_bytes"] > 100_000_000
    assert facts["python"].startswith("3.")
    assert all(facts[name][0].isdigit() for name in ("uvicorn", "fastapi", "aiohttp", "requests"))
    assert (facts["core_policy"], facts["cores_target"], facts["cores_client"]) == (
        "apart",
        [0],
        [1, 2],
    )
    assert facts["load_before"] >= 0


def test_shared_cores_are_no_list() -> None:
    assert run_environment(SHARED_CORES)["cores_target"] is None


def test_the_commit_is_what_git_says() -> None:
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        pytest.skip("not a checkout")
    told = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True
    )
    assert commit(checkout) == told.stdout.strip()


@pytest.mark.parametrize(
    "files",
    [
        {".git/HEAD": HASH},
        {".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": f"{HASH}\n"},
        {".git/HEAD": "ref: refs/heads/main", ".git/packed-refs": f"# x\n{HASH} refs/heads/main"},
        {
            ".git": "gitdir: real/worktrees/one",
            "real/worktrees/one/HEAD": "ref: refs/heads/main",
            "real/worktrees/one/commondir": "../..",
            "real/refs/heads/main": HASH,
        },
    ],
)
def test_the_commit_is_read_however_git_keeps_it(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert commit(tmp_path) == HASH


@pytest.mark.parametrize("head", ["", "ref: refs/heads/unborn"])
def test_no_commit_is_none(tmp_path: Path, head: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(head)
    assert commit(tmp_path) is None
