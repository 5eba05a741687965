"""The distribution of response times: shares of requests in equal steps of a log axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from control_plane.analysis.charts.curve import Curve
from control_plane.analysis.charts.figure import (
    CHART_HEIGHT,
    LABEL_GAP,
    Annotations,
    Figure,
    Floats,
    Plot,
    Table,
    escaped,
    line,
    log_range,
    plot,
    plot_height,
    short_time,
    time_text,
    time_ticks,
    x_axis,
    zero_based_axis,
)
from control_plane.analysis.prose import joined
from control_plane.domain.histogram import middle_ns
from control_plane.domain.units import SPACE, seconds, share

VALLEY = 0.001
"""A bar below this share of requests is empty enough to part two modes."""

SMALLEST_MODE = 0.03

NEAR_DECADES = math.log10(1.5)
"""Decades to either side of a mode that count as near it."""

MOSTLY_NEAR = 0.5
"""With less than this of its requests near its mode, a heap has no one place: no phrase."""

HUMP = 0.7
"""Nor with a bar further away that is this high, compared to the highest."""

KINDS_FROM = 100
"""Of fewer requests no heap is called a kind: some chance ones are none."""


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
        """Whether most of the heap is near its mode."""
        return self.near >= MOSTLY_NEAR * self.share and self.beyond < HUMP * self.height


@dataclass(frozen=True)
class Bins:
    """The requests of one curve by response time.

    `edges` in decades of a second, shape (n + 1,); `shares` of all requests, shape (n,); `spans`
    are the edges as texts, those of one chart the same for all curves.
    """

    curve: Curve
    edges: Floats
    shares: Floats
    spans: Sequence[str] = ()

    @cached_property
    def modes(self) -> list[Mode]:
        """Heaps of at least 3 % of the requests, the quickest first."""
        centres = (self.edges[:-1] + self.edges[1:]) / 2
        full = np.concatenate([[False], self.shares >= VALLEY, [False]])
        turns = np.flatnonzero(full[1:] != full[:-1])
        found = []
        for start, end in zip(turns[::2], turns[1::2], strict=True):
            part = self.shares[start:end]
            top = start + int(part.argmax())
            close = np.abs(centres[start:end] - centres[top]) <= NEAR_DECADES
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


def described_modes(bins: Bins) -> list[Mode]:
    """Return the modes, at most three, where most of each heap is near its mode; otherwise none.

    None of fewer than 100 requests.
    """
    if bins.curve.samples.total < KINDS_FROM:
        return []
    found = bins.modes
    return found if len(found) <= 3 and all(mode.one_place for mode in found) else []


FINE, COARSE = 20, 10
"""Bars for each decade; the coarse ones where times span more than three decades."""

HILL_LETTERS = 6
"""Letters of a name above a hill on a small screen."""

PHRASE = 0.42
"""Part of a small plot that a phrase takes: two closer than this stand above each other."""

MOST_TEXTS = 3
"""Bars keep this part of the plot, however many names stand above one of them."""


def distribution_chart(curves: Sequence[Curve]) -> Figure:
    """Return bars for one or two curves, laid over each other; outlines for more."""
    low, high = _span(curves)
    steps = FINE if high - low <= 3 else COARSE
    edges = np.arange(np.floor(low * steps), np.floor(high * steps) + 2) / steps
    spans = [f"{low} to {high}" for low, high in pairwise(map(short_time, (10**edges).tolist()))]
    drawn = [Bins(curve, edges, _shares(curve, edges, steps), spans) for curve in curves]
    tallest = max((float(bins.shares.max()) for bins in drawn), default=0.0)
    shape = _bars if len(curves) <= 2 else _outline
    labels = _phrases(drawn[0]) if len(drawn) == 1 else _names(drawn, short=len(drawn) > 2)
    narrow = labels if len(drawn) == 1 else _names(drawn, short=True)
    title, note = _title(drawn)
    top = max(100 * tallest * 1.1, _reach([*labels, *narrow]))
    shares = zero_based_axis(top, ticksuffix=f"{SPACE}%")
    axes = {"xaxis": _time_axis(edges, 4), "yaxis": shares, "barmode": "overlay"}
    bars = [shape(bins, len(curves)) for bins in drawn]
    plotted = plot(bars, axes, Annotations(labels, narrow, right=24))
    plotted["narrow"]["xaxis"] = _time_axis(edges, 4)
    return Figure(
        name="distribution",
        title=title,
        note=note,
        label=f"{title}: {_message(drawn)}",
        plot=plotted,
        table=_table(drawn),
        height=CHART_HEIGHT,
    )


def _span(curves: Sequence[Curve]) -> tuple[float, float]:
    known = [curve.samples for curve in curves if curve.samples.total]
    low = min((max(samples.minimum_ns, 1) for samples in known), default=1_000_000)
    high = max((samples.maximum_ns for samples in known), default=1_000_000_000)
    return float(np.log10(low / 1e9)), float(np.log10(max(high, 1) / 1e9))


def _shares(curve: Curve, edges: Floats, steps: int) -> Floats:
    decades = np.log10(np.maximum(middle_ns(curve.samples.indices), 1) / 1e9)
    bins = np.clip(np.floor((decades - edges[0]) * steps + 1e-9), 0, len(edges) - 2)
    counts = np.bincount(bins.astype(np.int64), curve.samples.counts, len(edges) - 1)
    found: Floats = counts / max(1, curve.samples.total)
    return found


def _bars(bins: Bins, count: int) -> Plot:
    width = float(bins.edges[1] - bins.edges[0])
    return {
        "type": "bar",
        "textposition": "none",
        "x": _centres(bins),
        "y": _percent(bins.shares),
        "width": round(0.86 * width, 5),
        "name": bins.curve.short,
        "marker": {"color": bins.curve.colour if count == 1 else f"{bins.curve.colour}/0.55"},
        "opacity": bins.curve.opacity,
        **_hover(bins),
    }


def _outline(bins: Bins, count: int) -> Plot:
    """Return the outline of the bars; nothing along the floor, where all runs would meet."""
    near = np.convolve(bins.shares > 0, [1, 1, 1], "same") > 0
    heights = [
        value if drawn else None for value, drawn in zip(_percent(bins.shares), near, strict=True)
    ]
    return line(
        _centres(bins),
        heights,
        bins.curve.colour,
        width=2 if count <= 6 else 1.5,
        stroke={"shape": "hvh", "dash": "dash" if bins.curve.dashed else "solid"},
        name=bins.curve.short,
        opacity=bins.curve.opacity,
        **_hover(bins),
    )


def _hover(bins: Bins) -> Plot:
    pairs = zip(bins.spans, bins.shares.tolist(), strict=True)
    return {
        "text": [f"{span}: {100 * value:.2g}{SPACE}%" for span, value in pairs],
        "hovertemplate": "%{fullData.name} %{text}<extra></extra>",
    }


def _centres(bins: Bins) -> list[float]:
    return [float(f"{value:.5g}") for value in ((bins.edges[:-1] + bins.edges[1:]) / 2).tolist()]


def _percent(values: Floats) -> list[float]:
    return [float(f"{value:.3g}") for value in (100 * values).tolist()]


def _time_axis(edges: Floats, most: int) -> Plot:
    """Return a linear axis of decades, so that bars are as wide as they look."""
    bounds = log_range(10 ** float(edges[0]), 10 ** float(edges[-1]))
    ticks = time_ticks(*bounds, most=most)
    places = [round(float(np.log10(tick)), 4) for tick in ticks]
    texts = [time_text(tick) for tick in ticks]
    return x_axis(range=list(bounds), tickvals=places, ticktext=texts, tickangle=0)


def _phrases(bins: Bins) -> list[Plot]:
    """Return how many requests stand at each mode, as texts above those that stand close by."""
    low, high = log_range(*(10.0 ** bins.edges[[0, -1]]).tolist())
    close = PHRASE * (high - low)
    labels: list[Plot] = []
    for mode in described_modes(bins):
        text = f"{share(mode.near)} near {time_text(float(f'{mode.at_s:.2g}'))}"
        label = _above(bins, mode, text)
        taken = [other for other in labels if abs(other["x"] - label["x"]) < close]
        label["yshift"] += LABEL_GAP * len(taken) if _level(bins, taken, label) else 0
        labels.append(label)
    return labels


def _level(bins: Bins, taken: Sequence[Plot], label: Plot) -> bool:
    """Whether a phrase close by stands as high, as far as a line of text."""
    room = 100 * float(bins.shares.max()) * LABEL_GAP / plot_height(CHART_HEIGHT) * 1.6
    return any(abs(other["y"] - label["y"]) < room for other in taken)


def _names(drawn: Sequence[Bins], *, short: bool) -> list[Plot]:
    """Return the name of each run above its highest bar, clear of the names that stand there."""
    labels: list[Plot] = []
    placed: list[Mode] = []
    for bins in drawn:
        top = max(bins.modes, key=lambda mode: mode.height, default=None)
        if top is None:
            continue
        label = _above(bins, top, _shortest(bins.curve.short) if short else bins.curve.short_text)
        label["yshift"] += LABEL_GAP * sum(_meet(top, other) for other in placed)
        labels.append(label)
        placed.append(top)
    return labels


def _shortest(name: str) -> str:
    return name if len(name) <= HILL_LETTERS else f"{name[: HILL_LETTERS - 1]}…"


def _meet(first: Mode, second: Mode) -> bool:
    """Whether names above them would cover each other."""
    beside = abs(math.log10(first.at_s / second.at_s)) < 0.2
    return beside and abs(first.height - second.height) < 0.08 * max(first.height, second.height)


def _above(bins: Bins, mode: Mode, text: str) -> Plot:
    return {
        "text": escaped(text),
        "font": {"color": bins.curve.text_colour, "weight": 600},
        "x": round(float(np.log10(mode.at_s)), 4),
        "y": float(f"{100 * mode.height:.3g}"),
        "yanchor": "bottom",
        "yshift": 3,
        "showarrow": False,
    }


def _reach(labels: Sequence[Plot]) -> float:
    """Return the value up to which an axis from zero has room for all texts above their bars."""
    pixels = plot_height(CHART_HEIGHT)
    below = [max(pixels - label["yshift"] - LABEL_GAP, pixels / MOST_TEXTS) for label in labels]
    return max(
        (label["y"] * pixels / room for label, room in zip(labels, below, strict=True)), default=0.0
    )


def _title(drawn: Sequence[Bins]) -> tuple[str, str]:
    note = "share of requests"
    if any(bins.curve.unanswered.count for bins in drawn):
        note = "share of completed requests"
    number = len(described_modes(drawn[0])) if len(drawn) == 1 else 0
    if not number:
        return "Where response times lie", note
    if number == 1:
        return "Response times gather in one place", note
    return f"Response times gather in {('two', 'three')[number - 2]} places", note


def _message(drawn: Sequence[Bins]) -> str:
    phrases = []
    for bins in drawn:
        heaps = [f"{share(mode.near)} near {seconds(mode.at_s)}" for mode in described_modes(bins)]
        phrases.append(f"{bins.curve.short} {joined(heaps) if heaps else _between(bins.curve)}")
    return "; ".join(phrases)


def _between(curve: Curve) -> str:
    if not curve.samples.total:
        return "unknown"
    quickest, slowest = curve.samples.minimum_ns / 1e9, curve.samples.maximum_ns / 1e9
    return f"from {seconds(quickest)} to {seconds(slowest)}"


def _table(drawn: Sequence[Bins]) -> Table:
    columns = ("from, ms", "to, ms", *(f"{bins.curve.name}, %" for bins in drawn))
    edges = (1e3 * 10 ** (drawn[0].edges if drawn else np.zeros(0))).tolist()
    shares = [bins.shares.tolist() for bins in drawn]
    rows = [
        (float(f"{low:.4g}"), float(f"{high:.4g}"), *(float(f"{100 * value:.3g}") for value in row))
        for (low, high), *row in zip(pairwise(edges), *shares, strict=True)
        if any(row)
    ]
    return Table(columns, tuple(rows))
