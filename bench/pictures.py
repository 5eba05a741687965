"""The pictures of README and documentation, from real runs: `python -m bench.pictures [NAME ...]`.

A dashboard of their own measures what they show; names choose some of them. A result in which other
programs took processor time is left out: take it again on a machine that does nothing else.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from control_plane.dashboard_client import token_headers

IMAGES = Path(__file__).parents[1] / "docs" / "images"
CHROMIUM = Path("/usr/bin/chromium")
SECONDS = 8.0
LIVE_S, SHOWN_AFTER_S = 30.0, 14.0
WITHIN_S = 240.0
WHOLE, FIRST_SCREEN = 2_200, 1_000
"""Pixels: down to the end of the percentiles, and what a person sees without scrolling."""
RUNS_BESIDE_STEP = 8
DRAWN = """() => [...document.querySelectorAll("lab-figure")]
  .every((figure) => figure.querySelector(".main-svg"))"""

SHOP = """import asyncio

from fastapi import FastAPI

app = FastAPI()


@app.get("/basket")
async def basket() -> dict[str, int]:
    await asyncio.sleep({wait_s})
    return {{"items": 3}}
"""
APPLICATION = '[applications.shop]\napp = "shop:app"\n'


def stream(path: str, load: dict[str, Any], seconds: float = SECONDS) -> dict[str, Any]:
    return {"requests": [{"path": path}], "load": load, "stop": {"duration_s": seconds}}


def closed(path: str, users: int, seconds: float = SECONDS, **rest: Any) -> dict[str, Any]:
    load = {"model": "closed", "concurrency": users}
    return {"workload": {"streams": [stream(path, load, seconds)]}, **rest}


OPEN = {"model": "open", "rate_per_s": 300, "arrivals": "poisson", "max_in_flight": 8}
"""Of 380 a second that 8 slots of 21 ms allow: arrivals that come together wait for a slot."""


class Started(NamedTuple):
    """A dashboard, its folder, and what its requests carry: its token, where it asks for one."""

    url: str
    headers: dict[str, str]
    folder: Path

    def asked(self, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        body = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/json", **self.headers}
        with urllib.request.urlopen(
            urllib.request.Request(self.url + path, body, headers)
        ) as response:
            found: dict[str, Any] = json.load(response)
            return found

    def until(self, path: str, states: set[str]) -> dict[str, Any]:
        deadline_s = time.monotonic() + WITHIN_S
        while (found := self.asked(path))["state"] not in states:
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{path} is {found['state']} after {WITHIN_S:g} s")
            time.sleep(0.5)
        return found


class Picture(NamedTuple):
    """`measured` makes the result that is shown: the path of its page, "" where it is left out."""

    measured: Callable[[Started], str]
    height: int = WHOLE


def run_page(started: Started, spec: dict[str, Any]) -> str:
    run = started.asked("/api/runs", spec)
    run = started.until(f"/api/runs/{run['id']}", {"finished", "failed"})
    fired = {reason["gate"] for reason in (run["validity"] or {"reasons": []})["reasons"]}
    print(f"{run['title']}: {run['state']}, {', '.join(sorted(fired)) or 'valid'}", flush=True)
    quiet = run["state"] == "finished" and "other_load" not in fired
    return f"/runs/{run['id']}" if quiet else ""


def experiment_page(started: Started) -> str:
    made = started.asked("/api/experiments/classic/start", {"variant": "quick"})
    path = f"/api/experiments/runs/{made['id']}"
    found = started.until(path, {"finished", "failed", "cancelled"})
    runs = [started.asked(f"/api/runs/{run['id']}") for run in found["runs"]]
    fired = {reason["gate"] for run in runs for reason in run["validity"]["reasons"]}
    print(f"experiment: {found['state']}, {', '.join(sorted(fired)) or 'valid'}", flush=True)
    return "" if "other_load" in fired else f"/experiments/{made['id']}"


def live_page(started: Started) -> str:
    """Return the page of a run that goes on while it is looked at."""
    run = started.asked("/api/runs", closed("/movies/thread/1", 100, LIVE_S, trials=2))
    started.until(f"/api/runs/{run['id']}", {"running"})
    time.sleep(SHOWN_AFTER_S)
    return f"/runs/{run['id']}"


def trend_page(started: Started) -> str:
    """Return the trend of an application that a commit made slower."""
    spec = closed("/basket", 8, 1.5, trials=1, warmup_s=0.3, title="basket")
    spec["target"] = {"application": "shop"}
    (started.folder / "looplab.toml").write_text(APPLICATION)
    _git(started.folder, "init", "--quiet")
    paths = []
    for wait_s, subject in (("0.010", "Show the basket"), ("0.012", "Look each price up")):
        (started.folder / "shop.py").write_text(SHOP.format(wait_s=wait_s))
        _git(started.folder, "add", "shop.py")
        _git(started.folder, "commit", "--quiet", "--message", subject)
        paths += [run_page(started, spec) for _ in range(RUNS_BESIDE_STEP)]
    kept = [path for path in paths if path]
    enough = len(kept) >= 2 * RUNS_BESIDE_STEP - 2
    return kept[-1].replace("/runs/", "/trends/") if enough else ""


def _git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=shop", "-c", "user.email=shop@localhost")
    subprocess.run(("git", "-C", str(folder), *who, *words), check=True)


BLOCKED = closed("/movies/sync/1", 8)
PICTURES = {
    "experiment": Picture(experiment_page, FIRST_SCREEN),
    "cause": Picture(partial(run_page, spec=BLOCKED), FIRST_SCREEN),
    "trend": Picture(trend_page, FIRST_SCREEN),
    "blocked-loop": Picture(partial(run_page, spec=BLOCKED)),
    "full-pool": Picture(
        partial(run_page, spec=closed("/sync-delay/0.2", 80, target={"threads": 40}))
    ),
    "client-limited": Picture(
        partial(run_page, spec=closed("/null", 32, client={"strategy": "httpx"}))
    ),
    "open-load": Picture(
        partial(run_page, spec={"workload": {"streams": [stream("/async-delay/0.02", OPEN)]}})
    ),
    "live": Picture(live_page, FIRST_SCREEN),
}


@contextlib.contextmanager
def dashboard(folder: Path) -> Iterator[Started]:
    command = [sys.executable, "-m", "control_plane", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        try:
            url = next(word for word in words if word.startswith("http://"))
            yield Started(url, token_headers(folder / "runs.db"), folder)
        finally:
            process.terminate()


def take(browser: Browser, started: Started, path: str, height: int) -> bytes:
    """Return the top of a page as PNG, in the 256 colours that tell it best."""
    page = browser.new_page(viewport={"width": 1280, "height": height}, color_scheme="light")
    page.set_extra_http_headers(started.headers)
    page.goto(started.url + path)
    page.wait_for_selector(".js-plotly-plot, svg.main-svg")
    page.wait_for_function(DRAWN)
    shot = Image.open(BytesIO(page.screenshot())).convert("RGB")
    page.close()
    file = BytesIO()
    shot.quantize(256, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.pictures")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    parser.add_argument("--folder", type=Path, default=IMAGES)
    given = parser.parse_args()
    left = made(given.folder, {name: PICTURES[name] for name in given.names or PICTURES})
    if left:
        print(f"left out: {', '.join(left)}", file=sys.stderr)
    return 1 if left else 0


def made(folder: Path, pictures: dict[str, Picture]) -> list[str]:
    """The names of those that are left out."""
    left = []
    with (
        tempfile.TemporaryDirectory() as place,
        dashboard(Path(place)) as started,
        sync_playwright() as playing,
    ):
        path = str(CHROMIUM) if CHROMIUM.exists() else None
        browser = playing.chromium.launch(executable_path=path)
        for name, picture in pictures.items():
            shown = picture.measured(started)
            if shown:
                png = take(browser, started, shown, picture.height)
                (folder / f"{name}.png").write_bytes(png)
            else:
                left.append(name)
        browser.close()
    return left


if __name__ == "__main__":
    sys.exit(main())
