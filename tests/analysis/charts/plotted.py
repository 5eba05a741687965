"""Figures held against Plotly itself, with the colours of the light sheet in place of tokens."""

import json
import re
from typing import Any

import plotly.graph_objects as go

from control_plane.analysis.charts.figure import Figure

TOKENS = {
    *(f"run-{number}" for number in range(1, 7)),
    *(f"run-{number}-text" for number in range(1, 7)),
    "ink", "ink-2", "ink-3", "line", "line-2", "well", "well-2", "paper", "bad", "warn",
    "cause", *(f"q{step}" for step in range(1, 10)),
}  # fmt: skip
CRAMPED = re.compile(r"\} ?(?:s|ms|µs|MB|%(?!\{))")
"""A unit that hovering would set without a no-break space before it."""

HOVERS = {"$time", "$rate", "$share", "$percentile", "$shift", "$requests", "$own"}
"""What the page's script writes of each value, point or cell."""

TOKEN = re.compile(r"\$([a-z0-9-]+)(?:/([0-9.]+))?")


def resolved(node: Any) -> Any:
    """As the page's script does it; a token that no sheet has is an error."""
    if isinstance(node, dict):
        return {key: resolved(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [resolved(value) for value in node]
    if isinstance(node, str) and node in HOVERS:
        return ["written"]
    found = TOKEN.fullmatch(node) if isinstance(node, str) else None
    if found is None:
        return node
    assert found[1] in TOKENS, node
    return f"rgba(0,114,178,{found[2] or 1})"


def checked(figure: Figure) -> go.Figure:
    """Raises ValueError where Plotly knows no such key or value; also for the narrow layout."""
    plot = resolved(json.loads(json.dumps(figure.plot, allow_nan=False)))
    for trace in plot["data"]:
        # The page's script takes it out.
        assert len(trace.pop("full", trace.get("z", ()))) == len(trace.get("z", ()))
    go.Figure(data=plot["data"], layout={**plot["layout"], **plot["narrow"]})
    assert set(plot) == {"data", "layout", "narrow"}
    assert not any(CRAMPED.search(trace.get("hovertemplate", "")) for trace in plot["data"])
    assert figure.title
    assert figure.label
    assert all(len(row) == len(figure.table.columns) for row in figure.table.rows)
    return go.Figure(data=plot["data"], layout=plot["layout"])


def annotations(figure: Figure, layout: str = "layout") -> list[str]:
    return [text["text"] for text in figure.plot[layout]["annotations"]]
