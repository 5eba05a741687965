"""The client strategies by their name in the spec: one file each.

A strategy is imported when it is made, so that a load worker holds one client library only.
"""

from importlib import import_module

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.load.strategies.strategy import Strategy, StrategyContext


def make_strategy(context: StrategyContext) -> Strategy:
    """Return the strategy that the plan of `context` names."""
    module, _, name = STRATEGIES[context.plan.client.strategy].made_by.partition(":")
    strategy: Strategy = getattr(import_module(f"{__name__}.{module}"), name)(context)
    return strategy
