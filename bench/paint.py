"""How soon pages stand and how much comes over the wire, in a headless Chromium over loopback.

    python -m bench.paint [--times 5]

Each page is opened with an empty cache, as on a first visit. Printed are the largest contentful
paint and what the layout shifted (as Core Web Vitals define both), and the bytes as they were sent.
It needs Chromium, and a machine that does nothing else.
"""

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bench.pairs import verdict
from control_plane.store.store import open_store
from tests.browser.conftest import ARGUMENTS, chromium
from tests.builders.runs import classic, finished
from tests.dashboard import dashboard

WATCH = """
window.seen = { paint: 0, shift: 0 };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.seen.paint = entry.startTime;
}).observe({ type: "largest-contentful-paint", buffered: true });
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) if (!each.hadRecentInput) window.seen.shift += each.value;
}).observe({ type: "layout-shift", buffered: true });
"""

PAINT_S, SHIFT, FIRST_KB, COMPARE_KB = 1.0, 0.02, 80.0, 650.0
AT_REST_MS = 700
"""What still moves after the last response has moved by then."""


@dataclass(frozen=True)
class Visit:
    """A first visit: seconds to the largest paint, what shifted, kilobytes that came."""

    paint_s: float
    shift: float
    kilobytes: float


def main() -> int:
    """Fill a database, start a dashboard on it, visit its pages and hold them to their figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=5, help="how often each page is opened")
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "runs.db")
        shapes = classic()
        ids = [finished(store, *shapes[at % len(shapes)]).id for at in range(12)]
        store.close()
        with dashboard(Path(folder)) as looplab, sync_playwright() as playing:
            browser = playing.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
            paths = {
                "home": "/",
                "new run": "/runs/new",
                "history": "/history",
                "experiments": "/experiments",
                "targets": "/targets",
                "run": f"/runs/{ids[0]}",
                "compare of 2": f"/compare?runs={','.join(ids[:2])}",
                "compare of 12": f"/compare?runs={','.join(ids)}",
            }
            seen = {
                name: [visited(browser, looplab.url + path) for _ in range(times)]
                for name, path in paths.items()
            }
            browser.close()
    return 0 if shown(seen) else 1


def visited(browser: Browser, url: str) -> Visit:
    """Open a page with an empty cache, and close it when nothing more comes."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(WATCH)
    page = context.new_page()
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    sizes: list[float] = []
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(url, wait_until="networkidle")
    page.wait_for_timeout(AT_REST_MS)
    found = page.evaluate("window.seen")
    context.close()
    return Visit(found["paint"] / 1e3, found["shift"], sum(sizes) / 1e3)


def shown(seen: dict[str, list[Visit]]) -> bool:
    """Print medians of each page, and the figures; return whether all of them are reached."""
    print(f"{'page':16} {'largest paint':>14} {'shift':>8} {'transfer':>10}")
    for name, visits in seen.items():
        paint_s = statistics.median(visit.paint_s for visit in visits)
        shift = max(visit.shift for visit in visits)
        kilobytes = statistics.median(visit.kilobytes for visit in visits)
        print(f"{name:16} {paint_s:12.3f} s {shift:8.4f} {kilobytes:7.1f} kB")
    compare = seen["compare of 2"]
    reached = [
        verdict(
            "largest paint of a comparison, s",
            statistics.median(visit.paint_s for visit in compare),
            PAINT_S,
            most=True,
        ),
        verdict(
            "layout shift of any page",
            max(visit.shift for visits in seen.values() for visit in visits),
            SHIFT,
            most=True,
        ),
        verdict("first page without charts, kB", seen["home"][0].kilobytes, FIRST_KB, most=True),
        verdict(
            "comparison with charts, kB",
            max(visit.kilobytes for name in seen for visit in seen[name] if "compare" in name),
            COMPARE_KB,
            most=True,
        ),
    ]
    return all(reached)


if __name__ == "__main__":
    sys.exit(main())
