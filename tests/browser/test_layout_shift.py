"""Nothing moves under the eyes of a browser that comes for the first time."""

from playwright.sync_api import expect

from tests.browser.conftest import POLL_MS, OpenPage
from tests.browser.test_results import WIDE, opened
from tests.dashboard import items_spec
from tests.pages.stored import Stored

SUM_SHIFTS = """
new PerformanceObserver((list) => {
  const more = list.getEntries().reduce((sum, entry) => sum + entry.value, 0);
  sessionStorage.shifted = Number(sessionStorage.shifted ?? 0) + more;
}).observe({ type: "layout-shift", buffered: true });
"""
"""Adds up what the layout shifted, from page to page."""
FROM_CACHE = """() => performance.getEntriesByType("resource")
  .filter((entry) => entry.name.includes("/static/") && entry.transferSize === 0)
  .map((entry) => entry.name)"""
"""What of the site was there already, which moves less."""


def test_all_panels_of_a_run_are_drawn_and_nothing_moves(
    open_page: OpenPage, stored: Stored
) -> None:
    page = opened(open_page(viewport=WIDE, first_visit=True), stored, "blocked")
    assert page.evaluate(FROM_CACHE) == []
    timeline = page.locator("#timeline")
    expect(timeline.locator(".heatmaplayer image")).to_have_count(2)
    for title in ("Response time of small", "Event-loop lag", "Thread-pool tokens"):
        expect(timeline.locator(".annotation-text", has_text=title)).to_have_count(1)
    warm = timeline.locator(".shapelayer path").evaluate_all(
        "(all) => all.map((label) => getComputedStyle(label).fill)"
    )
    assert "rgb(180, 83, 9)" in warm
    shifted = page.evaluate(
        """() => new Promise((done) => new PerformanceObserver((list) => done(
          list.getEntries().reduce((sum, entry) => sum + entry.value, 0)))
          .observe({type: "layout-shift", buffered: true}) ?? setTimeout(() => done(0), 200))"""
    )
    assert shifted < 0.01


def test_a_live_run_is_drawn_in_place_and_becomes_its_result(
    open_page: OpenPage, stored: Stored
) -> None:
    page = open_page(viewport=WIDE, first_visit=True)
    looplab = stored.looplab
    spec = items_spec(title="watched", trials=2)
    (stream,) = spec["workload"]["streams"]
    stream["stop"], stream["load"]["think_time_s"] = {"duration_s": 6}, 0.02
    run_id = looplab.submit(spec)
    page.context.add_init_script(SUM_SHIFTS)
    page.goto(f"{looplab.url}/runs/{run_id}")
    expect(page.locator("h1")).to_have_text("watched")
    assert page.evaluate(FROM_CACHE) == []
    drawn = page.locator("#live-throughput .js-line")
    expect(drawn.first).to_be_attached(timeout=15_000)
    page.evaluate("""() => {
      window.kept = document.querySelector("#live-throughput .js-plotly-plot");
      window.before = window.kept.data[0].x.length;
    }""")
    page.wait_for_function(
        "() => window.kept.data[0].x.length > window.before", timeout=10_000, polling=POLL_MS
    )
    assert page.evaluate(
        """() => window.kept === document.querySelector("#live-throughput .js-plotly-plot")"""
    )
    expect(page.locator("#run h1")).to_contain_text("Half of the GET ", timeout=40_000)
    expect(page.locator("#percentiles .main-svg").first).to_be_attached()
    assert page.evaluate("Number(sessionStorage.shifted ?? 0)") <= 0.005
    looplab.finished(run_id)
