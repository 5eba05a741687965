"""Letters, marks and names of the runs of a page."""

import pytest

from control_plane.analysis.run_labels import LONGEST, label_runs, short_names
from control_plane.domain.client_strategies import Strategy
from tests.analysis.samples import run, spec


def runs(*strategies_and_titles: tuple[Strategy, str]):
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
        ([("async", "same"), ("async", "same")], ["same", "same"]),
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


def test_a_name_that_was_given_stands():
    found = [
        run(f"{index:010}", title=title, spec=spec("async", users))
        for index, (title, users) in enumerate([("before", 16), ("after", 64)])
    ]
    assert short_names(found) == ["before", "after"]


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
