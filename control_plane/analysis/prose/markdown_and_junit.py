"""An experiment or a trend for those who do not open its page: as Markdown, and as JUnit."""

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from control_plane.analysis.prose import escaped
from control_plane.domain.metrics_and_objectives import JUDGED_METRIC, JudgedObjective
from control_plane.domain.spec_json import Document
from control_plane.domain.trend_runs import ADDED, LEAST_TREND_POINTS
from control_plane.domain.units import NONE, WRITTEN, change, number_of, ratio

_AGAINST = {"worse", "broken", "failed"}
MEANS = (
    "Values and ratios: geometric means over blocks. A guardrail has the 90 % interval, "
    "since one side of it decides."
)
_OPEN = {"inconclusive", "likely_better", "likely_worse", "no_verdict", "undecided"}


def experiment_markdown(found: Document, address: str = "") -> str:
    """Return the sentence, a table of the arms, their doubts and a link; the rest is folded.

    `found` is the document of the API, `address` that of the page.
    """
    lines = [f"**{_escaped(found['sentence'])}**", ""]
    lines += [_escaped(found["attempt"]), ""] if found["attempt"] else []
    lines += _table(_arm_rows(found))
    for name in ("objectives", "predictions"):
        lines += ["", *_claims(found, name)] if found[name] else []
    details = list(_table(_detail_rows(found)))
    lines += ["", *doubts] if (doubts := [*_doubts(found)]) else []
    lines += ["", "<details><summary>Every metric that decides or guards</summary>", ""]
    lines += [*details, "", f"{_design(found)}", "", "</details>"]
    if address:
        lines += ["", f"[{_escaped(found['question'])}](<{address}>)"]
    return "\n".join(lines) + "\n"


def trend_markdown(found: Document, address: str) -> str:
    """Return the sentence with what is against it, how much there is, the steps and a link.

    `found` is the document of the API, `address` that of the page.
    """
    points = found["points"]
    told = [number_of(len(points), "run")]
    if points:
        told.append(f"{points[0]['at'][:10]} to {points[-1]['at'][:10]}")
    if found["machine"]:
        told.append(f"on {found['machine']}")
    lines = [f"**{_escaped(found['sentence'])}**", "", _escaped(", ".join(told)), ""]
    if found["steps"]:
        lines += [*_table(_step_rows(found)), ""]
    lines.append(f"[{_escaped(found['title'])}](<{address}>)")
    return "\n".join(lines) + "\n"


def trend_list_lines(found: Document) -> Iterator[str]:
    """Yield that there is no trend where there is none, and which runs make none."""
    if not found["trends"]:
        yield f"No trend: it takes {LEAST_TREND_POINTS} valid runs of one spec on one machine."
    if suspect := found["left_out"]["suspect"]:
        runs, specs = number_of(suspect, "suspect run"), found["left_out"]["specs"]
        yield f"{runs} of {number_of(specs, 'spec')} left out: --suspect counts them, too."
    if imported := found["left_out"]["imported"]:
        yield f"{number_of(imported, 'imported run')} left out: a trend is of runs measured here."


def _step_rows(found: Document) -> Iterator[tuple[str, ...]]:
    """Yield the steps of a trend, the newest first."""
    level = ratio if found["baseline"] else WRITTEN[found["unit"]]
    yield "Step", "Verdict", "Between runs", "Level before", "Level after", "Commits", "Note"
    for step in reversed(found["steps"]):
        yield (
            change(step["change"], found["unit"]),
            judged_step(step),
            f"{step['after']}, {step['before']}",
            *map(level, step["levels"]),
            ", ".join(_escaped(commit[:10]) for commit in step["commits"]),
            _escaped(step["note"]),
        )


def judged_step(step: Document) -> str:
    """Return what a step is worth, and where it was not found there: `worse (added by hand)`."""
    by_people = {"moved": " (moved)", "added": f" ({ADDED})"}
    return f"{step['verdict']}{by_people.get(step['origin'], '')}"


