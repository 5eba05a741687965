"""Numbers as people read them, by table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain import units
from control_plane.domain.units import NONE


def spaced(text: str) -> str:
    return text.replace(units.SPACE, " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (14_283, "14,300"),
        (9.612, "9.61"),
        (0.4651, "0.465"),
        (99.96, "100"),
        (999.6, "1,000"),
        (1.0, "1.00"),
        (123_456_789, "123,000,000"),
        (-2.345, "-2.35"),
        (0.000_012_3, "0.0000123"),
    ],
)
def test_three_significant_figures(value, text):
    assert units.figures(value) == text


@given(st.floats(1e-6, 1e12))
def test_figures_stay_close_to_the_number(value):
    assert float(units.figures(value).replace(",", "")) == pytest.approx(value, rel=0.005)


@pytest.mark.parametrize(
    ("value_s", "text"),
    [
        (None, NONE),
        (0, "0 s"),
        (0.0012, "1.20 ms"),
        (0.000_47, "0.470 ms"),
        (0.000_05, "50.0 µs"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (13.04, "13.0 s"),
        (119.9, "120 s"),
        (151, "2 min 31 s"),
        (4_000, "66 min 40 s"),
    ],
)
def test_times(value_s, text):
    assert spaced(units.seconds(value_s)) == text


@pytest.mark.parametrize(
    ("value_s", "text"),
    [
        (0.2, "1 s"),
        (8.4, "8 s"),
        (50.2, "50 s"),
        (62, "1 min"),
        (150, "2 min 30 s"),
        (1_234, "20 min"),
    ],
)
def test_coarse_durations(value_s, text):
    assert spaced(units.about(value_s)) == text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (units.rate(14_283.2), "14,300 /s"),
        (units.rate(None), NONE),
        (units.share(0.531), "53 %"),
        (units.share(0.0012), "0.12 %"),
        (units.share(1.0), "100 %"),
        (units.share(0.997), "99.7 %"),
        (units.share(0), "0 %"),
        (units.share(None), NONE),
        (units.size(61_000_000), "61.0 MB"),
        (units.size(999), "999 B"),
        (units.size(None), NONE),
        (units.count(24_999), "24,999"),
        (units.count(None), NONE),
        (units.number_of(1, "request"), "1 request"),
        (units.number_of(0, "request"), "0 requests"),
        (units.number_of(24_999, "request"), "24,999 requests"),
        (units.part_of(1, 3), "1 of 3"),
        (units.part_of(99, 99), "99 of 99"),
        (units.part_of(1, 125), "0.80 %"),
        (units.ratio(7.451), "×7.45"),
        (units.ratio(0.89), "÷1.12"),
        (units.ratio(0.5), "÷2.00"),
        (units.ratio(0.9999), "×1.00"),
        (units.ratio(1 / 491), "÷491"),
        (units.ratio(None), NONE),
    ],
)
def test_other_units(written, text):
    assert spaced(written) == text


@pytest.mark.parametrize("written", [units.seconds(0.1), units.rate(5), units.share(0.2)])
def test_units_never_break_from_their_number(written):
    assert " " not in written


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.6576, "+166 %"), (12.345, "+1,234 %"), (0.998, "+100 %"), (0.1234, "+12 %"), (0, "0 %")],
)
def test_a_change_is_whole_percents_from_100_on(value, text):
    assert spaced(units.change(value, "s")) == text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], ""), (["a", "b c"], "a, b c"), (["a", "[b]"], "a, [b]"), (["a,b"], '["a,b"]'),
        ([" a"], '[" a"]'), (["[a"], '["[a"]'), (["a", ""], '["a", ""]'), (["a\nb"], '["a\\nb"]'),
    ],
)  # fmt: skip
def test_words_are_read_as_they_were_written(words, text):
    assert units.words_text(words) == text
    assert units.read_words(text) == words


@pytest.mark.parametrize("text", ["[a, b]", "[1, 2]", "[" * 5_000, "[]x"])
def test_what_is_no_array_of_words_is_taken_by_its_commas(text):
    assert units.read_words(text) == [part.strip() for part in text.split(",")]
