"""Runs in doubt, as a comparison speaks of them."""

from control_plane.analysis.prose.comparison_sentences import caveats, comparison_title
from control_plane.domain.result import Reason, Validity
from tests.analysis.prose.test_comparison_sentences import against_first, measured, said

SUSPECT = Validity("suspect", (Reason("other_load", "suspect", "Others: 0.5.", 0.5, 0.2),))
LIMITED = Validity("suspect", (Reason("client_cpu", "suspect", "Client CPU 100 %.", 1.0, 0.85),))


def test_a_suspect_run_may_win_with_its_reason_beside_it():
    found = against_first(measured("blocking", 1_000), measured("async", 9_000, validity=SUSPECT))
    assert said(comparison_title(found)).startswith("B async served 9.0 times")
    assert said(caveats(found)) == "B async is suspect: Others: 0.5."


def test_a_client_at_its_limit_is_what_a_comparison_of_clients_is_about():
    limited = measured("async", 9_000, validity=LIMITED)
    found = against_first(measured("blocking", 1_000), limited)
    assert said(caveats(found)) == (
        "In B async the client was at its limit: this compares clients; "
        "its page and history doubt it."
    )
    assert [found.outcome(run) for run in found.runs] == [None, "valid"]
    same = against_first(measured("async", 1_000), limited)
    assert same.outcome(limited) == "suspect"
    assert " is suspect: Client CPU 100 %." in said(caveats(same))


def test_every_suspect_run_has_its_reason():
    drift = Reason("not_steady", "suspect", "The median rose.", 0.5, 0.1)
    other = Validity("suspect", (drift, *LIMITED.reasons))
    found = against_first(
        measured("blocking", 1_000, validity=SUSPECT),
        measured("threaded", 1_000, validity=other),
        measured("async", 1_000, validity=SUSPECT),
    )
    assert said(caveats(found)) == (
        "A blocking and C async are suspect: other processes were at work. "
        "B threaded is suspect: The median rose. "
        "In B threaded the client was at its limit: this compares clients; "
        "its page and history doubt it."
    )
