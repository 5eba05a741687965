"""A run that is under way, from a real dashboard, target and load worker."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from control_plane.domain.observations import Gauges
from control_plane.domain.result import Progress, Timeline
from control_plane.domain.run import Live, LiveStream
from control_plane.jobs.progress_and_expected_time import Phases
from control_plane.pages.run.live import LIVE_POLL_S, live_fragment
from control_plane.pages.site import SHARED_PART
from tests.builders.runs import ASYNC, detail_of, gauges_of, items
from tests.dashboard import BARE, Dashboard, items_spec, long_spec, until
from tests.pages.stored import Stored, figures, words


def test_a_live_run_from_the_queue_to_its_end(stored: Stored) -> None:
    looplab = stored.looplab
    first, second = looplab.submit(long_spec(title="first")), looplab.submit(items_spec(**BARE))
    looplab.until_state(first, {"running"})
    waiting = words(stored.page(f"/runs/{second}"))
    assert "Next in the queue: it starts as soon as nothing else is under way." in waiting

    page = stored.page(f"/runs/{first}")
    assert f'hx-get="/runs/{first}/live"' in page
    assert f'action="/runs/{first}/cancel"' in page
    assert list(figures(page))[:2] == ["live-throughput", "live-response"]

    def measured() -> str:
        said = stored.page(f"/runs/{first}/live")
        whole = all(part in said for part in ("samples above it", "live-lag"))
        return said if whole and "So far: nothing" not in said else ""

    fragment = until(measured, "numbers of the first seconds")
    assert fragment.lstrip().startswith('<div id="live"')
    assert "<html" not in fragment
    assert re.search(r'hx-trigger="every [1-9][0-9]{3,4}ms"', fragment)
    assert "measuring, " in fragment
    assert "of 120\N{NO-BREAK SPACE}s" in fragment
    assert "Uvicorn running on" in fragment
    tiles = ["State", "Throughput", "p50", "p95", "p99", "Errors", "Sent"]
    tiles += ["Target CPU", "Client CPU", "Loop lag"]
    assert re.findall(r"<dt>(?:<svg.*?</svg>)?(.*?)</dt>", fragment) == tiles
    assert "users decide when" in words(fragment)
    assert list(figures(fragment))[2:] == ["live-cpu", "live-lag"]

    many_viewers(looplab, f"/runs/{first}/live")

    answer = looplab.post(f"/runs/{first}/cancel")
    assert answer.url.path == f"/runs/{first}"
    assert "Cancelled" in answer.text

    def over() -> bool:
        return looplab.get(f"/runs/{first}/live").headers.get("hx-refresh") == "true"

    until(over, "the fragment asks for the result")
    assert looplab.get(f"/runs/{first}/live").status_code == 204
    looplab.finished(second)


def test_no_tile_comes_or_goes_while_a_run_goes_on() -> None:
    """Each time all the others would move."""
    running = detail_of(items(), ASYNC).run
    progress = Progress("running", 1, 3, 0.1, 10.0, None)
    line = Timeline((160,), (0,), (0.6,), (0.7,), (0.8,), 1.0)
    stream = LiveStream("items", 160, 0, None, None, line)
    looked = gauges_of(ASYNC, 2.0)
    seen = [
        Live(running.id, progress, 1.0, (stream,), each, ())
        for each in (Gauges(0.5, ()), looked, replace(looked, workers=()))
    ]
    shown = [live_fragment(running, progress, each, Phases(1, 1, 5)).tiles for each in seen]
    labels = [[tile.label for tile in tiles] for tiles in shown]
    assert labels[0] == labels[1] == labels[2]
    lag = [tiles[-1] for tiles in shown]
    assert [(tile.label, tile.state) for tile in lag] == [
        ("Loop lag", state) for state in ("hidden", "full", "hidden")
    ]


def many_viewers(looplab: Dashboard, path: str) -> None:
    """Its progress moves all the time, so that each rendering is another text."""
    begun_s = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: looplab.get(path).content, range(48)))
    renderings = (time.monotonic() - begun_s) / (SHARED_PART * LIVE_POLL_S)
    assert len(set(seen)) <= 2 + renderings


def test_after_the_window_it_says_what_is_awaited(stored: Stored) -> None:
    """Ten answers a second, each two seconds late: none of them comes in the window."""
    looplab = stored.looplab
    spec = items_spec(warmup_s=1)
    spec["workload"]["streams"][0] |= {
        "requests": [{"path": "/async-delay/2"}],
        "load": {"model": "open", "rate_per_s": 10},
        "stop": {"duration_s": 2},
    }
    run_id = looplab.submit(spec)

    def awaited() -> str:
        said = stored.page(f"/runs/{run_id}/live")
        return said if "waiting for" in said else ""

    fragment = until(awaited, "the end of the window")
    assert re.search(r"waiting for \d+ open requests, 10 s at most", words(fragment))
    assert "Grey: warm-up." in words(fragment)
    assert re.search(r"Sent \S+ % of 10 intended", words(fragment))
    assert "live-sent" in figures(fragment)
    assert figures(fragment)["live-throughput"]["layout"]["xaxis"]["range"] == [-1, 2]
    (stream,) = looplab.finished(run_id)["streams"]
    assert 1 < stream["completed"] == stream["sent"] <= 20


def test_cancelling_what_is_over_shows_it(stored: Stored) -> None:
    run_id = stored.runs.classic[0]
    answer = stored.looplab.post(f"/runs/{run_id}/cancel")
    assert (answer.status_code, answer.url.path) == (200, f"/runs/{run_id}")
