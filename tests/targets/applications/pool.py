"""Answers from the threads that AnyIO lends, where the rest of them is there too."""

import threading
import time

from fastapi import FastAPI

EXPECTED = 4
app = FastAPI()
together = threading.Barrier(EXPECTED)
lock = threading.Lock()
counts = {"now": 0, "most": 0}


@app.get("/together")
def meet() -> int:
    """How many there have been at once, when as many as are expected have come."""
    with lock:
        counts["now"] += 1
        counts["most"] = max(counts.values())
    together.wait(timeout=5)
    time.sleep(0.1)
    with lock:
        counts["now"] -= 1
        return counts["most"]


@app.get("/")
async def ready() -> None:
    return None
