"""Repeats: what came from another Looplab is shown, measured by a click, and set beside it."""

import csv
import io
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from control_plane.domain.experiment import ExperimentDesign
from control_plane.store.bundles import write_bundle
from control_plane.store.store import Draft, Store, open_store
from tests.builders.runs import (
    ASYNC,
    BLOCKING,
    ENVIRONMENT,
    FAILING,
    THREADED,
    decided,
    finished,
    items,
    led,
)
from tests.dashboard import BARE, Dashboard, provide_database
from tests.html import read_html
from tests.in_process import in_process
from tests.pages.stored import words

THEIRS = {**ENVIRONMENT, "hostname": "their-machine"}
HOSTILE = "shop\"'><script>alert(1)</script>"


@dataclass(frozen=True)
class Source:
    """Bundles of another Looplab by name, each with one result, and the ids of these."""

    files: dict[str, Path]
    ids: dict[str, str]


def disturbed(store: Store) -> str:
    """An experiment whose first block other programs disturbed, which was measured again."""
    arms = [(name, Draft(items(title=name, trials=4), "uvicorn")) for name in ("a", "b")]
    made = store.add_experiment("Which?", ExperimentDesign(blocks=4), arms, max_queue=9)
    for row in (*range(4), 0):
        number = store.begin_block(made.id, row).number
        store.end_block(made.id, number, "complete" if number else "spoiled")
    for arm in made.arms:
        led(store, store.run(arm.run_id or ""), ASYNC, THEIRS, replace(ASYNC, other_cpu=0.9))
    return made.id


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("theirs")
    store = open_store(provide_database(folder / "runs.db"))
    short = {"trials": 1, "stop": {"requests": 200}, "warmup_s": 0.1, **BARE}
    secret = {"path": "/x", "headers": {"Authorization": "(secret 0123456789abcdef)"}}
    stream = {
        "name": "hidden",
        "requests": [secret],
        "load": {"model": "closed", "concurrency": 1},
        "stop": {"requests": 5},
    }
    asked = items(**short, title="theirs", concurrency=4)
    ids = {
        "run": finished(store, asked, ASYNC, THEIRS).id,
        "hostile": finished(store, items(trials=1), ASYNC, THEIRS).id,
        "secret": finished(
            store, items(trials=1, workload={"streams": [stream]}), ASYNC, THEIRS
        ).id,
        "invalid": finished(store, items(trials=1, title="invalid"), FAILING, THEIRS).id,
        "spoiled": disturbed(store),
        "experiment": decided(store, "classic", (BLOCKING, THREADED, ASYNC), THEIRS).id,
    }
    store.close()
    files = {name: folder / f"{name}.looplab" for name in ids}
    for name, result_id in ids.items():
        write_bundle(folder / "runs.db", files[name], [result_id])
    return Source(files, ids)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with in_process(tmp_path_factory.mktemp("here")) as started:
        yield started


def taken(here: Dashboard, file: Path) -> str:
    """Import a bundle by page; what that says."""
    told = here.client.post("/import", files={"file": ("theirs.looplab", file.read_bytes())})
    assert told.status_code == 200, told.text
    return told.text


