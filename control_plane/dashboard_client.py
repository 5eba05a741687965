"""What the command line talks to: the dashboard that has the database, or a control plane here."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Protocol

import requests

from control_plane.analysis.comparison import compare
from control_plane.analysis.prose.comparison_sentences import described_comparison
from control_plane.dashboard_server import lower_priority
from control_plane.domain.documents import run_document
from control_plane.domain.errors import FieldError, InvalidInput, LooplabError, NotFound
from control_plane.domain.run import TERMINAL
from control_plane.domain.spec import NamedTarget, Target
from control_plane.domain.spec_json import Document
from control_plane.jobs.configurations import resolved
from control_plane.jobs.run_service import RunService
from control_plane.jobs.runtime import Runtime, recover
from control_plane.jobs.stored_ceilings import ceiling_documents
from control_plane.jobs.submissions import Submissions, no_secrets
from control_plane.settings import Settings
from control_plane.store.instance_lock import read_lock
from control_plane.store.store import Store, open_store

Report = Callable[[Document], None]
"""Called about once a second with the run as it stands."""

REPORT_S = 1.0
NOT_FOUND = 404


class DashboardClient(Protocol):
    """Submits, follows and compares runs.

    `remote`: the run goes on when the command ends. `url`: the dashboard's address, or None.
    """

    remote: bool
    url: str | None

    def submit(self, document: Document) -> Document:
        """Queue a run. Raises InvalidInput."""

    def wait(self, run_id: str, report: Report) -> Document:
        """Return the run once it is over."""

    def compare(self, ids: Sequence[str], baseline: str) -> Document:
        """Return runs side by side. Raises NotFound or InvalidInput."""

    def ceilings(self) -> Document:
        """Return the stored client ceilings."""


@contextmanager
def connect(settings: Settings) -> Iterator[DashboardClient]:
    """Give the dashboard of this database if one runs, else a control plane without a site."""
    holder = read_lock(settings.db)
    if holder is not None and holder.url:
        yield RemoteDashboard(holder.url)
        return
    # A script's background command inherits that SIGINT is ignored; the runner would heed that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with asyncio.Runner() as runner, ExitStack() as closing:
        here = LocalDashboard(settings, runner)
        closing.callback(here.close)
        yield here


def _interrupt(number: int, frame: object) -> None:
    """End the command as Ctrl-C does: in order, with the states written."""
    del number, frame
    signal.raise_signal(signal.SIGINT)


class RemoteDashboard:
    """Talks to a running dashboard over its API."""

    remote = True

    def __init__(self, url: str) -> None:
        self.url: str | None = url
        self._session = requests.Session()
        self._session.trust_env = False

    def submit(self, document: Document) -> Document:
        made = self._request("POST", "/api/runs", document)
        return self._request("GET", f"/api/runs/{made['id']}")

    def wait(self, run_id: str, report: Report) -> Document:
        while (run := self._request("GET", f"/api/runs/{run_id}"))["state"] not in TERMINAL:
            report(run)
            time.sleep(REPORT_S)
        return run

    def compare(self, ids: Sequence[str], baseline: str) -> Document:
        return self._request("GET", f"/api/compare?runs={','.join(ids)}&baseline={baseline}")

    def ceilings(self) -> Document:
        return self._request("GET", "/api/ceilings")

    def _request(self, method: str, path: str, body: Document | None = None) -> Document:
        try:
            response = self._session.request(method, f"{self.url}{path}", json=body, timeout=60)
            document: Document = response.json()
        except (requests.RequestException, ValueError) as error:
            raise LooplabError(f"{self.url} does not answer as a Looplab: {error}") from None
        if response.ok:
            return document
        if response.status_code == NOT_FOUND:
            raise NotFound(document["message"])
        fields = [FieldError(**field) for field in document.get("fields", ())]
        raise InvalidInput(document["message"], tuple(fields))


class LocalDashboard:
    """Runs a control plane in this process, from the first run that is submitted.

    Its event loop runs while `wait` waits. A spec that is refused makes no database.
    """

    remote = False
    url: str | None = None

    def __init__(self, settings: Settings, runner: asyncio.Runner) -> None:
        self._settings, self._runner = settings, runner
        self._service: RunService | None = None

    @cached_property
    def _store(self) -> Store:
        return open_store(self._settings.db)

    def submit(self, document: Document) -> Document:
        _refuse(document, self._settings)
        if self._service is None:
            runtime = recover(self._store, (), lower_priority(), self._settings.applications)
            self._service = self._runner.run(_service(self._store, self._settings, runtime))
        (run,) = self._service.submit([document])
        return run_document(run, None)

    def wait(self, run_id: str, report: Report) -> Document:
        return self._runner.run(self._until_over(run_id, report))

    def compare(self, ids: Sequence[str], baseline: str) -> Document:
        return described_comparison(compare([self._store.run(run_id) for run_id in ids], baseline))

    def ceilings(self) -> Document:
        return {"ceilings": ceiling_documents(self._store)}

    def close(self) -> None:
        """End what still runs, and close the database."""
        try:
            if self._service is not None:
                self._runner.run(self._service.close())
        finally:
            if "_store" in self.__dict__:
                self._store.close()

    async def _until_over(self, run_id: str, report: Report) -> Document:
        while not (run := self._store.run(run_id)).state.terminal:
            report(run_document(run, self._service.progress(run_id) if self._service else None))
            await asyncio.sleep(REPORT_S)
        return run_document(run, None)


def _refuse(document: Document, settings: Settings) -> None:
    """Raise InvalidInput for a wrong spec.

    Added configurations and secrets that are kept are known in the database alone.
    """
    new = not settings.db.exists()
    Submissions(
        resolved if new else _stand_in_target,
        settings.limits,
        settings.applications,
        secret_holders=no_secrets if new else lambda digests: dict.fromkeys(digests, ""),
    ).resolve(document)


def _stand_in_target(named: NamedTarget) -> Target:
    """Return a usual target for any name: it may be one that the database alone knows."""
    del named
    return Target()


async def _service(store: Store, settings: Settings, runtime: Runtime) -> RunService:
    return RunService(store, settings.limits, runtime)
