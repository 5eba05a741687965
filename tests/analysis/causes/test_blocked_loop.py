"""A blocked loop by tables around the thresholds, and what its stacks say."""

from dataclasses import replace

import pytest

from control_plane.domain.observations import Gauges, Stall
from control_plane.domain.result import Reason, Validity
from tests.analysis.causes.watched import (
    APP,
    IDLE,
    LIB,
    SLEEPING,
    asked,
    cause_of,
    evidence,
    stalls,
    worker,
)
from tests.builders.trials import known, summary, with_spaces


@pytest.mark.parametrize(
    ("count", "duration_s", "found"),
    [
        (40, 0.24, True),
        (5, 0.101, True),
        (4, 0.101, False),
        (100, 0.09, False),
        (1, 0.5, True),
        (0, 0, False),
    ],
)
def test_stalls_from_a_twentieth_of_the_window_on(count, duration_s, found):
    seen = known(cause_of("loop_blocked", evidence(held=stalls(count, duration_s))))
    assert seen.found is found


SCATTERED = tuple((f"{LIB}/orm/a.py:{line} f{line}",) for line in range(12))


def each(duration_s: float, *stacks: tuple[str, ...]) -> tuple[Stall, ...]:
    return tuple(
        replace(stalls(1, duration_s, stack)[0], at_s=at * duration_s)
        for at, stack in enumerate(stacks)
    )


def test_a_lag_without_a_stall_blocks_nobody():
    seen = known(cause_of("loop_blocked", evidence(worker(loop_lag_s=0.4))))
    assert (seen.found, seen.evidence["blocked_share"]) == (False, 0)


@pytest.mark.parametrize(
    ("cpu_s", "users", "cpu", "stacks", "found"),
    [
        (0.0001, 1_000, 0.3, SCATTERED, False),
        (0.0001, 100, 0.3, SCATTERED, True),
        (0.02, 1_000, 0.3, SCATTERED, True),
        (None, 1_000, 0.3, SCATTERED, True),
        (0.0001, 1_000, 0.3, [SLEEPING] * 12, None),
        (0.0001, 1_000, 0.05, [SLEEPING] * 12, True),
        (0.0001, 1_000, 0.05, SCATTERED, None),
    ],
)
def test_a_round_of_many_short_requests_is_not_a_block(cpu_s, users, cpu, stacks, found):
    """1,000 requests of 0.1 ms each make the loop 0.15 s late, and each of them is quick.

    The processor tells it: who sleeps in one place does not compute.
    """
    late = evidence(
        spec=asked(users=users),
        stream=summary(cpu_s_per_request=cpu_s),
        held=each(0.15, *stacks),
        cpu=cpu,
    )
    assert known(cause_of("loop_blocked", late)).found is found


def test_a_loop_that_sleeps_among_short_requests_is_blocked():
    held = stalls(12, 0.7)
    stream = summary(cpu_s_per_request=0.0008)
    seen = known(
        cause_of("loop_blocked", evidence(held=held, spec=asked(users=500), stream=stream))
    )
    assert seen.found
    assert seen.text.startswith("The event loop was blocked 84")


def test_rounds_of_short_requests_are_told_as_such():
    stream = summary(cpu_s_per_request=0.0001)
    late = evidence(held=each(0.15, *SCATTERED), spec=asked(users=1_000), stream=stream, cpu=0.9)
    assert with_spaces(known(cause_of("loop_blocked", late)).text).startswith(
        "The event loop was late by"
    )


def test_a_loop_that_waits_for_a_processor_is_not_blocked():
    seen = known(cause_of("loop_blocked", evidence(held=stalls(40, 0.24, IDLE))))
    assert not seen.found
    assert "waited for a processor" in seen.text


@pytest.mark.parametrize(
    ("cores", "client_s", "stacks", "found"),
    [
        (None, 7.0, SCATTERED, None),
        (None, 0.5, SCATTERED, True),
        (None, 7.0, [SLEEPING] * 12, True),
        ((0,), 7.0, SCATTERED, True),
    ],
)
def test_on_a_core_that_the_client_uses_too_only_one_place_tells_it(cores, client_s, stacks, found):
    seen = evidence(held=each(0.2, *stacks), cpu_count=1)
    (only,) = seen.trials
    shared = replace(
        only,
        target=replace(only.target, cores=cores, cpu_s=3.0),
        client=replace(only.client, cpu_s=client_s),
    )
    finding = known(cause_of("loop_blocked", replace(seen, trials=(shared,))))
    assert finding.found is found
    if found is None:
        said = with_spaces(finding.text)
        assert said.startswith("The event loop stood still 24 % of the window; 12 sampled stacks")
        assert ". Not decided: client or other programs used the processor too" in said