def changed(file: Path, statements: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(statements)


def count(here: Dashboard) -> int:
    return len(here.get("/api/runs").json()["runs"])


def test_a_run_is_shown_then_started_by_a_click_and_set_beside_without_a_ratio(
    here: Dashboard, source: Source
) -> None:
    theirs = source.ids["run"]
    assert f'href="/repeat/{theirs}">Repeat it here' in taken(here, source.files["run"])
    assert f'href="/repeat/{theirs}">Repeat here' in here.get(f"/runs/{theirs}").text
    before = count(here)
    shown = here.get(f"/repeat/{theirs}")
    said = words(shown.text)
    assert "measured on their-machine" in said
    assert "Nothing was started yet" in said
    assert "GET /items/{item_id}" in said
    assert "Code of “bundled” here:" in said
    assert f"“theirs” was {here.run(theirs)['validity']['outcome']} there" in said
    assert "responder" in here.post(f"/api/repeats/{theirs}", {}).json()["commands"][0]
    assert count(here) == before
    (start,) = [
        form
        for form in read_html(shown.text).all("form")
        if form.attributes.get("method") == "post" and "/repeat/" in form.attributes["action"]
    ]
    fields = [(field.attributes["name"], field.attributes["value"]) for field in start.all("input")]
    evil = here.post_form(f"/repeat/{theirs}", fields, {"origin": "https://evil.example"})
    assert (evil.status_code, count(here)) == (403, before)
    made, twice = (here.post_form(f"/repeat/{theirs}", fields) for _ in range(2))
    assert made.status_code == 303
    beside = made.headers["location"]
    assert beside == twice.headers["location"]
    own = beside.rpartition(",")[2]
    assert beside == f"/compare?runs={theirs},{own}"
    run = here.finished(own)
    assert run["spec"] == here.run(theirs)["spec"]
    no_ratio_anywhere(here, theirs, own)


def test_of_an_invalid_result_nothing_counts(here: Dashboard, source: Source) -> None:
    taken(here, source.files["invalid"])
    said = words(here.get(f"/repeat/{source.ids['invalid']}").text)
    assert "They found: Nothing that counts. “invalid” was invalid there:" in said
    assert "client async, 100 users for 24,999 requests, 1 trial" in said


def no_ratio_anywhere(here: Dashboard, theirs: str, own: str) -> None:
    """In whatever form, asked for or not, and whoever is the baseline."""
    for baseline in (theirs, own):
        for query in ("", "&anyway=1"):
            asked = f"?runs={theirs},{own}&baseline={baseline}{query}"
            page = here.get(f"/compare{asked}").text
            assert "Side by side, without a ratio: two machines" in words(page)
            assert "Compare anyway" not in words(page)
            assert 'id="shift"' not in page
            assert "is faster" not in page
            assert "served most" not in page
            texts = [words(page), here.get(f"/compare.md{asked}").text]
            assert [found for text in texts for found in re.findall(r"[×÷]\d", text)] == []
            rows = csv.DictReader(io.StringIO(here.get(f"/compare.csv{asked}").text))
            assert {row["ratio"] for row in rows if row["run"] != baseline} == {""}
    told = here.get(f"/api/compare?runs={theirs},{own}").json()
    assert {row["ratios"][own] for row in told["rows"]} == {None}
    assert "the machines differ" in told["sentence"]
    peers = here.get(f"/api/peers/compare?results={theirs},{own}&anyway=1").json()
    assert {ratio for row in peers["rows"] for ratio in row["ratios"].values()} == {None}


def test_an_experiment_is_repeated_with_the_verdicts_of_both_machines(
    here: Dashboard, source: Source
) -> None:
    theirs = source.ids["experiment"]
    taken(here, source.files["experiment"])
    page = here.get(f"/experiments/{theirs}").text
    assert "imported from their-machine" in words(page)
    assert "Run again" not in words(page)
    assert f'href="/experiments/{theirs}.csv"' in page
    (exported, pasted) = (here.get(f"/experiments/{theirs}.{form}").text for form in ("csv", "tsv"))
    rows = [*csv.DictReader(io.StringIO(exported))]
    assert rows == [*csv.DictReader(io.StringIO(pasted), delimiter="\t")]
    worths = {(row["baseline_validity"], row["validity"]) for row in rows}
    assert worths == {("valid", "valid"), ("valid", "suspect")}
    made = here.post_form(f"/repeat/{theirs}", [("key", "once")])
    assert made.status_code == 303, made.text
    own = made.headers["location"].removeprefix("/experiments/")
    told = here.post(f"/api/experiments/runs/{own}/cancel").json()
    assert told["repeats"] == theirs
    beside = words(here.get(f"/experiments/{own}").text)
    assert "On their-machine :" in beside
    assert "at least 3 complete blocks are needed" in beside
    arms = here.get(f"/api/experiments/runs/{theirs}").json()["runs"]
    assert (
        f"/compare?runs={arms[1]['id']},{told['runs'][1]['id']}"
        in here.get(f"/experiments/{own}").text
    )
    assert "repeats" not in here.get(f"/experiments/{own}").text.partition("experiment-toml")[2]


def test_a_block_that_was_set_aside_makes_no_arm_suspect(here: Dashboard, source: Source) -> None:
    """As on the page of the experiment, whose blocks alone count."""
    theirs = source.ids["spoiled"]
    taken(here, source.files["spoiled"])
    told = here.post(f"/api/repeats/{theirs}", {}).json()
    assert [each["text"] for each in told["validity"]] == [
        "“a” was valid there.",
        "“b” was valid there.",
    ]
    (first, _) = here.get(f"/api/experiments/runs/{theirs}").json()["runs"]
    assert first["validity"] == "valid"
    assert here.run(first["id"])["validity"]["outcome"] == "suspect"


def test_what_is_not_known_here_is_named_and_nothing_starts(
    here: Dashboard, source: Source
) -> None:
    """Whatever names and commands say: they are texts."""
    theirs, file = source.ids["hostile"], source.files["hostile"]
    name = HOSTILE.replace("'", "''")
    changed(
        file,
        "UPDATE run_facts SET command = '<script>alert(2)</script>; rm -rf /', spec ="
        f" json_set(spec, '$.target.application', '{name}',"
        " '$.workload.streams[0].requests[0].method', 'DELETE');"
        f"UPDATE run SET application = '{name}'",
    )
    taken(here, file)
    before = count(here)
    page = here.get(f"/repeat/{theirs}").text
    assert "<script>alert" not in page
    assert "This Looplab has no application shop" in words(page)
    assert "rm -rf" in words(page)
    assert "writes" in words(page)
    assert 'method="post" action="/repeat/' not in page
    refused = {
        "": "This Looplab has no application shop",
        "application.0=other": "This Looplab has no application other",
        "url.0=http://10.1.2.3:80": "127.0.0.1",
        "url.0=file:///etc/passwd": "http",
        "url.0=http://127.0.0.1:8200": "8200",
        "url.0=http://127.0.0.1:9&application.0=bundled": "not both",
    }
    for query, message in refused.items():
        fields = parse_qsl(query)
        answer = here.post_form(f"/repeat/{theirs}", fields)
        assert answer.status_code == 422, query
        assert message in words(answer.text), query
    served = {HOSTILE: {"application": "bundled"}}
    told = here.post(f"/api/repeats/{theirs}", {"serve": served}).json()
    assert (told["missing"], told["started"]) == ([], None)
    assert "target_app.main:app" in told["commands"][0]
    assert "<script>" not in told["commands"][0]
    both: tuple[dict[str, dict[str, str]], ...] = (
        {"nosuch": {}},
        {HOSTILE: {"application": "bundled", "url": "http://127.0.0.1:9"}},
    )
    for serve, field in zip(both, ("serve.nosuch", f"serve.{HOSTILE}.url"), strict=True):
        answer = here.post(f"/api/repeats/{theirs}", {"serve": serve})
        assert (answer.status_code, answer.json()["fields"][0]["field"]) == (422, field)
    assert count(here) == before


def test_their_doubts_are_told_and_two_of_theirs_in_one_place_are_named(
    here: Dashboard, tmp_path: Path
) -> None:
    store = open_store(provide_database(tmp_path / "pair.db"))
    theirs = decided(store, "classic", (BLOCKING, THREADED, ASYNC), THEIRS)
    store.close()
    file = tmp_path / "pair.looplab"
    write_bundle(tmp_path / "pair.db", file, [theirs.id])
    first = theirs.arms[0].run_id
    changed(
        file,
        "UPDATE run_facts SET spec = (SELECT spec FROM run_facts LIMIT 1);"
        "UPDATE run_facts SET spec = json_set(spec, '$.target.application', 'shop'),"
        " environment = json_set(environment, '$.application_commit', 'abcdef0123456789')"
        f" WHERE run = (SELECT seq FROM run WHERE id = '{first}');"
        f"UPDATE run SET application = 'shop' WHERE id = '{first}'",
    )
    taken(here, file)
    said = words(here.get(f"/repeat/{theirs.id}").text)
    assert "“blocking” was valid there. “threaded” was suspect there: Client CPU 100 %" in said
    serve = {"shop": {"application": "bundled"}}
    told = here.post(f"/api/repeats/{theirs.id}", {"serve": serve}).json()
    assert "commit abcdef0123 there" in told["targets"][0]["differs"]
    wrong = {each["field"]: each["message"] for each in told["missing"]}
    assert wrong["arms.1.spec"] == "This arm is the same as “blocking”."
    both = "“shop” and “bundled” are both served by “bundled” here."
    assert wrong["application.1"] == both


LIMITS: dict[str, tuple[str, Any]] = {
    "concurrency": ("$.workload.streams[0].load.concurrency", 1_000_000),
    "requests": ("$.workload.streams[0].stop.requests", 10**12),
    "trials": ("$.trials", 10**6),
    "workers": ("$.target.workers", 10**6),
}


def test_the_limits_of_a_spec_hold(here: Dashboard, source: Source, tmp_path: Path) -> None:
    before = count(here)
    for place, (name, (path, value)) in enumerate(LIMITS.items()):
        file = tmp_path / f"{name}.looplab"
        file.write_bytes(source.files["run"].read_bytes())
        run_id = f"{place}{source.ids['run'][1:]}"
        changed(
            file,
            f"UPDATE run SET id = '{run_id}'; UPDATE run_facts SET spec ="
            f" json_set(spec, '{path}', {value})",
        )
        imported = here.client.post("/import", files={"file": (file.name, file.read_bytes())})
        if imported.status_code == 200:
            told = here.post(f"/api/repeats/{run_id}", {"start": True})
            assert (told.status_code, told.json()["error"]) == (422, "invalid"), name
            assert here.delete(f"/api/runs/{run_id}").status_code == 204
    assert count(here) == before


def test_a_secret_that_stayed_there_is_named(here: Dashboard, source: Source) -> None:
    taken(here, source.files["secret"])
    said = words(here.get(f"/repeat/{source.ids['secret']}").text)
    assert "It cannot be measured here as it is" in said
    assert "headers.Authorization" in said


def test_a_result_of_this_looplab_is_handed_on(here: Dashboard, source: Source) -> None:
    own = here.finished(here.submit(items_document()))["id"]
    page = here.get(f"/repeat/{own}").text
    assert f'href="/bundle?run={own}"' in page
    assert f"looplab repeat looplab-{own}.looplab" in page
    assert here.post(f"/api/repeats/{own}", {}).status_code == 409
    assert here.get("/repeat/zzzzzzzzzz").status_code == 404
    assert here.post("/api/repeats/zzzzzzzzzz", {"start": True}).status_code == 404


def items_document() -> dict[str, Any]:
    stream = {
        "requests": [{"path": "/"}],
        "load": {"model": "closed", "concurrency": 1},
        "stop": {"requests": 20},
    }
    return {"workload": {"streams": [stream]}, "warmup_s": 0, **BARE}
