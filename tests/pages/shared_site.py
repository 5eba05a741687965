"""A dashboard with a login, and one of each kind of result that can be shared in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi.testclient import TestClient

from control_plane.access.login import Caller, Login
from control_plane.app import create_app
from control_plane.dependencies import TrendQuery, change_step
from control_plane.domain.experiment import Findings
from control_plane.domain.limits import Limits
from control_plane.domain.metrics_and_objectives import Prediction
from control_plane.domain.trend_runs import StepChange
from control_plane.jobs import recover
from control_plane.settings import Settings
from control_plane.store.audit_log import ACTOR, Actor
from control_plane.store.store import Store, open_store
from tests.builders.runs import (
    ASYNC,
    BLOCKED,
    BLOCKING,
    ENVIRONMENT,
    THREADED,
    decided,
    finished,
    items,
)
from tests.builders.trends import repeated
from tests.dashboard import provide_database
from tests.html import read_html

TOKEN, VIEWER, PORT = "a token of the test", "the viewers' word", 8200
OPERATOR = {"Authorization": f"Bearer {TOKEN}"}
PRIVATE = {
    **ENVIRONMENT,
    "hostname": "canary-host.corp.example",
    "server_settings": {"UVICORN_ROOT_PATH": "canary-value"},
    "target_program": "/srv/canary/bin/python",
    "target_packages": {"shop": "file:///data2/canary/shop"},
    "application_commit_subject": "Move to canary-host",
    "application_directory": "canary",
    "application_package": "shop 2.3.1",
}
PATH = "/home/movies?api_key=canary-key&token=canary-token&from=ci.canary.io"
TITLE = "on canary-host from /home/canary/shop.py"


@dataclass(frozen=True)
class Site:
    """A dashboard that asks for a login, called by nobody unless a test shows a secret.

    `anew` is the experiment that confirms the one which is shared.
    """

    client: TestClient
    store: Store
    subjects: dict[str, str]
    anew: str

    def share(self, kind: str, **fields: object) -> str:
        """Make a link; the path that it leads to."""
        data = {"kind": kind, "subject": self.subjects[kind], **fields}
        made = self.client.post("/shares", data=data, headers=OPERATOR)
        assert made.status_code == 201, made.text
        shown = next(each for each in read_html(made.text).all("code")).text
        assert shown.startswith(f"http://127.0.0.1:{PORT}/shared/")
        return shown.removeprefix(f"http://127.0.0.1:{PORT}")

    def get(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.text


@contextmanager
def shared_site(folder: Path) -> Iterator[Site]:
    """Serve a database with what can be shared, which tells of a canary wherever it can."""
    db = provide_database(folder / "runs.db")
    trend = measured_nightly(db)
    settings, store = Settings(db=db, limits=Limits(max_queue=0)), open_store(db)
    stream = {
        "name": "http://canary:canary@canary.internal/",
        "requests": [{"path": PATH, "headers": {"Origin": "http://canary-host:81"}}],
        "load": {"model": "closed", "concurrency": 100},
        "stop": {"duration_s": 10},
    }
    spec = items(title=TITLE, trials=1, workload={"streams": [stream]})
    blocked = finished(store, spec, BLOCKED, PRIVATE).id
    other = finished(store, items(title="items"), ASYNC, {**PRIVATE, "hostname": "canary-2"}).id
    shapes, note = (BLOCKING, THREADED, ASYNC), "on canary-host, see /srv/canary/app.py"
    told = Prediction(text=note, arm="async", word="better")
    experiment = decided(store, "classic", shapes, PRIVATE, note=note, predictions=(told,)).id
    anew = decided(store, "classic", shapes, PRIVATE, confirms=experiment).id
    store.keep_findings(anew, Findings("canary-host is better.", (), {}, {}))
    subjects = {
        "run": blocked,
        "comparison": f"runs={other},{blocked}",
        "experiment": experiment,
        "trend": trend,
    }
    login = Login(TOKEN, {VIEWER: Caller("viewer", "looks")}, PORT)
    app = create_app(settings, store, recover(store, {PORT}, "normal", {}), login)
    try:
        with TestClient(
            app, f"http://127.0.0.1:{PORT}", raise_server_exceptions=False, follow_redirects=False
        ) as client:
            yield Site(client, store, subjects, anew)
    finally:
        store.close()


def measured_nightly(db: Path) -> str:
    """Fill a database with runs of one spec, a step among them that somebody told of; the spec."""
    facts = [
        {
            **PRIVATE,
            "application_commit": f"{n // 6:040x}",
            "server_settings": {"WEB_CONCURRENCY": f"canary {n // 18}"},
        }
        for n in range(24)
    ]
    ids = repeated(db, [0.01 + 0.002 * (n > 11) + 0.0001 * (n % 3) for n in range(24)], facts)
    store = open_store(db)
    spec = store.trend_spec(ids[0])
    actor = ACTOR.set(Actor("canary", "canary"))
    change = StepChange("note", run=ids[12], note="on canary-host, see /srv/canary/app.py")
    change_step(store, spec, TrendQuery(), change)
    ACTOR.reset(actor)
    store.close()
    return f"{spec}?machine=bench"
