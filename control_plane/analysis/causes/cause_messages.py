"""Each cause in words: what it is called, its number, and the sentence with its evidence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from control_plane.analysis.causes.evidence import Diagnosis, Measurements
from control_plane.analysis.prose.sentence import joined
from control_plane.domain.result import Cause
from control_plane.domain.units import SPACE, count, seconds, share

WATCHED = {
    "loop_blocked": "event loop",
    "pool_exhausted": "thread pool",
    "garbage_collection": "garbage collection",
    "server_cpu": "processor of the target",
    "client_limited": "client",
}
"""What every run would have, if it were seen; the other causes ask for loads of their kind."""

Say = Callable[[Measurements], str]


@dataclass(frozen=True)
class Words:
    """`value` is the number that decided. `found` and `ruled_out` say what was seen, `detail`
    the evidence behind it, which may be empty; all without a capital and a full stop. `short`
    names it in a list.
    """

    label: str
    short: str
    value: Say
    found: Say
    ruled_out: Say
    detail: Say


def text_of(finding: Diagnosis) -> str:
    """One sentence with its number: `No request waited for a thread; at most 3 of 40 were busy.`

    A second one says why nothing was decided.
    """
    words, facts = CAUSES[finding.cause], finding.facts
    say = words.ruled_out if finding.found is False else words.found
    said, detail = say(facts), words.detail(facts)
    text = f"{said}; {detail}." if detail else f"{said}."
    if finding.found is None:
        text = f"{text} Not decided: {facts['why']}."
    return text[:1].upper() + text[1:]


def clause(cause: Cause) -> str:
    """What was found, to stand within a sentence: `the event loop was blocked 53 % of …`."""
    return CAUSES[cause.cause].found(cause.evidence)


def none_found(causes: Sequence[Cause]) -> str:
    """Empty where a cause was found, or one could not be decided."""
    if any(one.found is not False for one in causes):
        return ""
    judged = {one.cause for one in causes}
    unseen = [name for cause, name in WATCHED.items() if cause not in judged]
    if not unseen:
        return "Nothing that was watched was at its limit."
    return f"Nothing that was watched was at its limit. Not watched: {joined(unseen)}."


def _number(facts: Measurements, name: str) -> float:
    """0 for what was not measured, which no sentence names then."""
    return float(facts.get(name) or 0)


def _share(facts: Measurements, name: str) -> str:
    return share(_number(facts, name))


def _count(facts: Measurements, name: str) -> str:
    return count(_number(facts, name))


def _blocked(facts: Measurements) -> str:
    loops = "event loops were" if _number(facts, "workers") > 1 else "event loop was"
    if facts.get("why"):
        loops = loops.rpartition(" ")[0] + " stood still"
        return f"the {loops} {_share(facts, 'blocked_share')} of the window"
    return f"the {loops} blocked {_share(facts, 'blocked_share')} of the window"


def _loop_free(facts: Measurements) -> str:
    if _number(facts, "blocked_share"):
        return _blocked(facts)
    late = seconds(_number(facts, "longest_s"))
    if not _number(facts, "late"):
        return f"the event loop was never blocked, and late by {late} at most"
    if _number(facts, "waited") == _number(facts, "late"):
        return f"the event loop waited for a processor, and was late by {late} at most"
    return f"the event loop was late by {late} at most, as a round of its short requests can be"


def _stalls(facts: Measurements) -> str:
    """Nothing where it was never blocked: then the lag is said instead."""
    if not _number(facts, "blocked_share"):
        return ""
    longest = f"it stood still for {seconds(_number(facts, 'longest_s'))} at the longest"
    return f"{_stacks(facts)}; {longest}" if _number(facts, "stacks") else longest


def _stacks(facts: Measurements) -> str:
    total = _count(facts, "stacks")
    if facts["frame"] is None:
        return f"{total} sampled stacks have no place in common"
    return f"{_count(facts, 'stacks_there')} of {total} sampled stacks end in {facts['frame']}"


def _threads(facts: Measurements) -> str:
    return _count(facts, "threads") if facts["threads"] else "the pool's"


def _waited(facts: Measurements) -> str:
    share_waiting = _share(facts, "waiting_share")
    return f"requests waited for one of {_threads(facts)} threads in {share_waiting} of the samples"


def _no_wait(facts: Measurements) -> str:
    return _waited(facts) if _number(facts, "waiting_share") else "no request waited for a thread"


def _pool(facts: Measurements) -> str:
    if _number(facts, "waiting_share"):
        return f"up to {_count(facts, 'most_waiting')} waited at once"
    if not _number(facts, "most_busy"):
        return f"none of {_threads(facts)} was busy"
    return f"at most {_count(facts, 'most_busy')} of {_threads(facts)} were busy"


def _cpu(facts: Measurements) -> str:
    available = _number(facts, "cores_available")
    used = _share(facts, "cpu_share")
    if abs(available - 1) < 0.005:
        return f"the target used {used} of one core"
    cores = facts.get("cores_used")
    could = f"{round(available, 1):g}{SPACE}cores that it could get"
    taken = ", as the rest of the machine was in use" if available < 1 else ""
    whole = f" ({share(cores)} of one core)" if isinstance(cores, float) else ""
    return f"the target used {used} of the {could}{taken}{whole}"


def _cpu_per_request(facts: Measurements) -> str:
    spent_s = facts["cpu_s_per_request"]
    return f"each request cost {seconds(float(spent_s))} of processor time" if spent_s else ""


def _uneven(facts: Measurements) -> str:
    others = "the other" if facts["workers"] == 2 else "another"
    busiest, idlest = _share(facts, "busiest_share"), _share(facts, "idlest_share")
    return (
        f"one of {_count(facts, 'workers')} workers was busy {busiest} of the window, "
        f"{others} {idlest}"
    )


def _even(facts: Measurements) -> str:
    busiest, idlest = _share(facts, "busiest_share"), _share(facts, "idlest_share")
    return f"the {_count(facts, 'workers')} workers were busy {idlest} to {busiest} of the window"


def _answered(facts: Measurements) -> str:
    answered = facts["completed_share"]
    return (
        f"the busiest one answered {_share(facts, 'completed_share')} of the requests"
        if answered
        else ""
    )


def _collected(facts: Measurements) -> str:
    return f"garbage collection took {_share(facts, 'gc_share')} of the window"


def _most_collected(facts: Measurements) -> str:
    most_s, interval_s = _number(facts, "most_s"), _number(facts, "interval_s")
    return f"at most {seconds(most_s)} within {seconds(interval_s)}" if most_s else ""


def _client(facts: Measurements) -> str:
    if facts.get("unsent"):
        return f"the client had no ports or files left for {_count(facts, 'unsent')} requests"
    return f"the busiest client process used {_share(facts, 'cpu_share')} of one core"


def _client_in_short(facts: Measurements) -> str:
    unsent = f"{_count(facts, 'unsent')} unsent"
    return unsent if facts.get("unsent") else _share(facts, "cpu_share")


def _asked_less(facts: Measurements) -> str:
    busy = _number(facts, "cpu_share") >= _number(facts, "limit")
    limited = busy or bool(facts.get("unsent"))
    return "it may not have asked for all that the target could give" if limited else ""


def _left_out(facts: Measurements) -> str:
    connections = _count(facts, "connections")
    return (
        f"{_count(facts, 'unserved')} of {connections} connections had no answer during the whole "
        "window"
    )


def _others_served(facts: Measurements) -> str:
    return (
        f"the others completed {_count(facts, 'completed')} requests"
        if facts["unserved"] and facts["completed"]
        else ""
    )


CAUSES: dict[str, Words] = {
    "loop_blocked": Words(
        "Event loop blocked",
        "loop blocked",
        lambda facts: f"{_share(facts, 'blocked_share')} of window",
        _blocked,
        _loop_free,
        _stalls,
    ),
    "pool_exhausted": Words(
        "Thread pool full",
        "pool full",
        lambda facts: f"{_count(facts, 'most_busy')} of {_threads(facts)} busy",
        _waited,
        _no_wait,
        _pool,
    ),
    "workers_uneven": Words(
        "Workers uneven",
        "workers uneven",
        lambda facts: f"{_share(facts, 'busiest_share')} and {_share(facts, 'idlest_share')}",
        _uneven,
        _even,
        _answered,
    ),
    "garbage_collection": Words(
        "Garbage collection",
        "collections",
        lambda facts: f"{_share(facts, 'gc_share')} of window",
        _collected,
        _collected,
        _most_collected,
    ),
    "server_cpu": Words(
        "Target CPU",
        "target CPU",
        lambda facts: _share(facts, "cpu_share"),
        _cpu,
        _cpu,
        _cpu_per_request,
    ),
    "client_limited": Words(
        "Client at its limit",
        "client limited",
        _client_in_short,
        _client,
        _client,
        _asked_less,
    ),
    "never_served": Words(
        "Connections not served",
        "not all served",
        lambda facts: f"{_count(facts, 'unserved')} of {_count(facts, 'connections')}",
        _left_out,
        lambda _: "every connection had an answer during the window",
        _others_served,
    ),
}