def _table(rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    head, *rest = rows
    for cells in (head, ("---", *("---:" for _ in head[1:])), *rest):
        yield f"| {' | '.join(cells)} |"


def _arm_rows(found: Document) -> Iterator[tuple[str, ...]]:
    primary = [verdict for verdict in found["verdicts"] if verdict["role"] == "primary"]
    metric = JUDGED_METRIC[found["design"]["metric"]]
    yield "Arm", metric.label, "Ratio, 95 %", "Verdict", "Validity"
    by_arm = {verdict["contender"]: verdict for verdict in primary}
    baseline = primary[0]["values"][0] if primary else None
    for place, run in enumerate(found["runs"]):
        verdict = by_arm.get(run["arm"])
        value = verdict["values"][1] if verdict else None if place else baseline
        yield (
            _escaped(run["arm"]),
            WRITTEN[metric.unit](value),
            _ratio(verdict) if verdict else "baseline" if not place else NONE,
            verdict_text(verdict) if verdict else NONE,
            run["validity"] or run["state"],
        )


def _detail_rows(found: Document) -> Iterator[tuple[str, ...]]:
    yield "Metric", "Arm", "Baseline", "Arm's own", "Ratio, 95 %", "Verdict"
    for verdict in found["verdicts"]:
        if verdict["role"] != "exploratory":
            metric = JUDGED_METRIC[verdict["metric"]]
            values = (WRITTEN[metric.unit](value) for value in verdict["values"])
            arm = _escaped(verdict["contender"])
            yield metric.label, arm, *values, _ratio(verdict), verdict_text(verdict)


def _ratio(verdict: Document) -> str:
    if verdict["ratio"] is None:
        return NONE
    low, high = shown_bounds(verdict)
    if low is None or high is None:
        return ratio(verdict["ratio"])
    # As in `verdict_text`.
    from control_plane.analysis.deciding.effects import Interval
    from control_plane.analysis.prose.experiment_sentences import ratio_with_interval

    return _escaped(" ".join(ratio_with_interval(verdict["ratio"], Interval(low, high))))


def shown_bounds(verdict: Document) -> tuple[float | None, float | None]:
    """Return the bounds that decide: of a guardrail those of 90 %, each of which is one-sided."""
    names = ("low_90", "high_90") if verdict["role"] == "guardrail" else ("low", "high")
    low, high = (verdict[name] for name in names)
    return low, high


def verdict_text(verdict: Document) -> str:
    """Return `worse`; where nothing is decided, `undecided: a side is invalid`."""
    # numpy takes a while to import, which no other command waits for.
    from control_plane.analysis.prose.experiment_sentences import REASONS

    word, told = str(verdict["verdict"]).replace("_", " "), verdict["told"]
    why = REASONS[verdict["reason"]] if verdict["reason"] else told
    return f"{word}: {why}" if why else word


def suspect_text(found: Document, *arms: str) -> str:
    """Return `suspect: B threaded (The client was busy.)` of these arms; empty where none is."""
    doubted = (run for run in found["runs"] if run["validity"] == "suspect" and run["arm"] in arms)
    told = [f"{run['arm']} ({why})" if (why := doubts_text(run)) else run["arm"] for run in doubted]
    return f"suspect: {', '.join(told)}" if told else ""


def doubts_text(run: Document) -> str:
    """Return why an arm is suspect or invalid; "" where it is neither."""
    return " ".join(run["doubts"])


def _doubts(found: Document) -> Iterator[str]:
    """Yield each arm that is suspect or invalid, and why."""
    for run in found["runs"]:
        if run["doubts"]:
            told = f"{run['arm']} is {run['validity']}: {doubts_text(run)}"
            yield f"- {_escaped(told)}"


def _claims(found: Document, name: str) -> Iterator[str]:
    for claim in found[name]:
        told = claim["text"] if name == "predictions" else JudgedObjective(**claim).text
        numbers = f" ({claim['told']})" if name == "predictions" else ""
        yield f"- {claim['outcome'].capitalize()}: {_escaped(told + numbers)}"


def _design(found: Document) -> str:
    design = found["design"]
    blocks = f"{found['blocks']} of {number_of(design['blocks'], 'interleaved block')}"
    aside = len(found["spoiled"])
    blocks += f", {aside} set aside (with all: {' '.join(found['with_all'])})" if aside else ""
    told = f"{blocks}, margin {100 * design['margin']:g} %, seed {found['seed']}. {MEANS}"
    return _escaped(told) if aside else told


def experiment_junit(found: Document) -> str:
    """Return JUnit XML: a test case for each verdict, guardrail and objective.

    What speaks against a contender is a failure, an arm that is invalid or did not finish an error;
    what is not decided is skipped.
    """
    suite = ET.Element("testsuite", name=_plain(found["question"]))
    for run in found["runs"]:
        case = ET.SubElement(suite, "testcase", classname="arm", name=_plain(run["arm"]))
        if run["state"] != "finished" or run["validity"] == "invalid":
            why = f"{run['state']}: {run['reason']}" if run["reason"] else run["state"]
            worth = f"invalid: {doubts_text(run)}".rstrip(": ")
            told = worth if run["state"] == "finished" else why
            ET.SubElement(case, "error", message=_plain(told))
        else:
            _doubted(case, suspect_text(found, run["arm"]))
    for verdict in found["verdicts"]:
        if verdict["role"] != "exploratory":
            name = f"{JUDGED_METRIC[verdict['metric']].label} of {verdict['contender']}"
            told = f"{verdict_text(verdict)}, {_ratio(verdict)}".replace("\\", "")
            doubt = suspect_text(found, verdict["baseline"], verdict["contender"])
            case = _case(suite, verdict["role"], name, verdict["verdict"], told)
            _doubted(case, doubt)
    for objective in found["objectives"]:
        text = JudgedObjective(**objective).text
        case = _case(suite, "objective", text, objective["outcome"], objective["outcome"])
        _doubted(case, suspect_text(found, objective["arm"]))
    cases = list(suite)
    suite.set("tests", str(len(cases)))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, role: str, name: str, outcome: str, told: str) -> ET.Element:
    case = ET.SubElement(suite, "testcase", classname=role, name=_plain(name))
    if outcome in _AGAINST:
        ET.SubElement(case, "failure", message=_plain(told))
    elif outcome in _OPEN:
        ET.SubElement(case, "skipped", message=_plain(told))
    return case


def _doubted(case: ET.Element, doubt: str) -> None:
    """Put what is suspect beside an outcome, which it leaves as it is."""
    if doubt:
        ET.SubElement(case, "system-out").text = _plain(doubt)


def _escaped(text: str) -> str:
    return escaped(_plain(text))


def _plain(text: str) -> str:
    """Return a text on one line, without the control characters that XML refuses."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
