"""Letters, marks and names of the runs of a page."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from control_plane import cli_output
from control_plane.analysis.charts.curve import curves_of_runs
from control_plane.analysis.comparison import compare
from control_plane.analysis.prose.comparison_sentences import comparison_title, described_comparison
from control_plane.analysis.run_labels import (
    LONGEST,
    called_by_pins,
    configuration_names,
    label_runs,
    short_names,
)
from control_plane.domain.client_strategies import StrategyName
from control_plane.domain.load_models import AnyLoad, Closed, Open, RateStep
from control_plane.domain.run import Origin
from control_plane.domain.spec import RequestClass, Spec, Stream, Target, Workload
from control_plane.pages.exports import comparison_markdown
from tests.builders.trials import START, detail, run, spec, steady


def test_pinned_runs_are_called_by_their_pins_unless_that_tells_none_apart() -> None:
    labels = label_runs(runs(("async", "x"), ("async", "y"), ("async", "z")))
    ids = [label.id for label in labels]
    alone = called_by_pins(labels, {ids[1]: "release 2.3"})
    assert [label.text for label in alone] == ["A x", "B release 2.3", "C z"]
    both = called_by_pins(labels, {ids[1]: "release", ids[2]: "release"})
    assert [label.name for label in both] == ["x", "y", "z"]


def runs(*strategies_and_titles: tuple[StrategyName, str]):
    return [
        run(f"{index:010}", title=title, spec=spec(strategy, 1))
        for index, (strategy, title) in enumerate(strategies_and_titles)
    ]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([("async", "items, async")], ["items, async"]),
        ([("async", "x"), ("blocking", "x")], ["async", "blocking"]),
        (
            [("async", "items, async, 1 worker"), ("async", "items, async, 4 workers")],
            ["1 worker", "4 workers"],
        ),
        ([("async", "before"), ("async", "after")], ["before", "after"]),
        ([("async", "slower?: before"), ("async", "slower?: after")], ["before", "after"]),
        (
            [
                ("async", "before: before or after?: before"),
                ("async", "before: before or after?: after"),
            ],
            ["before", "after"],
        ),
        (
            [("async", "Pool: size?: 10, async"), ("threaded", "Pool: size?: 64, threaded")],
            ["10, async", "64, threaded"],
        ),
        ([("async", "Which pool: 10"), ("async", "Which pool: 64")], ["10", "64"]),
        ([("async", "items: 1"), ("raw", "items: 2")], ["async", "raw"]),
        ([("async", "a?: x"), ("threaded", "b?: x")], ["async", "threaded"]),
        ([("async", "same"), ("async", "same")], ["same, run 0000000000", "same, run 0000000001"]),
        ([("async", "same"), ("async", "same, more")], ["same", "same, more"]),
        ([("threaded", "")], ["threaded"]),
    ],
)
def test_the_shortest_name_that_tells_runs_apart(given, names):
    assert short_names(runs(*given)) == names


@pytest.mark.parametrize(
    ("loads", "names"),
    [
        ([("async", 16), ("async", 64)], ["16 users", "64 users"]),
        (
            [("async", 16), ("threaded", 16), ("async", 64)],
            ["async, 16 users", "threaded, 16 users", "async, 64 users"],
        ),
    ],
)
def test_what_was_meant_to_differ_is_the_name_before_what_came_along(loads, names):
    found = [
        run(f"{index:010}", title=f"mine, {index} s, port {index}", spec=spec(strategy, users))
        for index, (strategy, users) in enumerate(loads)
    ]
    assert short_names(found) == names


@pytest.mark.parametrize(
    ("served", "names"),
    [
        ([("flask", "async", "/"), ("fast", "async", "/blocking")], ["flask", "fast"]),
        ([("flask", "async", "/"), ("fast", "raw", "/")], ["flask, async", "fast, raw"]),
        ([("a", "async", "/"), ("b", "raw", "/")], ["a, async", "b, raw"]),
        (
            [("flask", "async", "/"), ("fast", "async", "/"), ("fast", "async", "/slow")],
            ["flask, /", "fast, /", "fast, /slow"],
        ),
        ([("bundled", "async", "/"), ("fast", "async", "/")], ["bundled", "fast"]),
    ],
)
def test_runs_of_several_applications_are_told_apart_by_these(served, names):
    several = [
        run(
            f"{at:010}",
            title=f"{name}, {strategy}, {path}, made",
            spec=replace(
                spec(strategy, 1),
                target=Target(application=name),
                workload=of_requests((f"GET {path}",)),
            ),
        )
        for at, (name, strategy, path) in enumerate(served)
    ]
    assert short_names(several) == names


def test_a_name_that_was_given_stands():
    found = [
        run(f"{index:010}", title=title, spec=spec("async", users))
        for index, (title, users) in enumerate([("before", 16), ("after", 64)])
    ]
    assert short_names(found) == ["before", "after"]


def request_class(text: str) -> RequestClass:
    method, path = text.split()
    return RequestClass("POST" if method == "POST" else "GET", path)


def of_requests(*streams: tuple[str, ...]) -> Workload:
    """One stream for each tuple of `GET /path`."""
    (usual,) = spec().workload.streams
    return Workload(
        tuple(
            Stream(tuple(map(request_class, requests)), usual.load, usual.stop, name=f"s{index}")
            for index, requests in enumerate(streams)
        )
    )


@pytest.mark.parametrize(
    ("workloads", "names"),
    [
        (
            [[("GET /movies/{id}",)], [("GET /movies/thread/{id}",)], [("GET /movies/sync/{id}",)]],
            ["/movies/{id}", "/movies/thread/{id}", "/movies/sync/{id}"],
        ),
        ([[("GET /x",)], [("POST /x",)]], ["GET /x", "POST /x"]),
        ([[("GET /x",)], [("POST /y",)]], ["GET /x", "POST /y"]),
        # Request classes that all runs have say nothing.
        ([[("GET /a", "POST /c")], [("GET /b", "POST /c")]], ["/a", "/b"]),
        ([[("GET /a", "GET /b")], [("GET /c", "GET /d")]], ["/a, /b", "/c, /d"]),
        # One run has nothing of its own.
        ([[("GET /a",)], [("GET /a", "GET /b")]], ["/a", "/a, /b"]),
        # Streams that all runs have say nothing.
        ([[("GET /a",), ("GET /s",)], [("GET /b",), ("GET /s",)]], ["/a", "/b"]),
        ([[("GET /a",), ("GET /b",)], [("GET /b",), ("GET /a",)]], ["/a, /b", "/b, /a"]),
        # Too long: only what is shared goes.
        (
            [[(f"GET /api/v1/{'long/' * 9}{name}/{{id}}",)] for name in ("issues", "pulls")],
            ["…/issues/{id}", "…/pulls/{id}"],
        ),
    ],
)
def test_runs_of_equal_titles_are_called_by_their_requests(workloads, names):
    found = [
        run(f"{index:010}", title="movies, async, 64 users, 5 s, fast", spec=given)
        for index, given in enumerate(replace(spec(), workload=of_requests(*w)) for w in workloads)
    ]
    assert short_names(found) == names


def test_runs_of_equal_titles_are_called_by_where_they_were_measured_or_by_what_served_them():
    first, second = (run(f"{at:010}", title="mine") for at in range(2))
    theirs = replace(first, origin=Origin("vm", START, ""))
    assert short_names([theirs, second]) == ["run of vm", "own run"]
    assert short_names([theirs, second, replace(second, id="2")])[1:] == [
        "mine, run 0000000001",
        "mine, run 2",
    ]
    served = [replace(first, configuration="shop"), replace(second, configuration="store")]
    assert short_names(served) == ["shop", "store"]


def test_requests_stand_beside_what_else_differs():
    found = [
        run(f"{index:010}", title="mine", spec=replace(spec(way), workload=of_requests((path,))))
        for index, (way, path) in enumerate(
            (way, path) for way in ("async", "threaded") for path in ("GET /a", "GET /b")
        )
    ]
    assert short_names(found) == ["async, /a", "async, /b", "threaded, /a", "threaded, /b"]


STEPS = Open("open", (RateStep(10, 1.0), RateStep(100, 1.0)))


def with_load(strategy: StrategyName, name: str, path: str, load: AnyLoad) -> Spec:
    usual = spec(strategy)
    (stream,) = usual.workload.streams
    streams = (replace(stream, name=name, load=load, requests=(RequestClass("GET", path),)),)
    return replace(usual, workload=Workload(streams))


@pytest.mark.parametrize(
    ("specs", "names"),
    [
        # Requests that the names of the streams tell apart already are not said again.
        (
            [
                with_load("async", "s", "/items/{item_id}", STEPS),
                with_load("threaded", "t", "/movies/{movie_id}", STEPS),
                with_load("async", "t", "/movies/{movie_id}", STEPS),
            ],
            ["async, s", "threaded, t", "async, t"],
        ),
        (
            [
                with_load("async", "s", "/items/{item_id}", STEPS),
                with_load("threaded", "t", "/movies/{movie_id}", STEPS),
                with_load("async", "s", "/items/{item_id}", Closed(concurrency=8)),
            ],
            [
                "async, s, open 10 to 100/s in 2 steps",
                "threaded, t, open 10 to 100/s in 2 steps",
                "async, s, 8 users",
            ],
        ),
        # The load stands before the requests.
        (
            [
                with_load("async", "s", "/a", STEPS),
                with_load("async", "s", "/b", STEPS),
                with_load("async", "s", "/a", Closed(concurrency=8)),
            ],
            ["open 10 to 100/s in 2 steps, /a", "open 10 to 100/s in 2 steps, /b", "8 users, /a"],
        ),
    ],
)
def test_the_load_is_said_before_requests(specs, names):
    found = [run(f"{at:010}", title="mine", spec=given) for at, given in enumerate(specs)]
    assert short_names(found) == names


def test_long_names_differ_after_the_cut():
    titles = [f"{'w' * 60} {at} zz" for at in "ab"]
    assert short_names(runs(*(("async", title) for title in titles))) == ["… a zz", "… b zz"]
    titles = [f"{at} {'w' * 60}" for at in "ab"]
    assert short_names(runs(*(("async", title) for title in titles))) == ["a…", "b…"]
    first, second = short_names(runs(*(("async", f"{'w' * 60}{at}") for at in "ab")))
    assert (len(first), first[-1], second[-1]) == (LONGEST, "a", "b")


ALIKE = st.lists(st.sampled_from(["a" * 30, "a", "b", " ", "/", "c" * 45]), max_size=6).map("".join)


@settings(max_examples=40)
@given(st.lists(ALIKE.map(str.strip).filter(bool), min_size=2, max_size=5, unique=True))
def test_different_titles_give_different_names(titles):
    """Without commas, each title is one part of its own."""
    names = short_names(runs(*(("async", title) for title in titles)))
    assert len(set(names)) == len(titles)
    assert all(0 < len(name) <= LONGEST for name in names)


@pytest.mark.parametrize(
    ("titles", "names"),
    [
        (
            [f"{'w' * 50}{at}{'z' * 60}" for at in "ab"],
            [f"…{at}{'z' * 37}…" for at in "ab"],
        ),
        (
            [f"{first}{'w' * 50}{at}{'z' * 60}" for first in "xy" for at in "ab"],
            [f"{first}{'w' * 33}… ({at})" for first, at in zip("xxyy", range(1, 5), strict=True)],
        ),
    ],
)
def test_names_that_differ_in_their_midst_alone(titles, names):
    assert short_names(runs(*(("async", title) for title in titles))) == names


def test_names_are_cut():
    (name,) = short_names(runs(("async", "a" * 200)))
    assert len(name) == LONGEST
    assert name.endswith("…")


def test_labels_follow_the_order_and_colours_come_again_hollow():
    labels = label_runs([run(f"{index:010}", title=f"t{index}") for index in range(12)])
    assert "".join(label.letter for label in labels) == "ABCDEFGHIJKL"
    assert [label.colour for label in labels[:7]] == [f"$run-{n}" for n in (1, 2, 3, 4, 5, 6, 1)]
    assert [label.hollow for label in labels] == [False] * 6 + [True] * 6
    assert (labels[0].symbol, labels[6].symbol) == ("circle", "circle-open")
    assert (labels[2].text, labels[2].text_colour) == ("C t2", "$run-3-text")
    assert len({(label.mark, label.hollow) for label in labels}) == 12


def test_sentence_legend_table_document_and_terminal_use_one_name(monkeypatch):
    paths = ("/movies/{id}", "/movies/thread/{id}", "/movies/sync/{id}")
    details = [
        detail(
            run(
                f"{at:010}",
                title="movies, async, 64 users, 5 s, fast",
                spec=replace(spec(), workload=of_requests((f"GET {path}",))),
            ),
            steady(1.0 + at, name="s0"),
        )
        for at, path in enumerate(paths)
    ]
    found = compare([detail.run for detail in details], details[0].run.id)
    names = [f"{letter} {path}" for letter, path in zip("ABC", paths, strict=True)]
    document = described_comparison(found)
    console = Console(width=200, highlight=False, record=True)
    monkeypatch.setattr(cli_output, "out", console)
    cli_output.print_comparison(document)
    terminal = console.export_text()
    legend = [curve.name for curve in curves_of_runs(details, found.labels, "s0")]
    assert legend == names == list(document["labels"].values())
    for name in names:
        assert name in comparison_markdown(found, "/").replace("\\", "")
        assert name in terminal
    assert {part.text for part in comparison_title(found) if part.kind == "run"} <= set(names)
    assert f"{names[1]} served" in document["sentence"]


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([("A", "one", 1)], ("one",)),
        ([("A", "one", 1), ("B", "one", 1)], ("one", "one")),
        ([("A", "one", 1), ("B", "two", 2)], ("one", "two")),
        ([("A", "one", 1), ("B", "two", 1)], ("one", "two (same settings as A)")),
        ([("A", "one", 1), ("B", "one", 2)], ("one", "one (other settings than A)")),
        (
            [("A", "one", 1), ("B", "two", 2), ("C", "three", 2)],
            ("one", "two", "three (same settings as B)"),
        ),
    ],
)
def test_words(runs, words) -> None:
    assert configuration_names(runs) == words
