"""Load models that are wrong, as parts of a stream."""

from typing import Any

LOADS: dict[str, Any] = {
    **{
        name: {"load": {"model": "open", "rate_per_s": rate}}
        for name, rate in {
            "rate 0": 0,
            "rate negative": -5,
            "rate 0.09": 0.09,
            "rate 200,001": 200_001,
            "rate text": "100",
            "rate true": True,
            "rate null": None,
            "rate 1e308": 1e308,
            "no steps": [],
            "101 steps": [{"rate_per_s": 1, "duration_s": 1}] * 101,
            "step without duration": [{"rate_per_s": 1}],
            "step of 0 s": [{"rate_per_s": 1, "duration_s": 0}],
            "step of 10^9 s": [{"rate_per_s": 1, "duration_s": 1e9}],
            "step of rate 0": [{"rate_per_s": 0, "duration_s": 1}],
            "step with more": [{"rate_per_s": 1, "duration_s": 1, "to": 2}],
            "steps of numbers": [1, 2],
            "rate object": {"rate_per_s": 1, "duration_s": 1},
        }.items()
    },
    "open without rate": {"load": {"model": "open"}},
    "open with users": {"load": {"model": "open", "rate_per_s": 1, "concurrency": 5}},
    "arrivals unknown": {"load": {"model": "open", "rate_per_s": 1, "arrivals": "pareto"}},
    "arrivals null": {"load": {"model": "open", "rate_per_s": 1, "arrivals": None}},
    "0 in flight": {"load": {"model": "open", "rate_per_s": 1, "max_in_flight": 0}},
    "2,001 in flight": {"load": {"model": "open", "rate_per_s": 1, "max_in_flight": 2_001}},
    "half in flight": {"load": {"model": "open", "rate_per_s": 1, "max_in_flight": 0.5}},
    "periodic without interval": {"load": {"model": "periodic"}},
    "interval 0": {"load": {"model": "periodic", "interval_s": 0}},
    "interval negative": {"load": {"model": "periodic", "interval_s": -1}},
    "interval 10^9": {"load": {"model": "periodic", "interval_s": 1e9}},
    "interval text": {"load": {"model": "periodic", "interval_s": "1"}},
    "periodic of 2,001": {"load": {"model": "periodic", "interval_s": 1, "concurrency": 2_001}},
    "periodic with a rate": {"load": {"model": "periodic", "interval_s": 1, "rate_per_s": 5}},
}
