"""What is told before runs are deleted."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from control_plane.domain.ids import new_id
from control_plane.domain.trend_runs import StepMark, TrendKey
from control_plane.jobs.experiment_job import findings_of, judged_now
from control_plane.pages.shared_results import trend_subject
from control_plane.store.share_links import SharedKind, ShareSubject
from control_plane.store.store import open_store
from tests.builders.runs import (
    ASYNC,
    BLOCKING,
    THREADED,
    decided,
    finished,
    items,
)
from tests.dashboard import Dashboard, provide_database
from tests.html import read_html
from tests.in_process import in_process
from tests.pages.form_page import send


def asked_before_deletion(looplab: Dashboard, *runs: str) -> str:
    asked = looplab.get("/history/delete", params=[("run", run) for run in runs]).text
    return " ".join(read_html(asked).text.split())


def test_what_rests_on_a_run_is_told_before_it_is_deleted(tmp_path: Path) -> None:
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        made = decided(store, "classic", [BLOCKING, THREADED, ASYNC])
        first, second, third = (arm.run_id or "" for arm in made.arms)
        store.keep_findings(made.id, findings_of(judged_now(store, made.id)))
        shared: list[tuple[SharedKind, str]] = [
            ("run", second),
            ("experiment", made.id),
            ("comparison", f"runs={first},{second}"),
        ]
        for kind, subject in shared:
            store.make_share_link(ShareSubject(kind, subject, f"shared {kind}"), [], 1)
        key = TrendKey(store.trend_spec(second), "items", "response_time_s.p50")
        with closing(sqlite3.connect(tmp_path / "runs.db")) as database:
            (seq,) = database.execute("SELECT seq FROM run WHERE id = ?", (second,)).fetchone()
        store.keep_mark(key, StepMark(new_id(), None, seq, datetime.now(UTC)), "step")

    question, names = made.question, [arm.name for arm in made.arms]
    with in_process(tmp_path) as looplab:
        before = looplab.get(f"/api/experiments/runs/{made.id}").json()
        told = asked_before_deletion(looplab, second)
        assert f"Experiment {question} loses its verdict on {names[1]}." in told
        assert "The share link of shared run shows nothing then." in told
        assert "The share link of shared comparison shows less then, or nothing." in told
        assert "The share link of shared experiment shows less then, or nothing." in told
        assert "has a step that somebody marked before this run" in told
        told = asked_before_deletion(looplab, first)
        assert f"loses every verdict, because its baseline {names[0]} goes." in told
        assert "marked" not in told
        told = asked_before_deletion(looplab, first, second, third)
        assert f"Experiment {question} goes with all of its arms." in told
        assert "The share link of shared experiment shows nothing then." in told
        moment = send(looplab, "/runs/delete", [("run", second)]).headers["location"]
        left = looplab.get(f"/api/experiments/runs/{made.id}").json()["verdicts"]
        assert "deleted_side" in {verdict["reason"] for verdict in left}
        send(looplab, "/runs/restore", parse_qsl(urlsplit(moment).query))
        assert looplab.get(f"/api/experiments/runs/{made.id}").json() == before


def test_without_the_second_run_of_the_baseline_every_verdict_goes_as_was_said(
    tmp_path: Path,
) -> None:
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        shapes = [BLOCKING, THREADED, BLOCKING]
        made = decided(store, "classic", shapes, control=True, predictions=())
    again = made.arms[-1]
    with in_process(tmp_path) as looplab:
        told = asked_before_deletion(looplab, again.run_id or "")
        assert f"loses every verdict: {again.name} was to show a machine that changed." in told
        send(looplab, "/runs/delete", [("run", again.run_id or "")])
        left = looplab.get(f"/api/experiments/runs/{made.id}").json()["verdicts"]
    assert {verdict["verdict"] for verdict in left} == {"no_verdict", "undecided"}


def test_the_link_of_a_trend_is_told_by_what_is_left_of_it(tmp_path: Path) -> None:
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        first, second = (finished(store, items(trials=1), ASYNC).id for _ in range(2))
        other = finished(store, items(trials=1, client={"strategy": "threaded"}), THREADED).id
        token = store.make_share_link(trend_subject(store, first), [], 1)
        revoked = trend_subject(store, f"{first}?metric=error_share")
        store.make_share_link(replace(revoked, title="revoked"), [], 1)
        store.revoke_share_link(store.share_links()[0].id)
    with in_process(tmp_path) as looplab:
        told = asked_before_deletion(looplab, first)
        assert "shows less then." in told
        assert "revoked" not in told
        assert "share link" not in asked_before_deletion(looplab, other)
        told = asked_before_deletion(looplab, first, second)
        assert "shows nothing then." in told
        assert looplab.get(f"/shared/{token}").status_code == 200
        send(looplab, "/runs/delete", [("run", first), ("run", second)])
        assert looplab.get(f"/shared/{token}").status_code == 404
