"""The gates on what the client sent, each by a table around its limits."""

from dataclasses import replace

import pytest

from control_plane.domain.load_models import Burst, Closed, Open, Periodic
from control_plane.domain.result import Reason, SendLag
from control_plane.domain.spec import Client
from tests.builders.trials import known, reason_of, spec, summary, trial, with_spaces

OPEN = Open("open", 500.0, max_in_flight=100)


def said(reason: Reason | None) -> str:
    return with_spaces(known(reason).text)


def sending(sent: int, of: int):
    return summary(intended=of, sent=sent, not_sent=of - sent)


@pytest.mark.parametrize(
    ("failed", "text"),
    [
        (
            {"no_local_port": 3},
            "3 of 1,500 requests could not be sent: this machine had no local port left. The "
            "client was at its limit, not the target. Reuse connections, or send fewer requests.",
        ),
        (
            {"no_local_port": 1, "no_files": 4, "reset": 9},
            "5 of 1,500 requests could not be sent: the load worker could open no more files. The "
            "client was at its limit, not the target. Lower the concurrency, or raise `ulimit -n`.",
        ),
        ({"refused": 9, "timeout": 1}, None),
        ({}, None),
    ],
)
def test_client_exhausted(failed, text):
    found = reason_of("client_exhausted", [trial(summary(errors=failed))])
    assert (found and (found.level, said(found))) == (text and ("suspect", text))


@pytest.mark.parametrize(
    ("sent", "level"),
    [(1_000, "ok"), (990, "ok"), (989, "suspect"), (950, "suspect"), (949, "invalid")],
)
def test_not_sent(sent, level):
    found = known(reason_of("not_sent", [trial(sending(sent, 1_000))], spec(load=OPEN)))
    assert (found.level, found.value) == (level, sent / 1_000)


def test_not_sent_names_trial_count_and_remedy():
    trials = [trial(sending(1_000, 1_000)), trial(sending(700, 1_000), block=1)]
    assert said(reason_of("not_sent", trials, spec(load=OPEN))) == (
        "300 of 1,000 requests were never sent in trial 2, so 70 % were (limit 95 %): 100 could "
        "be in flight, and the answers came too slowly. Lower the rate, or allow more in flight."
    )


@pytest.mark.parametrize(
    ("client", "lag_ms", "words"),
    [
        ({"busiest_cpu_share": 0.97}, 0, "the client used 97 % of a core, so it may be"),
        ({"in_flight": {"items": 3.0}}, 5, "3.00 were on average, so the client was late"),
        ({"in_flight": {"items": 99.0}}, 5, "and the answers came too slowly"),
        ({"in_flight": {"items": 3.0}}, 0, "and the answers came too slowly"),
    ],
)
def test_not_sent_names_who_was_too_slow(client, lag_ms, words):
    late = replace(sending(700, 1_000), send_lag_s=SendLag(0.0, lag_ms / 1e3, 1.0))
    assert words in said(reason_of("not_sent", [trial(late, **client)], spec(load=OPEN)))


@pytest.mark.parametrize("load", [Closed(concurrency=9), Periodic("periodic", 1.0, 9)])
def test_only_an_open_load_can_leave_requests_unsent_or_late(load):
    late = replace(sending(700, 1_000), send_lag_s=SendLag(0.5, 0.5, 0.5))
    assert reason_of("not_sent", [trial(late)], spec(load=load)) is None
    assert reason_of("late_send", [trial(late)], spec(load=load)) is None


@pytest.mark.parametrize(
    ("p50_ms", "lag_ms", "level"),
    [
        (1.0, 0.9, "ok"),
        (1.0, 1.0, "ok"),
        (1.0, 1.01, "suspect"),
        (50.0, 4.9, "ok"),
        (50.0, 5.1, "suspect"),
    ],
)
def test_late_send(p50_ms, lag_ms, level):
    times = replace(known(summary().service_time_s), p50=p50_ms / 1e3)
    late = summary(send_lag_s=SendLag(0.0, lag_ms / 1e3, 1.0), service_time_s=times)
    found = known(reason_of("late_send", [trial(late)], spec(load=OPEN)))
    assert found.level == level


def test_late_send_is_not_judged_where_nothing_was_sent():
    assert reason_of("late_send", [trial(summary())], spec(load=OPEN)) is None


def connected(had: int, in_flight: float, **chosen):
    return trial(summary(**chosen), connections={"items": had}, in_flight={"items": in_flight})


@pytest.mark.parametrize(
    ("had", "in_flight", "level"),
    [(100, 99.4, "ok"), (64, 64.0, "ok"), (10, 64.0, "invalid"), (99, 99.6, "invalid")],
)
@pytest.mark.parametrize("load", [Closed(concurrency=100), OPEN])
def test_pool(load, had, in_flight, level):
    found = known(reason_of("pool", [connected(had, in_flight)], spec(load=load)))
    assert (found.level, found.value) == (level, had)


def test_pool_says_what_the_target_saw():
    users = spec(load=Closed(concurrency=64), duration_s=3.0)
    assert "10 connections for 64 users who always have a request in flight" in said(
        reason_of("pool", [connected(10, 60.1)], users)
    )
    found = reason_of("pool", [connected(10, 63.8)], spec(load=OPEN))
    assert said(found) == (
        "10 connections for 63.8 requests in flight on average: requests waited inside the "
        "client, so the target saw a smaller concurrency."
    )


@pytest.mark.parametrize(
    ("given", "errors"),
    [
        ({"load": Burst("burst", 10)}, {}),
        ({"client_": Client(reuse_connections=False)}, {}),
        ({}, {"refused": 5}),
    ],
)
def test_pool_is_not_judged(given, errors):
    """Where connections are refused the gate for errors says it, if they are enough for that."""
    chosen = spec(**{key: value for key, value in given.items() if key != "client_"})
    if "client_" in given:
        chosen = replace(chosen, client=given["client_"])
    many = connected(3, 64.0, errors=errors, error_share=0.0011 if errors else 0.0)
    assert reason_of("pool", [many], chosen) is None
    if errors:
        few = connected(3, 64.0, errors=errors, error_share=0.001)
        assert known(reason_of("pool", [few], chosen)).level == "invalid"
