"""The client strategies: a line in this table and a file in the load worker make one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal


@dataclass(frozen=True)
class StrategyInfo:
    """What the product knows of a strategy.

    `line` says in a few words what it is. `usual_per_s` is the requests per second on one core
    while no run of the kind has finished here. `made_by` names module and class in the load worker.
    `threads`: each user is a thread. `alone`: there is one user, who sends one request at a time.
    """

    library: str
    line: str
    usual_per_s: float
    made_by: str
    threads: bool = False
    alone: bool = False


STRATEGIES: dict[str, StrategyInfo] = {
    "async": StrategyInfo("aiohttp", "one event loop", 8_000, "aiohttp_client:AiohttpClient"),
    "threaded": StrategyInfo(
        "requests", "a pool of threads", 1_500, "requests_client:ThreadedClient", threads=True
    ),
    "blocking": StrategyInfo(
        "requests", "one at a time", 1_600, "requests_client:BlockingClient", alone=True
    ),
    "httpx": StrategyInfo(
        "httpx", "AsyncClient in one event loop", 1_000, "httpx_client:HttpxClient"
    ),
    "raw": StrategyInfo(
        "httptools", "for loads beyond what libraries reach", 15_000, "raw_client:RawClient"
    ),
}

if TYPE_CHECKING:
    StrategyName = str
else:
    StrategyName = Literal[*STRATEGIES]

CLIENT_PACKAGES = {"uvloop", "httptools", "aiohttp", "requests", "urllib3", "httpx"}
"""Packages of the load worker, which runs in our interpreter whatever the target is."""
