import subprocess
from pathlib import Path

import pytest

from control_plane.targets.observation.machine import SHARED_CORES, CorePlan
from control_plane.targets.run_environment import commit, run_environment

HASH = "97ca2d0000000000000000000000000000000001"


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
