"""The other causes: found and silent, by tables around their thresholds."""

from dataclasses import replace

import pytest

from control_plane.domain.load_models import Open
from control_plane.domain.observations import Gauges
from control_plane.domain.result import Censored, Reason, Validity
from control_plane.domain.spec import Target
from tests.analysis.causes.watched import asked, cause_of, evidence, worker
from tests.builders.trials import known, spec, summary, with_spaces

UNSEEN = evidence(gauges=(Gauges(0.5, ()),))


def said(finding):
    return with_spaces(known(finding).text)


@pytest.mark.parametrize(
    ("waiting", "found", "text"),
    [
        (
            60,
            True,
            "Requests waited for one of 4 threads in 100 % of the samples; "
            "up to 60 waited at once.",
        ),
        (
            (1, 1) + (0,) * 18,
            True,
            "Requests waited for one of 4 threads in 10 % of the samples; up to 1 waited at once.",
        ),
        (
            (7,) + (0,) * 19,
            False,
            "Requests waited for one of 4 threads in 5.0 % of the samples; up to 7 waited at once.",
        ),
        (0, False, "No request waited for a thread; at most 4 of 4 threads were busy."),
    ],
)
def test_pool_exhausted(waiting, found, text):
    seen = worker(tokens_busy=4, tokens_waiting=waiting, tokens_total=4)
    finding = cause_of("pool_exhausted", evidence(seen))
    assert (known(finding).found, said(finding)) == (found, text)


def wsgi(users, in_flight, gate="errors", load=None, **target):
    known = evidence(spec=replace(asked(users=users), target=Target(**target)))
    if load is not None:
        known = replace(known, spec=spec(load=load, duration_s=10.0, target=Target(**target)))
    client = replace(known.trials[0].client, in_flight={"items": in_flight})
    validity = Validity(None, (Reason(gate, "suspect", "", 1.0, 0.85),), ())
    return replace(known, trials=(replace(known.trials[0], client=client),), validity=validity)


GTHREAD = {"server": "gunicorn", "worker": "gthread", "loop": None, "http": None}
SYNC = {**GTHREAD, "worker": "sync", "threads": None, "keep_alive_s": None}


@pytest.mark.parametrize(
    ("seen", "found", "text"),
    [
        (
            wsgi(64, 63.9, **GTHREAD, workers=2, threads=4),
            True,
            "8 requests at once are served (2 workers × 4 threads), 64 were asked; the others "
            "waited for one that was over.",
        ),
        (
            wsgi(10, 10, **SYNC),
            True,
            "1 request at once is served (1 worker), 10 were asked; the others waited for one "
            "that was over.",
        ),
        (
            wsgi(64, 3.2, server="waitress", loop=None, http=None, threads=4),
            False,
            "4 requests at once are served (1 worker × 4 threads), 3.2 were in flight on average.",
        ),
        (
            wsgi(64, 31.0, load=Open("open", 100.0), **GTHREAD, threads=4),
            True,
            "4 requests at once are served (1 worker × 4 threads), 31 were in flight on average; "
            "the others waited for one that was over.",
        ),
        (
            wsgi(64, 64, gate="client_cpu", **SYNC, workers=2),
            None,
            "2 requests at once are served (2 workers), 64 were asked; the others waited for one "
            "that was over. Not decided: the client was at its limit, and requests can have waited "
            "there.",
        ),
    ],
)
def test_workers_full(seen, found, text):
    finding = known(cause_of("workers_full", seen))
    assert (finding.found, said(finding)) == (found, text)


def test_servers_that_take_any_number_are_not_judged():
    assert cause_of("workers_full", wsgi(64, 64)) is None


def test_a_pool_that_was_not_seen_is_not_judged():
    assert cause_of("pool_exhausted", UNSEEN) is None
    assert cause_of("pool_exhausted", evidence(worker(tokens_waiting=(None,) * 20))) is None


@pytest.mark.parametrize(
    ("cpu", "found", "text"),
    [
        (0.99, True, "The target used 99 % of one core"),
        (0.851, True, "The target used 85 % of one core"),
        (0.84, False, "The target used 84 % of one core"),
        (
            (0.9, 0.9),
            True,
            "The target used 90 % of the 2 cores that it could get (180 % of one core)",
        ),
        (
            (1.0, 0.1),
            False,
            "The target used 55 % of the 2 cores that it could get (110 % of one core)",
        ),
        (
            (1.02, 1.01),
            True,
            "The target used 100 % of the 2 cores that it could get (203 % of one core)",
        ),
    ],
)
def test_server_cpu(cpu, found, text):
    pids = range(len(cpu)) if isinstance(cpu, tuple) else range(1)
    finding = cause_of("server_cpu", evidence(*(worker(pid) for pid in pids), cpu=cpu))
    assert known(finding).found is found
    assert said(finding) == f"{text}; each request cost 0.100 ms of processor time."


