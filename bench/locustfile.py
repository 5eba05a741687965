"""What Locust runs: users who ask for one path without a pause, measured after a warm-up.

It runs in Locust's own environment, with BENCH_PATH and BENCH_SECONDS.
"""

import json
import os
import time
from typing import Any

import gevent
from locust import FastHttpUser, events, task

WARMUP_S = 1.0


class Asker(FastHttpUser):
    @task
    def ask(self) -> None:
        self.client.get(os.environ["BENCH_PATH"])


@events.test_start.add_listener
def begin(environment: Any, **given: Any) -> None:
    del given
    gevent.spawn(measure, environment)


def measure(environment: Any) -> None:
    gevent.sleep(WARMUP_S)
    environment.stats.reset_all()
    began_s, cpu_s = time.monotonic(), time.process_time()
    gevent.sleep(float(os.environ["BENCH_SECONDS"]))
    total = environment.stats.total
    told = {
        "requests": total.num_requests,
        "failures": total.num_failures,
        "spent_s": time.monotonic() - began_s,
        "cpu_s": time.process_time() - cpu_s,
        "p50_s": total.get_response_time_percentile(0.5) / 1_000,
    }
    print("BENCH", json.dumps(told), flush=True)
    environment.runner.quit()
