"""The look inside: runs in the interpreter of a target, whichever it is (Python 3.8 and later)."""

from __future__ import annotations

import functools
from typing import Any, Callable, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def never_raise(function: Function) -> Function:
    """Return `function`, which returns None instead of raising."""

    @functools.wraps(function)
    def attempt(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception:  # noqa: BLE001 - whatever it is, the target does not know of the probe
            return None

    return attempt  # type: ignore[return-value]  # ParamSpec came with Python 3.10