def test_cores_that_are_shared_leave_less_to_the_target():
    """Two cores, of which the client takes 0.8: 1.1 of the 1.2 that are left are used."""
    seen = evidence(worker(1), worker(2), cpu=(0.6, 0.5), cpu_count=2)
    (only,) = seen.trials
    shared = replace(
        only, target=replace(only.target, cores=None), client=replace(only.client, cpu_s=8)
    )
    finding = cause_of("server_cpu", replace(seen, trials=(shared,)))
    assert known(finding).found
    text = "The target used 92 % of the 1.2 cores that it could get (110 % of one core);"
    assert said(finding).startswith(text)


@pytest.mark.parametrize(("others", "found"), [(0.0, False), (3.1, True)])
def test_what_other_programs_take_a_target_cannot_get(others, found):
    """0.6 of a core: little of one, much of the 0.67 that are left of four."""
    seen = evidence(cpu=0.6)
    (only,) = seen.trials
    busy = replace(only, client=replace(only.client, cpu_s=2.3, other_cpu=others))
    assert known(cause_of("server_cpu", replace(seen, trials=(busy,)))).found is found


def test_workers_of_a_command_are_counted_by_what_they_use():
    seen = evidence(worker(1), worker(2), worker(3), cpu=(0.96, 0.98, 0.02))
    unknown = asked(workers=None, application="own", server="command")
    finding = known(cause_of("server_cpu", replace(seen, spec=unknown)))
    assert finding.found is None
    text = "The target used 65 % of the 3 cores that it could get (196 % of one core);"
    assert said(finding).startswith(text)
    assert said(finding).endswith("whether it can use more is not known.")


@pytest.mark.parametrize(
    ("cpu", "workers", "found", "used"),
    [
        ((1.5,), None, False, "19 % of the 8"),
        ((7.2,), None, True, "90 % of the 8"),
        ((1.2, 1.2), 2, False, "30 % of the 8"),
        ((0.5,), None, False, "6.2 % of the 8"),
    ],
)
def test_a_process_that_uses_several_cores_could_get_all(cpu, workers, found, used):
    seen = evidence(*map(worker, range(len(cpu))), cpu=cpu, cpu_count=8)
    (only,) = seen.trials
    idle = replace(only.client, cpu_s=0.0, other_cpu=0.0)
    free = replace(only, target=replace(only.target, cores=None), client=idle)
    finding = cause_of("server_cpu", replace(seen, trials=(free,), spec=asked(workers=workers)))
    assert known(finding).found is found
    assert said(finding).startswith(f"The target used {used} cores")


def test_a_target_whose_processes_are_hidden_is_not_judged():
    seen = evidence()
    (only,) = seen.trials
    hidden = replace(only, target=replace(only.target, cpu_s=None))
    assert cause_of("server_cpu", replace(seen, trials=(hidden,), gauges=UNSEEN.gauges)) is None


@pytest.mark.parametrize(
    ("cpu", "reuse", "found"),
    [((0.97, 0.02), 0, True), ((0.6, 0.19), 0, True), ((0.6, 0.25), 0, False),
     ((0.45, 0.01), 0, False), ((0.97, 0.96), 0, False), ((0.02, 0.02), 0.45, True)],
)  # fmt: skip
def test_workers_uneven(cpu, reuse, found):
    """With `reuse` the first one is held up by blocking calls, which need no processor."""
    busy = worker(1, in_flight=5, stalls=20, stalled_s=20 * reuse, completed=90)
    idle = worker(2, in_flight=5, completed=10)
    finding = cause_of("workers_uneven", evidence(busy, idle, cpu=cpu))
    assert known(finding).found is found


def test_uneven_workers_are_told_with_what_they_answered():
    busy, idle = worker(1, in_flight=8, completed=93), worker(2, completed=7)
    assert said(cause_of("workers_uneven", evidence(busy, idle, cpu=(0.97, 0.02)))) == (
        "One of 2 workers was busy 97 % of the window, the other 2.0 %; "
        "the busiest one answered 93 % of the requests."
    )


