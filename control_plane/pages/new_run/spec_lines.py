"""A document as readable JSON, line by line, with the lines of wrong fields marked."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

WIDTH = 46
"""What fits beside the form; a value that is shorter stands on one line."""


@dataclass(frozen=True)
class Line:
    text: str
    wrong: bool


def spec_lines(document: Any, wrong: Collection[str] = ()) -> tuple[Line, ...]:
    """`wrong` holds dotted paths, `workload.streams.0.load.concurrency`. The lines join to JSON."""
    return tuple(_Writer(frozenset(wrong)).lines(document, "", "", "", ""))


@dataclass(frozen=True)
class _Writer:
    wrong: frozenset[str]

    def lines(self, value: Any, path: str, indent: str, before: str, after: str) -> Iterator[Line]:
        """`before` and `after` stand around the value on its first and last line."""
        flat = f"{indent}{before}{json.dumps(value, ensure_ascii=False)}{after}"
        if not isinstance(value, dict | list) or not value or len(flat) <= WIDTH:
            yield Line(flat, self._is_wrong(path))
            return
        if isinstance(value, list) and len(value) == 1:
            yield from self.lines(value[0], f"{path}.0", indent, f"{before}[", f"]{after}")
            return
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        yield Line(f"{indent}{before}{opening}", path in self.wrong)
        named = value.items() if isinstance(value, dict) else enumerate(value)
        for at, (key, inner) in enumerate(named):
            below = f"{path}.{key}" if path else str(key)
            label = f"{json.dumps(key, ensure_ascii=False)}: " if isinstance(key, str) else ""
            comma = "," if at < len(value) - 1 else ""
            yield from self.lines(inner, below, f"{indent}  ", label, comma)
        yield Line(f"{indent}{closing}{after}", wrong=False)

    def _is_wrong(self, path: str) -> bool:
        """A value on one line stands for everything in it."""
        return any(one == path or one.startswith(f"{path}.") for one in self.wrong if path)
