"""What the command line talks to, and the dashboard that has the database as one of them.

Of dashboards of other people it takes what their share links give.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from unicodedata import category
from urllib.parse import quote, urlencode, urlsplit

from control_plane.domain.errors import (
    Conflict,
    FieldError,
    InvalidInput,
    LooplabError,
    MachineBusy,
    NotFound,
    SettingsError,
)
from control_plane.domain.ids import (
    experiment_address,
    is_digest,
    report_address,
    tool_result_address,
)
from control_plane.domain.limits import MAX_BUNDLE_BYTES
from control_plane.domain.run import TERMINAL, State
from control_plane.domain.spec_json import Document
from control_plane.domain.tool_result import ToldOfFile
from control_plane.store.instance_lock import read_lock

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from requests import Response

Report = Callable[[Document], None]
"""Called about once a second with the run as it stands."""
Tell = Callable[[str], None]
"""Called with a line that a person should read meanwhile."""

REPORT_S = 1.0
NOT_FOUND, CONFLICT = 404, 409
ANSWERS_S, IMPORTS_S = 60, 600


class NoDashboard(LooplabError):
    """Nobody listens at the address of the dashboard any more."""


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
        """Return runs side by side, also beside results of other tools, which are `results` then.

        Raises NotFound or InvalidInput.
        """

    def report(self, ids: Sequence[str], query: Mapping[str, str | float]) -> bytes:
        """Return the page of a run, an experiment, several runs or a trend as one HTML file.

        `query` tells how a trend is looked at, as the API takes it; other pages have none.
        Raises NotFound, or InvalidInput where one is not over.
        """

    def import_file(self, file: Path, told: ToldOfFile, tell: Tell) -> Document:
        """Take over a bundle, or the result of another tool.

        Waits as long as a run measures, which `tell` is told.
        Raises InvalidInput, and Conflict where an id has another content here.
        """

    def repeat(self, subject: str, serve: Mapping[str, Document], *, start: bool) -> Document:
        """Return what repeating an imported result starts here, and start it where asked to.

        `serve` by their targets. Raises NotFound, and InvalidInput as the API does.
        """

    def ceilings(self) -> Document:
        """Return the stored client ceilings."""

    def trends(self, *, suspect: bool, machine: str) -> Document:
        """Return the trends that have points enough; those of one machine where it is named.

        `suspect` runs count where asked for. Raises InvalidInput for an unknown machine.
        """

    def trend(self, spec: str, query: Mapping[str, str | float], *, told: bool) -> Document:
        """Return the trend of a spec, or of that of a run; `told`: its alarm counts as told then.

        `query` as the API takes it. Raises NotFound or InvalidInput.
        """

    def noise_floors(self) -> Document:
        """Return how small a difference each machine can show."""

    def submit_experiment(self, document: Document) -> Document:
        """Queue an experiment. Raises InvalidInput."""

    def bundled(self) -> Sequence[Document]:
        """Return the experiments that come with Looplab, and how long each takes here."""

    def confirmation(self, experiment_id: str, blocks: int | None) -> Document:
        """Return the document of what `confirm_experiment` queues. Raises as that does."""

    def confirm_experiment(self, experiment_id: str, blocks: int | None) -> Document:
        """Queue an experiment that measures another anew, and return it.

        Raises NotFound, and InvalidInput, also where it is not over.
        """

    def experiment(self, experiment_id: str) -> Document:
        """Return an experiment as far as it is. Raises NotFound."""

    def wait_for_experiment(self, experiment_id: str, report: Report) -> Document:
        """Return the experiment once it is over or paused."""


def token_headers(database: Path) -> dict[str, str]:
    """Return the headers that the dashboard of a database asks for; none where it asks for none."""
    holder = read_lock(database)
    return {"Authorization": f"Bearer {holder.token}"} if holder and holder.token else {}


class RemoteDashboard:
    """Talks to a running dashboard over its API."""

    remote = True

    def __init__(self, url: str, token: str | None = None) -> None:
        # Only here, because it would take a twentieth of a second of every start of a dashboard.
        import requests

        self.url: str | None = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Accept"] = "application/json"
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def submit(self, document: Document) -> Document:
        made = self._request("POST", "/api/runs", document)
        return self._request("GET", f"/api/runs/{made['id']}")

    def wait(self, run_id: str, report: Report) -> Document:
        while (run := self._request("GET", f"/api/runs/{run_id}"))["state"] not in TERMINAL:
            report(run)
            time.sleep(REPORT_S)
        return run

    def compare(self, ids: Sequence[str], baseline: str) -> Document:
        named = ",".join(ids)
        try:
            return self._request("GET", f"/api/compare?runs={named}&baseline={baseline}")
        except NotFound:
            return self._request("GET", f"/api/peers/compare?results={named}")

    def report(self, ids: Sequence[str], query: Mapping[str, str | float]) -> bytes:
        places = [report_address(ids)]
        if is_digest(ids[0]):
            places = [f"{places[0]}?{urlencode(query)}"]
        elif len(ids) == 1:
            others = (experiment_address(ids[0]), tool_result_address(ids[0]))
            places += [f"{address}.html" for address in others]
        missing: list[NotFound] = []
        for place in places:
            try:
                return self._response("GET", place).content
            except NotFound as error:
                missing.append(error)
        raise missing[0]

    def import_file(self, file: Path, told: ToldOfFile, tell: Tell) -> Document:
        query = urlencode({name: value for name, value in asdict(told).items() if value})
        while True:
            try:
                with file.open("rb") as content:
                    response = self._response("POST", f"/api/import?{query}", content=content)
                return self._document(response)
            except MachineBusy as busy:
                self._wait_for_runs(tell)
                time.sleep(busy.wait_s)

    def _wait_for_runs(self, tell: Tell) -> None:
        """Return once no run works or waits."""
        told = False
        while (queue := self._request("GET", "/healthz"))["running"] or queue["queued"]:
            if not told:
                tell(f"{self.url} measures: the file is taken over as soon as no run waits.")
            told = True
            time.sleep(REPORT_S)

    def repeat(self, subject: str, serve: Mapping[str, Document], *, start: bool) -> Document:
        address = f"/api/repeats/{quote(subject, safe='')}"
        return self._request("POST", address, {"serve": dict(serve), "start": start})

    def ceilings(self) -> Document:
        return self._request("GET", "/api/ceilings")

    def trends(self, *, suspect: bool, machine: str) -> Document:
        asked = urlencode({"suspect": suspect, "machine": machine})
        return self._request("GET", f"/api/trends?{asked}")

    def trend(self, spec: str, query: Mapping[str, str | float], *, told: bool) -> Document:
        address, asked = f"/api/trends/{quote(spec, safe='')}", urlencode(query)
        if told:
            return self._request("POST", f"{address}/told?{asked}")
        return self._request("GET", f"{address}?{asked}")

    def noise_floors(self) -> Document:
        return self._request("GET", "/api/noise-floor")

    def submit_experiment(self, document: Document) -> Document:
        return self._request("POST", "/api/experiments", document)

    def bundled(self) -> Sequence[Document]:
        found: list[Document] = self._response("GET", "/api/experiments").json()
        return found

    def confirmation(self, experiment_id: str, blocks: int | None) -> Document:
        address = f"/api/experiments/runs/{quote(experiment_id, safe='')}/confirm"
        asked = "" if blocks is None else f"?blocks={blocks}"
        return self._request("GET", address + asked)

    def confirm_experiment(self, experiment_id: str, blocks: int | None) -> Document:
        address = f"/api/experiments/runs/{quote(experiment_id, safe='')}/confirm"
        return self._request("POST", address, {"blocks": blocks})

    def experiment(self, experiment_id: str) -> Document:
        return self._request("GET", f"/api/experiments/runs/{quote(experiment_id, safe='')}")

    def wait_for_experiment(self, experiment_id: str, report: Report) -> Document:
        while State((found := self.experiment(experiment_id))["state"]).waiting:
            report(found)
            time.sleep(REPORT_S)
        return found

    def login_address(self) -> str:
        """Return an address that logs a browser in, once."""
        return f"{self.url}{self._request('POST', '/api/login-addresses')['path']}"

    def audit(self, limit: int) -> Document:
        """Return the last deeds, newest first."""
        return self._request("GET", f"/api/audit?limit={limit}")

    def _request(self, method: str, path: str, body: Document | None = None) -> Document:
        return self._document(self._response(method, path, body))

    def _response(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        content: BinaryIO | None = None,
    ) -> "Response":
        """Return the response. Raises what the dashboard says is wrong, or that it is none."""
        import requests

        address, timeout_s = f"{self.url}{path}", ANSWERS_S if content is None else IMPORTS_S
        try:
            response = self._session.request(
                method, address, json=body, data=content, timeout=timeout_s
            )
        except requests.ConnectionError:
            raise NoDashboard(f"{self.url} does not answer any more.") from None
        except requests.RequestException as error:
            raise self._no_looplab(error) from None
        if response.ok:
            return response
        document = self._document(response)
        if response.status_code == NOT_FOUND:
            raise NotFound(document["message"])
        if response.status_code == CONFLICT:
            kind = MachineBusy if "Retry-After" in response.headers else Conflict
            raise kind(document["message"])
        fields = [FieldError(**field) for field in document.get("fields", ())]
        raise InvalidInput(document["message"], tuple(fields))

    def _document(self, response: "Response") -> Document:
        try:
            document: Document = response.json()
        except ValueError as error:
            raise self._no_looplab(error) from None
        return document

    def _no_looplab(self, error: Exception) -> LooplabError:
        return LooplabError(f"{self.url} does not answer as a Looplab: {error}")


_SHARED = re.compile(r"(https?://[^\s?#]+/shared/[^\s/?#]+)(?:[/?#]\S*)?")
CONNECTS_S = 10
_REFUSED = {
    401: "asks for a login, which share links do without",
    404: "has no such share link: it ended, was revoked, or is not whole",
    429: "had too many wrong links from here",
    503: "makes no bundle while it measures",
}


def is_address(text: str) -> bool:
    """Return whether this is meant as an address, and not as a file."""
    return text.startswith(("http://", "https://"))


_UNPRINTABLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


def printable(text: str) -> str:
    """Return what others wrote as one line that neither moves a cursor nor colours a terminal."""
    return "".join("?" if category(char) in _UNPRINTABLE else char for char in text)


def fetch_shared(address: str, file: Path) -> None:
    """Write the bundle of a share link of another Looplab to a file.

    `address` is that of the link or of one of its forms; certificates are verified. Raises
    SettingsError for another address, LooplabError with why the bundle did not come whole.
    """
    link = _SHARED.fullmatch(address)
    if link is None:
        raise SettingsError(
            f"{printable(address[:200])} is no share link: give https://HOST/shared/TOKEN."
        )
    parts = urlsplit(link[1])
    named = printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"[:200])
    # What sends requests takes a fifth of a second to import, which no other command waits for.
    import aiohttp

    try:
        asyncio.run(_fetch(f"{link[1]}/recipe.looplab", named, file))
    except TimeoutError:
        raise LooplabError(f"{named} did not give the bundle in time.") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # aiohttp tells of each fault to connect how it would have used TLS, also of http.
        told = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
        why = printable(str(told)[:200] or type(error).__name__)
        raise LooplabError(f"{named} gave no bundle: {why}.") from None


async def _fetch(url: str, named: str, file: Path) -> None:
    import aiohttp

    limits = aiohttp.ClientTimeout(IMPORTS_S, sock_connect=CONNECTS_S, sock_read=ANSWERS_S)
    asked = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "looplab"}
    async with (
        aiohttp.ClientSession(timeout=limits, headers=asked, auto_decompress=False) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        if response.status != 200:
            raise LooplabError(f"{named} {_refusal(response)}.")
        digest = await _write(response, named, file)
        if response.headers.get("X-Content-SHA256", digest) != digest:
            raise LooplabError(f"{named} gave another file than it says (sha256): try again.")


async def _write(response: "ClientResponse", named: str, file: Path) -> str:
    """Write the body to a file, and return its digest. Raises LooplabError where it is too long."""
    digest = hashlib.sha256()
    with file.open("wb") as written:
        async for piece in response.content.iter_any():
            digest.update(piece)
            if written.tell() + len(piece) > MAX_BUNDLE_BYTES:
                raise LooplabError(f"{named} gives more than {MAX_BUNDLE_BYTES:,} bytes.")
            written.write(piece)
    return digest.hexdigest()


def _refusal(response: "ClientResponse") -> str:
    """Return why it gives no bundle: `makes no bundle while it measures: try again in 30 s`."""
    if led_to := response.headers.get("Location"):
        return f"leads to {printable(led_to[:200])}: give that address"
    why = _REFUSED.get(response.status, f"answers {response.status}")
    wait = response.headers.get("Retry-After", "")
    return f"{why}: try again in {wait} s" if wait.isascii() and wait.isdecimal() else why
