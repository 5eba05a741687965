"""Spec documents, as a program sends them, with one part changed."""

import copy
from typing import Any

Document = dict[str, Any]

SMALLEST: Document = {
    "workload": {
        "streams": [
            {
                "requests": [{"path": "/items/{n}", "values": {"n": {"kind": "uuid"}}}],
                "load": {"model": "closed", "concurrency": 4},
                "stop": {"requests": 100},
            }
        ]
    }
}


def changed(path: str, value: Any) -> Document:
    """The smallest document with `value` at the dotted path; missing objects are made."""
    document = copy.deepcopy(SMALLEST)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    node: Any = document
    for part in parents:
        node = node.setdefault(part, {}) if isinstance(node, dict) else node[part]
    node[last] = value
    return document


def load(**values: Any) -> Document:
    """With this load model, and a stop by requests."""
    return changed("workload.streams.0.load", values)
