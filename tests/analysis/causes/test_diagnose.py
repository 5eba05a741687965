"""All causes of a run together."""

from dataclasses import replace

import pytest

from control_plane.analysis.causes import CAUSES, cause_clause, diagnose, none_found
from control_plane.domain.observations import Gauges
from control_plane.domain.result import Censored, Reason, Throttling, Validity
from control_plane.domain.spec import UrlTarget
from tests.analysis.causes.watched import asked, evidence, stalls, worker
from tests.builders.trials import spec, summary, with_spaces


def test_a_clean_run_rules_all_out():
    causes = diagnose(evidence())
    assert [cause.cause for cause in causes if cause.found] == []
    assert [cause.cause for cause in causes] == [
        "loop_blocked", "pool_exhausted", "garbage_collection", "server_cpu", "client_limited",
        "never_served", "connections_ended",
    ]  # fmt: skip


def test_what_was_found_comes_first():
    causes = diagnose(evidence(cpu=0.99))
    assert [(cause.cause, cause.found) for cause in causes][:2] == [
        ("server_cpu", True),
        ("loop_blocked", False),
    ]
    assert with_spaces(cause_clause(causes[0])) == "the target used 99 % of one core"


def test_everything_at_once_in_the_order_in_which_it_explains():
    first, other = worker(11, tokens_waiting=9, gc_s=0.2, in_flight=9), worker(12)
    stream = summary(completed=300, censored=Censored(100, 5.0, 12.0, 75))
    causes = diagnose(
        evidence(
            first,
            other,
            cpu=(1.0, 0.1),
            held=stalls(20, 0.4),
            stream=stream,
            spec=asked(workers=2, users=100),
            validity=Validity(None, (), (Reason("client_cpu", "suspect", "", 1.0, 0.85),)),
        )
    )
    assert [cause.cause for cause in causes] == [
        "loop_blocked", "pool_exhausted", "workers_uneven", "garbage_collection",
        "client_limited", "never_served", "server_cpu", "connections_ended",
    ]  # fmt: skip
    of_others = {"held_back", "workers_recycled", "workers_full"}
    assert {cause.cause for cause in causes} == set(CAUSES) - of_others


def test_a_target_that_the_kernel_held_back_says_so_first():
    known = evidence(cpu=0.5)
    target = replace(
        known.trials[0].target, throttling=Throttling(0.5, 253, 246, 12.3), recycled=12, restarts=12
    )
    causes = diagnose(replace(known, trials=(replace(known.trials[0], target=target),)))
    texts = [with_spaces(cause.text) for cause in causes if cause.found]
    assert texts[0] == (
        "The kernel held the target back in 246 of 253 periods, 12.3 s in all; "
        "its group of processes may use 0.5 cores."
    )
    assert texts[1].startswith("12 workers ended by design, at the server’s limit of requests; ")
    assert none_found(causes) == ""


@pytest.mark.parametrize(("throttled", "found"), [(0, False), (12, False), (13, True)])
def test_a_quota_counts_from_one_period_in_twenty_on(throttled, found):
    known = evidence(cpu=0.1)
    target = replace(known.trials[0].target, throttling=Throttling(2.0, 250, throttled, 0.1))
    causes = diagnose(replace(known, trials=(replace(known.trials[0], target=target),)))
    assert {cause.cause: cause.found for cause in causes}["held_back"] is found


def test_a_full_processor_comes_before_the_threads_that_wait_for_it():
    full = evidence(worker(tokens_waiting=55), cpu=0.99)
    assert [cause.cause for cause in diagnose(full) if cause.found] == [
        "server_cpu",
        "pool_exhausted",
    ]


def test_what_is_not_decided_comes_between_and_nothing_is_said_to_be_clear():
    causes = diagnose(evidence(worker(gc_s=0.2)))
    assert [(cause.cause, cause.found) for cause in causes][:2] == [
        ("garbage_collection", None),
        ("loop_blocked", False),
    ]
    assert none_found(causes) == ""
    assert none_found(diagnose(evidence())) == "Nothing that was watched was at its limit."


def test_of_a_foreign_target_only_the_client_is_judged():
    seen = evidence(spec=spec(target=UrlTarget("http://127.0.0.1:9000")), gauges=(Gauges(0.5, ()),))
    hidden = tuple(
        type(each)(**{**vars(each), "target": type(each.target)(each.target.address)})
        for each in seen.trials
    )
    causes = diagnose(type(seen)(**{**vars(seen), "trials": hidden}))
    assert [cause.cause for cause in causes] == ["client_limited", "connections_ended"]
    assert none_found(causes).endswith(
        "Not watched: event loop, thread pool, garbage collection and processor of the target."
    )


def test_without_a_trial_there_is_no_cause():
    assert diagnose(evidence(trials=(), gauges=(), streams=())) == ()
