"""The metrics that runs are compared by."""

from control_plane.domain.metrics_and_objectives import METRIC, METRICS


def test_every_metric_of_the_contract():
    times = {
        f"{kind}_time_s.{point}"
        for kind in ("service", "response", "first_byte")
        for point in ("mean", "p50", "p90", "p95", "p99", "max")
    }
    others = {
        "duration_s",
        "throughput_per_s",
        "error_share",
        "bytes_received_per_request",
        "cpu_s_per_request",
        "peak_memory_bytes",
    }
    assert set(METRIC) == times | others
    assert len(METRICS) == len(METRIC)


def test_more_is_better_for_throughput_alone():
    more = [metric.name for metric in METRICS if metric.less_is_better is False]
    assert more == ["throughput_per_s"]


def test_neither_more_nor_less_is_better_for_the_size_of_answers():
    assert [metric.name for metric in METRICS if metric.less_is_better is None] == [
        "bytes_received_per_request"
    ]


def test_each_meaning_is_a_sentence_of_its_own():
    meanings = [metric.meaning for metric in METRICS]
    assert len(set(meanings)) == len(meanings)
    assert all(meaning.endswith(".") for meaning in meanings)
