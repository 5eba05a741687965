"""Sentences in parts."""

import pytest

from control_plane.analysis.prose import Part, factor_text, joined, number, plain_text, sentence
from control_plane.analysis.run_labels import label_runs
from tests.builders.trials import run, with_spaces


def test_parts_keep_their_order_and_kind():
    (label,) = label_runs([run(title="async")])
    found = sentence(label, " serves ", number("7.5 times"), (" more", "."))
    assert [part.kind for part in found] == ["run", "text", "number", "text", "text"]
    assert (found[0].text, found[0].run) == ("A async", label)
    assert with_spaces(plain_text(found)) == "A async serves 7.5 times more."


def test_numbers_do_not_break():
    assert " " not in number("7.5 times").text


def test_nothing_is_an_empty_sentence():
    assert sentence() == ()
    assert plain_text(()) == ""
    assert sentence("", ()) == (Part(""),)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (7.451, "7.5 times"),
        (0.894, "89 %"),
        (0.166, "17 %"),
        (0.00204, "0.20 %"),
        (1.042, "1.04 times"),
        (0.971, "97.1 %"),
        (490.6, "491 times"),
    ],
)
def test_factors_in_words(ratio, text):
    assert with_spaces(factor_text(ratio).text) == text


@pytest.mark.parametrize(
    ("words", "text"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists(words, text):
    assert joined(words) == text
