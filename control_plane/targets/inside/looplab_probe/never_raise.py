"""A fault of the probe is never one of the target."""

from __future__ import annotations

import functools
from typing import Any, Callable, TypeVar

Work = TypeVar("Work", bound=Callable[..., Any])


def never_raise(work: Work) -> Work:
    """Let `work` return None instead of failing."""

    @functools.wraps(work)
    def attempt(*given: Any, **named: Any) -> Any:
        try:
            return work(*given, **named)
        except Exception:  # noqa: BLE001 - whatever it is, the target does not know of the probe
            return None

    return attempt  # type: ignore[return-value]  # ParamSpec came with Python 3.10
