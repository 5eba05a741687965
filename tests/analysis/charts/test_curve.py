"""Runs and streams as curves."""

from dataclasses import replace

from control_plane.analysis.charts.curve import curves_of_runs, curves_of_streams
from control_plane.analysis.run_labels import label_runs
from control_plane.domain.run import RunDetail
from tests.analysis.charts.curves import INVALID, measured
from tests.analysis.samples import result, run, second, spec


def test_runs_without_the_stream_or_without_samples_are_left_out():
    full, empty = measured("a", 1.0), measured("b")
    other = RunDetail(run("c"), {}, {}, ())
    details = [other, full, empty]
    (found,) = curves_of_runs(details, label_runs([one.run for one in details]), "items")
    assert (found.id, found.short, found.colour) == ("a", "B", "$run-2")


def test_an_invalid_run_is_faint_and_says_so():
    details = [measured("a", 1.0, validity=INVALID)]
    (found,) = curves_of_runs(details, label_runs([one.run for one in details]), "items")
    assert (found.believed, found.text) == (False, "A a, invalid")
    assert found.opacity < 1


def test_long_names_are_cut_but_never_the_doubt():
    streams = {"n": result(second(0, 1.0), name="n")}
    (short,) = curves_of_streams(RunDetail(run(spec=spec()), streams, {}, ()))
    plain = replace(short, name="a name of 20 letters")
    assert (plain.text, plain.short_text) == ("a name of 20 letters", "a name of 20 le…")
    assert replace(plain, believed=False).short_text == "a name…, invalid"
    clock = replace(plain, name="response time", believed=False, paired=True)
    assert clock.text == "response time"


def test_streams_of_one_run_have_colours_of_their_own():
    streams = {name: result(second(0, 1.0), name=name) for name in ("small", "large")}
    found = curves_of_streams(RunDetail(run(spec=spec()), streams, {}, ()))
    assert [(one.name, one.colour) for one in found] == [("small", "$run-1"), ("large", "$run-6")]
