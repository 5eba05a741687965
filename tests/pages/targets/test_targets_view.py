from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pytest

from control_plane.analysis.client_ceiling import CLIENTS, TAG, ceiling_spec
from control_plane.domain.spec import Client
from control_plane.store.store import open_store
from control_plane.targets.configurations import BUILTIN_CONFIGURATIONS
from control_plane.targets.cores_and_run_environment import SHARED_CORES, run_environment
from control_plane.targets.launch import shown_command
from tests.builders.records import Shape
from tests.builders.runs import ASYNC, THREADED, finished, items
from tests.dashboard import Dashboard, provide_database
from tests.html import read_html
from tests.in_process import in_process
from tests.pages.stored import Stored, words


def test_every_configuration_stands_with_its_command(empty: Dashboard) -> None:
    page = empty.get("/targets").text
    for configuration in BUILTIN_CONFIGURATIONS:
        assert read_html(page).by_role("heading", configuration.name)
        assert escape(shown_command(configuration.target)) in page
        assert f"of {configuration.name}</span></summary>" in page


def test_a_configuration_begins_a_run(empty: Dashboard) -> None:
    name = BUILTIN_CONFIGURATIONS[3].name
    page = empty.get("/runs/new", params={"configuration": name}).text
    boxes = [box.attributes for box in read_html(page).elements() if box.tag == "input"]
    ticked = [box for box in boxes if "checked" in box]
    assert [box["value"] for box in ticked if box["name"] == "target.configuration"] == [name]


MOST = Shape(rate_per_s=21_700, median_s=0.0029, client_cpu=1.0, target_cpu=0.4)


@dataclass(frozen=True)
class Known:
    """Ids: a run, the ceiling of its client, and a run whose client has none."""

    looplab: Dashboard
    run: str
    ceiling: str
    without: str


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    folder: Path = tmp_path_factory.mktemp("ceilings")
    store, here = open_store(provide_database(folder / "runs.db")), run_environment(SHARED_CORES)
    elsewhere = {**here, "cpu_model": "Apple M2"}
    ceiling = finished(store, ceiling_spec(Client()), MOST, here)
    finished(store, ceiling_spec(Client()), MOST, elsewhere)
    run = finished(store, items(), ASYNC, here)
    without = finished(store, items(client={"strategy": "threaded"}), THREADED, here)
    store.close()
    with in_process(folder) as started:
        yield Known(started, run.id, ceiling.id, without.id)


def test_a_run_stands_beside_the_ceiling_of_its_client(known: Known) -> None:
    page = known.looplab.get(f"/runs/{known.run}").text
    assert "This client tops out at 2" in words(page)
    assert "of the ceiling. The client had room" in words(page)
    assert f'href="/runs/{known.ceiling}"' in page
    assert "This client tops out" not in known.looplab.get(f"/runs/{known.ceiling}").text


def test_the_api_lists_them_and_tells_which_count(known: Known) -> None:
    elsewhere, here = known.looplab.get("/api/ceilings").json()["ceilings"]
    assert (elsewhere["here"], here["here"], here["run"]) == (False, True, known.ceiling)
    assert (here["strategy"], here["concurrency"], here["at_least"]) == ("async", 64, False)
    assert here["environment"]["python"] == run_environment(SHARED_CORES)["python"]


def test_the_targets_page_shows_those_of_this_machine(known: Known) -> None:
    page = known.looplab.get("/targets").text
    said = words(page)
    assert page.count(f'href="/runs/{known.ceiling}"') == 1
    assert said.count("not measured yet") == len(CLIENTS) - 1
    assert "Measure all" in said


def test_a_run_without_one_offers_to_measure_its_client(known: Known) -> None:
    looplab = known.looplab
    said = words(looplab.get(f"/runs/{known.without}").text)
    assert "The most that this client can send is not known on this machine" in said
    answer = looplab.post_form("/ceilings", [("run", known.without), ("key", "a")])
    made = looplab.run(answer.headers["location"].removeprefix("/runs/"))
    assert (made["spec"]["client"]["strategy"], made["tags"]) == ("threaded", [TAG])
    assert looplab.post(f"/api/runs/{made['id']}/cancel").status_code == 200


def test_a_run_of_another_machine_offers_nothing(stored: Stored) -> None:
    assert "this client can send" not in stored.page(f"/runs/{stored.runs.classic[1]}")


def test_all_are_queued_shown_and_cancelled(empty: Dashboard) -> None:
    for _ in range(2):
        answer = empty.post_form("/ceilings", [("key", "twice")])
        assert answer.headers["location"] == "/targets#client-ceiling"
    runs = empty.get("/api/runs", params={"tag": TAG}).json()["runs"]
    assert [run["spec"]["client"]["strategy"] for run in runs] == [
        client.strategy for client in reversed(CLIENTS)
    ]
    fragment = empty.get("/ceilings").text
    assert fragment.count("/cancel") == len(CLIENTS)
    assert "hx-trigger" in fragment
    for run in runs:
        assert empty.post(f"/api/runs/{run['id']}/cancel").status_code == 200
    assert "hx-trigger" not in empty.get("/ceilings").text
