"""Heaps of response times: where requests of one kind lie close together."""

import math
from dataclasses import dataclass

import numpy as np

from control_plane.analysis.charts.axes import Floats
from control_plane.analysis.charts.curve import Curve

VALLEY = 0.001
"""A bar below this share of requests is empty enough to part two modes."""

SMALLEST_MODE = 0.03

NEAR = math.log10(1.5)
"""Decades to either side of a mode that count as near it."""

MOSTLY_NEAR = 0.5
"""With less than this of its requests near its mode, a heap has no one place: no phrase."""

HUMP = 0.7
"""Nor with a bar further away that is this high, compared to the highest."""

KINDS_FROM = 100
"""Of fewer requests no heap is called a kind: some chance ones are none."""


@dataclass(frozen=True)
class Bins:
    """`edges` in decades of a second, shape (n + 1,); `shares` of all requests, shape (n,)."""

    curve: Curve
    edges: Floats
    shares: Floats


@dataclass(frozen=True)
class Mode:
    """A heap of requests between two valleys: its share and the middle of its highest bar.

    `near` is the share of all requests within a factor of 1.5 of that middle, `beyond` the
    height of the highest bar of the heap further away.
    """

    share: float
    near: float
    at_s: float
    height: float
    beyond: float

    @property
    def one_place(self) -> bool:
        return self.near >= MOSTLY_NEAR * self.share and self.beyond < HUMP * self.height


def modes(bins: Bins) -> list[Mode]:
    """Heaps of at least 3 % of the requests, the quickest first."""
    centres = (bins.edges[:-1] + bins.edges[1:]) / 2
    full = np.concatenate([[False], bins.shares >= VALLEY, [False]])
    turns = np.flatnonzero(full[1:] != full[:-1])
    found = []
    for start, end in zip(turns[::2], turns[1::2], strict=True):
        part = bins.shares[start:end]
        top = start + int(part.argmax())
        close = np.abs(centres[start:end] - centres[top]) <= NEAR
        found.append(
            Mode(
                share=float(part.sum()),
                near=float(part[close].sum()),
                at_s=float(10 ** centres[top]),
                height=float(part.max()),
                beyond=float(part[~close].max(initial=0.0)),
            )
        )
    return [mode for mode in found if mode.share >= SMALLEST_MODE]


def told(bins: Bins) -> list[Mode]:
    """The modes, at most three, where most of each heap is near its mode; otherwise none.

    None of fewer than 100 requests.
    """
    if bins.curve.samples.total < KINDS_FROM:
        return []
    found = modes(bins)
    return found if len(found) <= 3 and all(one.one_place for one in found) else []
