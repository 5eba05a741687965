"""The section that says why: rows, links and stacks."""

from dataclasses import replace

from control_plane.analysis.causes import diagnose
from control_plane.analysis.causes.evidence import Evidence
from control_plane.domain.limits import Limits
from control_plane.pages.run.causes_view import explained
from tests.builders.runs import ASYNC, BLOCKED, EXHAUSTED, detail_of, items
from tests.builders.trials import known
from tests.dashboard import Dashboard
from tests.pages.stored import Stored, words

TEN_S = {"duration_s": 10}


def test_what_was_found_comes_first_and_names_its_place() -> None:
    view = explained(detail_of(items(stop=TEN_S), BLOCKED), Limits())
    assert view is not None
    first, *others = view.rows
    assert (first.state, first.label, first.code) == (
        "found",
        "Event loop blocked",
        "movies.py, line 53: time.sleep",
    )
    assert first.text.endswith("sampled stacks end in ")
    assert {row.state for row in others} == {"out"}
    assert not view.none_found
    assert [label for label, _ in view.links] == ["2 workers"]
    assert view.advice is not None
    assert view.advice.place == first.code
    assert [row.place for row in view.stacks] == [
        "movies.py, line 53, in look_up_blocking",
        "payloads.py, line 61, in parse_model",
    ]


def test_a_clean_run_says_that_nothing_was_found() -> None:
    idle = replace(ASYNC, rate_per_s=900, target_cpu=0.1, client_cpu=0.1)
    view = explained(detail_of(items(stop=TEN_S), idle), Limits())
    assert view is not None
    assert view.none_found
    assert (view.links, view.stacks) == ((), ())


def test_what_is_not_decided_is_neither_found_nor_ruled_out() -> None:
    busy = replace(BLOCKED, other_cpu=1.5, blocked=0.2)
    detail = detail_of(items(stop=TEN_S), busy)
    two = tuple(
        replace(trial_gauges, stalls=trial_gauges.stalls[:2]) for trial_gauges in detail.gauges
    )
    judged = diagnose(
        Evidence(
            detail.run.spec, detail.run.trials[:1], detail.run.streams, two[:1],
            known(detail.run.validity),
        )
    )  # fmt: skip
    view = explained(replace(detail, run=replace(detail.run, causes=judged)), Limits())
    assert view is not None
    assert (view.rows[0].state, view.rows[0].label) == ("open", "Event loop blocked")
    assert "Not decided: " in view.rows[0].rest
    assert (view.none_found, view.links) == ("", ())


def test_a_run_of_an_earlier_version_has_no_such_section() -> None:
    detail = detail_of(items(stop=TEN_S), EXHAUSTED)
    assert explained(replace(detail, run=replace(detail.run, causes=())), Limits()) is None


def test_the_page_says_why_and_leads_to_the_change(stored: Stored) -> None:
    page = stored.page(f"/runs/{stored.runs.exhausted}")
    said = words(page)
    assert "requests waited for one of 4 threads in 100" in said
    assert said.index("Thread pool full") < said.index("Event loop blocked")
    assert "The event loop was late by 4.00" in said
    form = stored.page(f"/runs/new?from={stored.runs.exhausted}&try=threads")
    assert "16 threads" in words(form)
    assert 'value="16"' in form


def test_each_stack_is_one_click_away(stored: Stored) -> None:
    page = stored.page(f"/runs/{stored.runs.asleep}")
    stacks = page[page.index('id="stacks"') :]
    assert "<details>" in stacks
    assert "movies.py:53 look_up_blocking" in stacks
    assert "Began at 0.0, 0.3, 0.5" in stacks
    assert 'href="#stacks"' in page
    assert "movies blocked → awaited" in stored.page(
        f"/runs/new?from={stored.runs.asleep}&try=path-awaited"
    )
    unknown = stored.page(f"/runs/new?from={stored.runs.asleep}&try=nothing")
    assert "One change" not in words(unknown)


def test_lists_and_comparisons_name_the_cause(stored: Stored) -> None:
    assert "loop blocked" in words(stored.page("/history?text=movies"))
    said = words(stored.compare(stored.runs.asleep, stored.runs.exhausted))
    assert "the event loop was blocked 92" in said
    assert "pool full, 4 of 4 busy" in said


def test_the_api_gives_both_kinds(stored: Stored) -> None:
    looplab: Dashboard = stored.looplab
    run = looplab.get(f"/runs/{stored.runs.asleep}.json").json()
    assert [cause["cause"] for cause in run["causes"]] == ["loop_blocked"]
    assert "pool_exhausted" in {cause["cause"] for cause in run["ruled_out"]}
