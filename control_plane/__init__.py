"""Looplab: runs and compares HTTP concurrency benchmarks in the browser."""

import gc

__version__ = "0.1.0"

NEW_OBJECTS = 20_000
"""How many new objects a process of ours makes before it looks for garbage among them.

Imports make them by the hundred thousand, samples come and go by the thousand, and neither leaves a
cycle: looking every 700 objects, as Python does, would be a third of a command's work.
"""


NEW_OBJECTS_OF_PAGES = 100_000
"""The same of a dashboard: a comparison of long runs makes as many, and leaves none. What a run
leaves is collected before the next one."""


def collect_from_now(new_objects: int = NEW_OBJECTS) -> None:
    """Look for garbage from now on, and never among what imports made, where there is none."""
    gc.freeze()
    gc.set_threshold(new_objects)
    gc.enable()