@pytest.mark.parametrize(
    ("users", "in_flight", "waiting", "found"),
    [(1, 1, 0.9, None), (7, 7, 7.0, None), (8, 1, 0.9, None), (8, 2, 0.9, True), (8, 1, 8.0, True)],
)
def test_workers_are_told_apart_from_several_connections_on(users, in_flight, waiting, found):
    """`waiting`: the client's mean of requests in flight."""
    busy, idle = worker(1, in_flight=in_flight), worker(2)
    seen = evidence(busy, idle, cpu=(0.9, 0.1), spec=asked(workers=2, users=users))
    (only,) = seen.trials
    shown = replace(only, client=replace(only.client, in_flight={"s": waiting}))
    finding = cause_of("workers_uneven", replace(seen, trials=(shown,)))
    assert (finding and finding.found) is found


def test_one_worker_is_not_judged_for_evenness():
    assert cause_of("workers_uneven", evidence()) is None
    assert cause_of("workers_uneven", UNSEEN) is None


@pytest.mark.parametrize(
    ("spent_s", "found"), [(0.001, False), (0.049, False), (0.05, True), (0.14, True), (0.16, None)]
)
def test_garbage_collection(spent_s, found):
    """Not decided where it lasts longer than the worker ran, 0.3 of a core."""
    finding = known(cause_of("garbage_collection", evidence(worker(gc_s=spent_s))))
    assert finding.found is found
    assert ("Not decided: it lasted longer" in said(finding)) is (found is None)


def test_garbage_collection_is_told_with_its_worst_half_second():
    pauses = worker(gc_s=(0.2,) + (0.06,) * 19)
    assert said(cause_of("garbage_collection", evidence(pauses))) == (
        "Garbage collection took 13 % of the window; at most 200 ms within 500 ms."
    )
    assert cause_of("garbage_collection", UNSEEN) is None
    assert cause_of("garbage_collection", evidence(worker(gc_s=(None,) * 20))) is None


@pytest.mark.parametrize(
    ("level", "share", "text"),
    [
        ("ok", 0.12, "The busiest client process used 12 % of one core."),
        (
            "suspect",
            1.0,
            "The busiest client process used 100 % of one core; it may not have asked for all "
            "that the target could give.",
        ),
    ],
)
def test_client_limited(level, share, text):
    judged = Validity(None, (), (Reason("client_cpu", level, "", share, 0.85),))
    finding = cause_of("client_limited", evidence(validity=judged))
    assert (known(finding).found, said(finding)) == (level != "ok", text)
    assert cause_of("client_limited", evidence(validity=Validity(None))) is None


def test_a_client_without_ports_is_limited():
    reasons = (
        Reason("client_cpu", "ok", "", 0.12, 0.85),
        Reason("client_exhausted", "suspect", "", 1_200, 0),
    )
    finding = cause_of("client_limited", evidence(validity=Validity(None, (), reasons)))
    assert (known(finding).found, said(finding)) == (
        True,
        "The client had no ports or files left for 1,200 requests; it may not have asked for all "
        "that the target could give.",
    )


@pytest.mark.parametrize(
    ("unserved", "completed", "found"),
    [(75, 320, True), (75, 50, True), (75, 49, None), (1, 198, True), (1, 197, None),
     (0, 320, False), (0, 3, False), (100, 0, None)],
)  # fmt: skip
def test_never_served(unserved, completed, found):
    """Of 100 users; found where those that were served had two turns each."""
    waiting = Censored(100, 5.0, 12.0, unserved)
    stream = summary(completed=completed, censored=waiting)
    finding = known(cause_of("never_served", evidence(stream=stream, spec=asked(users=100))))
    assert finding.found is found


def test_slow_answers_are_not_told_from_none():
    waiting = Censored(100, 5.0, 12.0, 75)
    slow = replace(known(summary().response_time_s), max=6.0)
    stream = summary(completed=320, censored=waiting, response_time_s=slow, duration_s=10.0)
    finding = cause_of("never_served", evidence(stream=stream, spec=asked(users=100)))
    assert known(finding).found is None
    assert said(finding).endswith("one that was answered took 6.00 s, so these may only be slow.")
    uncounted = summary(completed=320, censored=Censored(100, 5.0, 12.0))
    assert cause_of("never_served", evidence(stream=uncounted, spec=asked(users=100))) is None


def test_connections_that_were_left_out_are_counted_against_the_served():
    stream = summary(completed=320, censored=Censored(100, 5.0, 12.0, 75))
    assert said(cause_of("never_served", evidence(stream=stream, spec=asked(users=100)))) == (
        "75 of 100 connections had no answer during the whole window; "
        "the others completed 320 requests."
    )
    served = summary(censored=Censored(3, 0.1, 0.2, 0))
    assert (
        said(cause_of("never_served", evidence(stream=served)))
        == "Every connection had an answer during the window."
    )
    assert cause_of("never_served", evidence(spec=spec())) is None