@pytest.mark.parametrize(
    ("stacks", "found"),
    [
        ([SLEEPING] * 3, True),
        ([SLEEPING], None),
        (SCATTERED[:5], None),
        ([()], None),
    ],
)
def test_on_a_busy_machine_only_one_place_tells_a_blocked_loop(stacks, found):
    """A process that is kept from running stands still anywhere."""
    busy = Validity("suspect", (Reason("other_load", "suspect", "", 1.5, 0.2),))
    held = tuple(stalls(1, 0.6, stack)[0] for stack in stacks)
    assert known(cause_of("loop_blocked", evidence(held=held, validity=busy))).found is found


def test_it_is_not_judged_from_outside_alone():
    seen = evidence()
    outside = tuple(
        Gauges(trial_gauges.interval_s, trial_gauges.processes) for trial_gauges in seen.gauges
    )
    assert cause_of("loop_blocked", evidence(gauges=outside)) is None
    assert cause_of("loop_blocked", evidence(worker(loop_lag_s=(None,) * 20))) is None


def test_the_sentence_names_share_longest_and_place():
    source = {f"{APP}:38": "    time.sleep(lasts_s)\n"}
    found = known(cause_of("loop_blocked", evidence(held=stalls(41, 0.2268), source=source)))
    assert with_spaces(found.text) == (
        "The event loop was blocked 93 % of the window; 41 of 41 sampled stacks end in "
        "movies.py, line 38: time.sleep; it stood still for 227 ms at the longest."
    )


def test_a_free_loop_says_how_late_it_was():
    found = known(cause_of("loop_blocked", evidence(worker(loop_lag_s=0.012))))
    assert with_spaces(found.text) == ("The event loop was late by 12.0 ms at most.")


@pytest.mark.parametrize(
    ("stacks", "source", "ending"),
    [
        (
            [SLEEPING] * 3,
            {},
            "3 of 3 sampled stacks end in movies.py, line 38, in look_up_blocking",
        ),
        (
            [SLEEPING, SLEEPING, (f"{APP}:99 other",)],
            {f"{APP}:38": "if await time.sleep(1):"},
            "2 of 3 sampled stacks end in movies.py, line 38: time.sleep",
        ),
        (
            [(f"{APP}:{line} compute",) for line in (5, 6, 7)],
            {},
            "3 of 3 sampled stacks end in movies.py, in compute",
        ),
        (
            [(f"{LIB}/requests/api.py:9 get", f"{APP}:12 fetch")] * 2,
            {f"{APP}:12": "    answer = requests.get(\n"},
            "2 of 2 sampled stacks end in movies.py, line 12: requests.get",
        ),
        (
            [(f"{LIB}/orm/a.py:{line} f{line}",) for line in (1, 2, 3)],
            {},
            "3 sampled stacks have no place in common",
        ),
        (
            [(f"{LIB}/orm/a.py:1 load", f"{LIB}/uvicorn/server.py:2 main")] * 2,
            {},
            "2 of 2 sampled stacks end in orm/a.py, line 1, in load",
        ),
        (
            [(f"{APP}:7 compute",), (f"{APP}:7 compute",), (f"{APP}:8 compute",)],
            {f"{APP}:7": "total += step * step"},
            "3 of 3 sampled stacks end in movies.py, in compute",
        ),
        (
            [
                (
                    "lib/python3.11/json/decoder.py:353 raw_decode",
                    "site-packages/starlette/requests.py:267 json",
                    "site-packages/fastapi/routing.py:484 app",
                    "target_app/workloads/payloads.py:47 handle_timed",
                )
            ],
            {},
            "1 of 1 sampled stack ends in json/decoder.py, line 353, in raw_decode",
        ),
    ],
)
def test_stacks_name_the_line_of_the_application(stacks, source, ending):
    held = tuple(stalls(1, 0.6, stack)[0] for stack in stacks)
    found = known(cause_of("loop_blocked", evidence(held=held, source=source)))
    assert found.text.split("; ")[1] == ending


def test_every_sample_of_a_long_stall_counts():
    (stall,) = stalls(1, 8.0)
    held = (replace(stall, samples=42, alike=41, there=41),)
    found = known(cause_of("loop_blocked", evidence(held=held)))
    assert "41 of 42 sampled stacks end in movies.py, line 38, in" in found.text


def test_only_samples_in_the_line_count_for_it():
    (stall,) = stalls(1, 2.0)
    sampled = evidence(held=(replace(stall, samples=11, alike=11, there=6),))
    assert (
        "6 of 11 sampled stacks end in movies.py, line 38"
        in known(cause_of("loop_blocked", sampled)).text
    )
    apart = evidence(held=(replace(stall, samples=11, alike=11, there=5),))
    assert (
        "11 of 11 sampled stacks end in movies.py, in look_up_blocking"
        in known(cause_of("loop_blocked", apart)).text
    )


def test_stalls_whose_stacks_were_not_kept_count_with_their_total():
    seen = evidence(worker(stalls=90, stalled_s=9.0), held=stalls(10, 0.2))
    found = known(cause_of("loop_blocked", seen))
    assert found.evidence["stalls"] == 90
    assert found.evidence["blocked_share"] == pytest.approx(0.9)
