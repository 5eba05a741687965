"""The quick variant of every bundled experiment on this machine, and docs/results.md of it.

    python -m bench.results FOLDER

What FOLDER has already is not measured again, so that it can be broken off and taken up. Each
experiment is exported beside the document, as JSON; FOLDER keeps the database. 20 more have the
same spec on both sides.
"""

import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from control_plane.analysis.prose.markdown_and_junit import experiment_markdown
from control_plane.experiments.experiment_file import BundledExperiment, bundled_experiments
from scripts.budget import ROOT

DOCUMENT, EXPORTS = ROOT / "docs" / "results.md", ROOT / "docs" / "results"
LOOPLAB = (sys.executable, "-m", "control_plane")
TO_ITS_VERDICTS = (0, 10, 12)
"""The exit codes of an experiment that ran to its end; 10 and 12: a verdict that builds heed."""
LONGEST_S = 180
CLAIM_OUTCOMES = ("as predicted", "contradicted", "undecided")


SAME = 20
KINDS = {
    "async": {"client": {"strategy": "async"}, "load": {"concurrency": 64}},
    "raw": {"client": {"strategy": "raw"}, "load": {"concurrency": 16}},
    "threaded": {"client": {"strategy": "threaded"}, "load": {"concurrency": 8}},
    "open": {
        "client": {"strategy": "raw"},
        "load": {"model": "open", "rate_per_s": 500},
        "metric": "response_time_s.p50",
    },
}
"""Loads of the experiments whose arms are the same, in turn; the last is compared by its p50."""


def measured(folder: Path, name: str, experiment: str) -> dict[str, Any]:
    """Return the experiment as JSON, run unless FOLDER has it. Raises RuntimeError."""
    kept, taken = folder / f"{name}.json", folder / f"{name}.seconds"
    if not (kept.exists() and taken.exists()):
        begun_s = time.monotonic()
        command = (*LOOPLAB, "experiment", experiment, "--db", str(folder / "runs.db"), "--json")
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode not in TO_ITS_VERDICTS:
            raise RuntimeError(f"{name} ended with {ended.returncode}: {ended.stderr.strip()}")
        kept.write_text(ended.stdout)
        taken.write_text(f"{time.monotonic() - begun_s:.0f}")
    found: dict[str, Any] = json.loads(kept.read_text())
    print(f"{name}: {taken.read_text()} s, {found['sentence']}", flush=True)
    return found


def same_arms(folder: Path, number: int) -> dict[str, Any]:
    """Return an experiment of few blocks with the same spec on both sides, run unless there."""
    kind = list(KINDS)[number % len(KINDS)]
    part = KINDS[kind]
    stream = {
        "requests": [{"path": "/items/17"}],
        "load": {"model": "closed"} | part["load"],
        "stop": {"duration_s": 1.5},
    }
    file = folder / f"same-{number}-spec.json"
    file.write_text(json.dumps({
        "question": f"A against A, {kind}",
        "metric": part.get("metric", "throughput_per_s"),
        "blocks": 5,
        "guardrails": [],
        "seed": number + 1,
        "same_arms": True,
        "spec": {"client": part["client"], "warmup_s": 0.5, "workload": {"streams": [stream]}},
        "arms": [{"name": "A", "spec": {}}, {"name": "A again", "spec": {}}],
    }))  # fmt: skip
    return measured(folder, f"same-{number}", str(file))


def same_table(found: list[dict[str, Any]]) -> Iterator[str]:
    yield "## Twenty experiments whose arms are the same"
    verdicts = [experiment["verdicts"][0] for experiment in found]
    beyond = sum(not verdict["low"] <= 1 <= verdict["high"] for verdict in verdicts)
    worse = sum(verdict["verdict"] in {"better", "worse"} for verdict in verdicts)
    yield (
        f"{found[0]['design']['blocks']} blocks at most, of 1.5 s a trial. In {beyond} of "
        f"{len(found)} the 95 % interval leaves 1 out; {worse} are called better or worse."
    )
    rows = [
        f"| {experiment['question'].partition(', ')[2]} | {verdict['metric']} "
        f"| ×{verdict['ratio']:.3f} | {verdict['low']:.3f} to {verdict['high']:.3f} "
        f"| {verdict['verdict']} |"
        for experiment, verdict in zip(found, verdicts, strict=True)
    ]
    head = ("| load | metric | ratio | 95 % interval | verdict |", "|---|---|---:|---:|---|")
    yield "\n".join([*head, *rows])


def section(folder: Path, bundled: BundledExperiment, found: dict[str, Any]) -> Iterator[str]:
    slug = bundled.slug
    seconds = (folder / f"{slug}.seconds").read_text()
    yield f"## {bundled.question}"
    yield (
        f"`looplab experiment {slug}`, {seconds} s. {bundled.document('quick')['note']} "
        f"[{slug}.json](results/{slug}.json)"
    )
    yield experiment_markdown(found).strip()


def document(folder: Path, found: dict[str, dict[str, Any]], same: list[dict[str, Any]]) -> str:
    claims = Counter(
        claim["outcome"] for experiment in found.values() for claim in experiment["predictions"]
    )
    counted = ", ".join(f"{claims[outcome]} {outcome}" for outcome in CLAIM_OUTCOMES)
    today = datetime.datetime.now(datetime.UTC).date()
    head = (
        "# Results",
        f"What the bundled experiments say in their quick variant on {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}, "
        f"{today:%Y-%m-%d}. Of {claims.total()} claims: {counted}. An arm is suspect where another "
        "program was at work, or where its own client was at its limit. "
        "Claims of absolute values are judged in the full variant alone. "
        "`python -m bench.results FOLDER` measures them on another machine and writes this page; "
        "each file is the experiment as `--json` prints it, with every metric and verdict.",
    )
    sections = (
        section(folder, bundled_experiments()[slug], experiment)
        for slug, experiment in found.items()
    )
    parts = [*head, *(part for parts in sections for part in parts), *same_table(same)]
    return "\n\n".join(parts) + "\n"


def main(folder: str) -> int:
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    found = {slug: measured(place, slug, slug) for slug in bundled_experiments()}
    same = [same_arms(place, number) for number in range(SAME)]
    EXPORTS.mkdir(exist_ok=True)
    for slug in found:
        shutil.copy(place / f"{slug}.json", EXPORTS)
    DOCUMENT.write_text(document(place, found, same))
    longest = max(int((place / f"{slug}.seconds").read_text()) for slug in found)
    print(f"longest: {longest} s, wanted at most {LONGEST_S} s")
    return 0 if longest <= LONGEST_S else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
