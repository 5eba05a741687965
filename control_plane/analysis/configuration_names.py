"""Whether runs whose configurations are called alike, or otherwise, have the same settings."""

from collections.abc import Sequence
from typing import Any

Named = tuple[str, str, Any]
"""What a run is called here, the name of its configuration, and the target with all its fields."""


def configuration_names(runs: Sequence[Named]) -> tuple[str, ...]:
    """The names, in order; `my fast (same settings as A)` where an earlier run has another name
    for them, `my fast (other settings than A)` where its name stands for something else."""
    return tuple(_words(one, runs[:index]) for index, one in enumerate(runs))


def _words(run: Named, earlier: Sequence[Named]) -> str:
    _, name, target = run
    for other, other_name, other_target in earlier:
        if other_name == name and other_target != target:
            return f"{name} (other settings than {other})"
        if other_name != name and other_target == target:
            return f"{name} (same settings as {other})"
    return name
