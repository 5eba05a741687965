"""What the streams of a comparison add to its sentence."""

import pytest

from control_plane.analysis.comparison import Comparison, compare
from control_plane.analysis.prose import Sentence, plain_text
from control_plane.analysis.prose.comparison_sentences import (
    caveats,
    comparison_title,
    shared_cause,
)
from control_plane.domain.load_models import AnyLoad, Closed, Open
from control_plane.domain.run import Run
from tests.builders.trials import run, spec, summary, with_spaces


def said(words: Sentence) -> str:
    return with_spaces(plain_text(words))


def against_first(*runs: Run) -> Comparison:
    return compare(runs, runs[0].id)


def of_streams(letter: str, load: AnyLoad | None = None, /, **rates: float) -> Run:
    """A run whose streams have these rates."""
    streams = tuple(summary(name=name, throughput_per_s=rate) for name, rate in rates.items())
    return run(
        letter * 10,
        title=letter,
        spec=spec(names=tuple(rates), load=load or Closed()),
        streams=streams,
    )


ALL_OFFERED = (
    "A a and B b answered all that was offered: "
    "throughput tells what was asked, not what is possible."
)


def test_several_streams_are_named():
    found = against_first(
        of_streams("a", small=1_000, large=10), of_streams("b", small=2_000, large=30)
    )
    assert said(comparison_title(found)).startswith(
        "B b served 2.0 times the small requests per second of"
    )
    assert said(comparison_title(found, "large")).startswith(
        "B b served 3.0 times the large requests"
    )
    assert said(caveats(found)) == ""


@pytest.mark.parametrize(
    ("rates", "load", "stream", "words"),
    [
        (
            {"small": 2_000, "large": 4},
            None,
            None,
            "B b served 40 % of the large requests per second of A a here.",
        ),
        (
            {"small": 2_000, "large": 4},
            None,
            "large",
            "B b served 2.0 times the small requests per second of A a here.",
        ),
        (
            {"small": 2_000, "large": 10},
            None,
            None,
            "B b served as many large requests per second as A a here.",
        ),
        ({"small": 2_000, "large": 10}, Open("open", 10.0), None, ""),
        ({"small": 1_010, "large": 9.9}, None, None, ""),
        ({"small": 2_000, "large": 10.5}, None, None, ""),
    ],
)
def test_where_streams_disagree(rates, load, stream, words):
    runs = (of_streams("a", load, small=1_000, large=10), of_streams("b", load, **rates))
    expected = f"Streams disagree: {words}" if words else ""
    found = said(caveats(against_first(*runs), stream))
    assert found.removeprefix(ALL_OFFERED if load else "") == expected


def test_two_streams_that_disagree_are_named_and_the_others_counted():
    rates = {"one": 10.0, "two": 10.0, "three": 10.0, "four": 10.0}
    runs = of_streams("a", **rates), of_streams("b", **{**rates, "one": 20.0})
    words = said(caveats(against_first(*runs)))
    assert words.count("served as many") == 2
    assert words.endswith("; 1 more differs.")


def test_the_only_streams_of_runs_are_compared_whatever_they_are_called():
    found = against_first(of_streams("a", reads=1_000), of_streams("b", writes=500))
    assert said(comparison_title(found)).startswith(
        "B b served 50 % of the requests per second of A a"
    )
    assert said(caveats(found)) == ""
    assert str(shared_cause(found)).startswith(
        "Only the name of the stream differs as far as is known: the same spec was measured again"
    )
