"""The pictures of the documentation, from real runs: `python -m bench.pictures [NAME ...]`.

Four runs on a dashboard of their own, each page taken down to its percentiles; names choose some of
them. A run in which other programs took processor time is left out: take it again on a machine that
does nothing else.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, sync_playwright

from control_plane.dashboard_client import token_headers

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CHROMIUM = Path("/usr/bin/chromium")
SECONDS = 8.0
WITHIN_S = 90.0
HEIGHT = 2_200
"""Pixels, down to the end of the percentiles."""


def stream(path: str, load: dict[str, Any]) -> dict[str, Any]:
    return {"requests": [{"path": path}], "load": load, "stop": {"duration_s": SECONDS}}


def closed(path: str, users: int, **rest: Any) -> dict[str, Any]:
    load = {"model": "closed", "concurrency": users}
    return {"workload": {"streams": [stream(path, load)]}, **rest}


OPEN = {"model": "open", "rate_per_s": 300, "arrivals": "poisson", "max_in_flight": 8}
"""Of 380 a second that 8 slots of 21 ms allow: arrivals that come together wait for a slot."""

SPECS: dict[str, dict[str, Any]] = {
    "blocked-loop": closed("/movies/sync/1", 8),
    "full-pool": closed("/sync-delay/0.2", 60, target={"threads": 40}),
    "client-limited": closed("/null", 32, client={"strategy": "httpx"}),
    "open-load": {"workload": {"streams": [stream("/async-delay/0.02", OPEN)]}},
}


class Started(NamedTuple):
    """A dashboard, and what its requests carry: its token, where it asks for one."""

    url: str
    headers: dict[str, str]

    def asked(self, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        body = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/json", **self.headers}
        with urllib.request.urlopen(
            urllib.request.Request(self.url + path, body, headers)
        ) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


@contextlib.contextmanager
def dashboard(folder: str) -> Iterator[Started]:
    command = [sys.executable, "-m", "control_plane", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        try:
            url = next(word for word in words if word.startswith("http://"))
            yield Started(url, token_headers(Path(folder) / "runs.db"))
        finally:
            process.terminate()


def ran(started: Started, spec: dict[str, Any]) -> dict[str, Any]:
    run = started.asked("/api/runs", spec)
    until_s = time.monotonic() + WITHIN_S
    while run["state"] not in ("finished", "failed") and time.monotonic() < until_s:
        time.sleep(0.5)
        run = started.asked(f"/api/runs/{run['id']}")
    return run


def take(browser: Browser, started: Started, path: str, place: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": HEIGHT}, color_scheme="light")
    page.set_extra_http_headers(started.headers)
    page.goto(started.url + path)
    page.wait_for_selector(".js-plotly-plot, svg.main-svg")
    page.screenshot(path=place)
    page.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.pictures")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SPECS))
    parser.add_argument("--folder", type=Path, default=IMAGES)
    given = parser.parse_args()
    left = made(given.folder, {name: SPECS[name] for name in given.names or SPECS})
    if left:
        print(f"left out: {', '.join(left)}", file=sys.stderr)
    return 1 if left else 0


def made(folder: Path, specs: dict[str, dict[str, Any]]) -> list[str]:
    """The names of those that are left out."""
    left = []
    with (
        tempfile.TemporaryDirectory() as place,
        dashboard(place) as started,
        sync_playwright() as playing,
    ):
        path = str(CHROMIUM) if CHROMIUM.exists() else None
        browser = playing.chromium.launch(executable_path=path)
        for name, spec in specs.items():
            run = ran(started, spec)
            fired = {reason["gate"] for reason in (run["validity"] or {"reasons": []})["reasons"]}
            print(f"{name}: {run['state']}, {', '.join(sorted(fired)) or 'valid'}", flush=True)
            if run["state"] != "finished" or "other_load" in fired:
                left.append(name)
                continue
            take(browser, started, f"/runs/{run['id']}", folder / f"{name}.png")
        browser.close()
    return left


if __name__ == "__main__":
    sys.exit(main())
