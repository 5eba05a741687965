"""The client strategies by their name in the spec: one file each.

A strategy is imported when it is chosen, so that a load worker holds one client library only.
"""

from importlib import import_module

from control_plane.load.strategies.strategy import Gear, Strategy

STRATEGIES = {
    "async": "aiohttp_client:AiohttpClient",
    "threaded": "threaded:Threaded",
    "blocking": "blocking:Blocking",
}


def make(gear: Gear) -> Strategy:
    """The strategy that the plan of `gear` names."""
    module, _, name = STRATEGIES[gear.plan.client.strategy].partition(":")
    strategy: Strategy = getattr(import_module(f"{__name__}.{module}"), name)(gear)
    return strategy
