from control_plane.domain.stream_record import Second
from control_plane.load.clock import clock_ns
from control_plane.load.reporter import Reporter
from control_plane.load.request_source import RequestSource
from control_plane.load.strategies import StrategyContext
from control_plane.load.strategies.kept_connections import ConnectionCounter
from control_plane.load.window_stats import WindowStats
from control_plane.load.worker import StreamDriver
from control_plane.load.worker_protocol import Message, Seeds
from tests.load.workers import plan_of

FAST = {"model": "open", "rate_per_s": 5_000}


def test_what_was_due_is_counted_while_requests_outlive_their_deadlines() -> None:
    """No user ever says that it is through."""
    plan = plan_of(
        "http://127.0.0.1:1", load=FAST, stop={"duration_s": 0.2}, timeout_s=0.1, warmup_s=0.1
    )
    stats = WindowStats(plan.traits)
    context = StrategyContext(
        plan, RequestSource(plan.stream.requests, Seeds.of(1)), stats.buffer, ConnectionCounter()
    )
    messages: list[Message] = []
    reporter, driver = Reporter(context, stats, messages.append), StreamDriver(plan, clock_ns())
    window_ns = driver.window_ns()
    assert window_ns
    reporter.open(*window_ns)
    context.samples.begin(0, window_ns[0], window_ns[0])
    record = reporter.run("requests", driver.arrivals())
    assert record
    assert (record.intended, record.sent, len(record.in_flight_ns)) == (1_000, 1, 1)
    (second,) = (told for told in messages if isinstance(told, Second) and told.index >= 0)
    assert (second.intended, second.sent) == (1_000, 1)
