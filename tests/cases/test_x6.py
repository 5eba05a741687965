"""Two runs of one spec had one name, so that nobody knew which of them was meant."""

import json
from collections.abc import Callable

import pytest

from control_plane import cli_output
from tests.cases.command_line import CASES
from tests.dashboard import Dashboard
from tests.pages.stored import words


@pytest.fixture(scope="module")
def twice(case: Callable[[str], Dashboard]) -> tuple[Dashboard, list[str]]:
    looplab = case("X6")
    spec = json.loads((CASES / "X6" / "spec.json").read_text())
    spec["workload"]["streams"][0]["stop"] = {"requests": 200}
    spec |= {"client": {"strategy": "raw"}, "warmup_s": 0}
    ids = [looplab.submit(spec) for _ in range(2)]
    ids += [looplab.submit({**spec, "title": "a title of their own"}) for _ in range(2)]
    for run_id in ids:
        looplab.finished(run_id)
    return looplab, ids


@pytest.mark.parametrize("pair", [(0, 1), (2, 3), (1, 0), (0, 1, 2, 3)])
def test_runs_of_one_spec_are_told_apart_by_name_in_every_view(
    twice: tuple[Dashboard, list[str]], pair: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    looplab, ids = twice
    chosen = [ids[place] for place in pair]
    address = f"runs={','.join(chosen)}"
    document = looplab.get(f"/api/compare?{address}").json()
    names = [document["labels"][run_id].partition(" ")[2] for run_id in chosen]
    assert len(set(names)) == len(chosen)
    assert all(f"run {run_id}" in name for name, run_id in zip(names, chosen, strict=True))
    page = words(looplab.get(f"/compare?{address}").text)
    text = looplab.get(f"/compare.md?{address}").text
    cli_output.print_comparison(document)
    printed = capsys.readouterr().out
    for name in names:
        assert name in page
        assert name.rpartition(" ")[2] in text
        assert name in printed


def test_lists_tell_them_apart_too(twice: tuple[Dashboard, list[str]]) -> None:
    looplab, ids = twice
    page = looplab.get("/history").text
    assert all(run_id in page for run_id in ids)
