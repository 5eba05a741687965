"""Connections that the server ended although they were to be kept."""

from dataclasses import replace
from typing import Any

import pytest

from control_plane.analysis.causes import cause_clause
from control_plane.analysis.causes.evidence import Evidence
from control_plane.domain.endless_responses import UntilEvent
from control_plane.domain.load_models import Burst, Closed, Load, Open, Periodic
from control_plane.domain.result import Cause
from control_plane.domain.spec import Client, Target, UrlTarget
from tests.analysis.causes.watched import cause_of, evidence
from tests.builders.trials import spec, summary, trial, with_spaces


def seen(
    opened: int, most: int = 64, sent: int = 1_000, load: Load | None = None, **chosen: Any
) -> Evidence:
    """One trial of a run of 64 users by duration."""
    target = chosen.pop("target", Target())
    client = chosen.pop("client", Client())
    again = chosen.pop("sent_again", 0)
    stream = summary(requests=sent, sent=sent, **chosen)
    only = trial(
        stream,
        connections={"items": most},
        new_connections={"items": opened},
        sent_again={"items": again},
    )
    asked = spec(load=load or Closed(concurrency=64), duration_s=5.0, target=target)
    return evidence(stream=stream, trials=(only,), spec=replace(asked, client=client))


def judged(found: Cause | None) -> tuple[bool | None, str]:
    assert found is not None
    return found.found, with_spaces(found.text)


@pytest.mark.parametrize("most", [1, 5, 50, 64])
def test_a_server_that_keeps_none(most: int) -> None:
    found, text = judged(cause_of("connections_ended", seen(1_000, most)))
    assert found is True
    assert text == (
        "The server keeps no connection, it closes each one after its response; 1,000 connections "
        "were opened for 1,000 requests."
    )


def test_the_first_requests_of_a_window_may_find_connections_from_before_it() -> None:
    _, text = judged(cause_of("connections_ended", seen(992, 8)))
    assert text.endswith(
        "992 connections were opened for 1,000 requests, the first of which found some that were "
        "open before the window."
    )


def test_connections_that_the_client_closes_itself_are_not_the_servers() -> None:
    watched = seen(1_000)
    client = replace(watched.trials[0].client, read_enough={"items": 936})
    watched = replace(watched, trials=(replace(watched.trials[0], client=client),))
    found, text = judged(cause_of("connections_ended", watched))
    assert found is False
    assert text.endswith("the client itself ends one where it has read enough.")
    (stream,) = watched.spec.workload.streams
    requests = tuple(replace(request, until=UntilEvent(1)) for request in stream.requests)
    workload = replace(watched.spec.workload, streams=(replace(stream, requests=requests),))
    all_cut = replace(watched, spec=replace(watched.spec, workload=workload))
    assert cause_of("connections_ended", all_cut) is None


def test_sync_workers_keep_none_by_design() -> None:
    target = Target(server="gunicorn", worker="sync", loop=None, http=None)
    _, text = judged(cause_of("connections_ended", seen(1_000, target=target)))
    assert "it closes each one after its response, as sync workers do;" in text


def test_a_server_that_ends_them_after_some_requests() -> None:
    found, text = judged(cause_of("connections_ended", seen(264)))
    assert (found, text.partition(";")[0]) == (
        True,
        "The server ends connections after 3.79 requests on average",
    )


@pytest.mark.parametrize(
    ("opened", "again", "text"),
    [
        (0, 0, "The server kept every connection."),
        (64, 0, "The server kept every connection; 64 connections were opened for 1,000 requests."),
        (74, 3, "1.0 % of the requests had to connect again; 74 connections were opened for "
         "1,000 requests, and 3 of them found an ended one and went out again."),
    ],
)  # fmt: skip
def test_connections_that_are_kept(opened: int, again: int, text: str) -> None:
    judgement = judged(cause_of("connections_ended", seen(opened, sent_again=again)))
    assert judgement == (False, text)


def test_what_the_client_ends_itself_is_not_the_servers() -> None:
    late = seen(364, errors={"timeout": 300})
    assert judged(cause_of("connections_ended", late)) == (
        False,
        "The server kept every connection; 364 connections were opened for 1,000 requests; the "
        "client itself ends one after an error.",
    )


def test_it_is_not_judged_where_none_are_to_be_kept_or_counted() -> None:
    assert cause_of("connections_ended", seen(10, client=Client(reuse_connections=False))) is None
    before = replace(trial(summary()), client=trial(connections={"items": 64}).client)
    assert cause_of("connections_ended", evidence(trials=(before,))) is None


@pytest.mark.parametrize(
    ("load", "clause"),
    [
        (Closed(concurrency=64, think_time_s=5.0),
         "connections are idle for 5 s, as long as the server keeps them (5 s), so chance decides "
         "which requests make a new one"),
        (Closed(concurrency=64, think_time_s=4.6),
         "connections are idle for 4.6 s, as long as the server keeps them (5 s), so chance "
         "decides which requests make a new one"),
        (Periodic("periodic", 5.0, 64),
         "connections are idle for 5 s, as long as the server keeps them (5 s), so chance decides "
         "which requests make a new one"),
        (Open("open", 0.2),
         "connections are idle for 5 s, as long as the server keeps them (5 s), so chance decides "
         "which requests make a new one"),
        (Closed(concurrency=64, think_time_s=10.0),
         "connections are idle for 10 s, longer than the server keeps them (5 s), so requests make "
         "new ones"),
    ],
)  # fmt: skip
def test_a_pause_beside_the_keep_alive_of_the_server(load: Load, clause: str) -> None:
    cause = cause_of("connections_ended", seen(900, load=load))
    assert cause is not None
    assert (cause.found, with_spaces(cause_clause(cause))) == (True, clause)


def test_a_pause_as_long_as_the_keep_alive_is_told_whatever_happened() -> None:
    lucky = seen(0, load=Closed(concurrency=64, think_time_s=5.0))
    assert judged(cause_of("connections_ended", lucky))[0] is True
    shorter = seen(0, load=Closed(concurrency=64, think_time_s=2.0))
    assert judged(cause_of("connections_ended", shorter))[0] is False


@pytest.mark.parametrize(
    ("opened", "pause_s", "clause"),
    [
        (1_000, 0.4, "connections are idle for 0.4 s, and the server ends each meanwhile"),
        (264, 0.4, "connections are idle for 0.4 s, and the server ends many meanwhile"),
        (1_000, 0.1, "the server keeps no connection, it closes each one after its response"),
    ],
)
def test_a_server_whose_keep_alive_is_not_known(opened: int, pause_s: float, clause: str) -> None:
    load = Closed(concurrency=64, think_time_s=pause_s)
    own = Target(server="command", application="own", keep_alive_s=None)
    for target in (own, UrlTarget("http://127.0.0.1:9000")):
        cause = cause_of("connections_ended", seen(opened, load=load, target=target))
        assert cause is not None
        assert with_spaces(cause_clause(cause)) == clause


def test_a_burst_over_kept_connections() -> None:
    assert judged(cause_of("connections_ended", seen(64, load=Burst("burst", 64))))[0] is False
