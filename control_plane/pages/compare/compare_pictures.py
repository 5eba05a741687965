"""The figures and tables of one stream of a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.analysis.aligned import named_detail
from control_plane.analysis.charts.curve import curves_of_runs
from control_plane.analysis.charts.distribution import distribution_chart
from control_plane.analysis.charts.figure import Figure
from control_plane.analysis.charts.metric_lines import metric_lines
from control_plane.analysis.charts.percentiles import percentile_chart
from control_plane.analysis.charts.run_timelines import reading_words, run_timelines
from control_plane.analysis.charts.shift import shift_chart
from control_plane.analysis.charts.throughput import BarChart, stream_names, throughput_bars
from control_plane.analysis.comparison import Comparison
from control_plane.domain.run import RunDetail
from control_plane.pages.compare.numbers_table import NumbersTable, numbers_table
from control_plane.pages.compare.ratio_table import StreamRows, ratio_table
from control_plane.pages.compare.ratio_view import RatioView, ratio_view

LINES_FROM = 3
"""So many runs are drawn as lines over the metrics too."""


@dataclass(frozen=True)
class Pictures:
    """`curves`: percentiles, and with a baseline to differ from the shift. `shares`: the
    distribution, and from three runs on the lines over the metrics.
    """

    ratios: RatioView | None
    ratio_rows: tuple[StreamRows, ...]
    curves: tuple[Figure, ...]
    shares: tuple[Figure, ...]
    bars: BarChart
    timelines: tuple[Figure, ...]
    timeline_words: str
    numbers: NumbersTable

    @property
    def figures(self) -> tuple[Figure | BarChart, ...]:
        """All that have a table."""
        return (*self.curves, *self.shares, self.bars, *self.timelines)


def pictures(details: Sequence[RunDetail], comparison: Comparison, stream: str) -> Pictures | None:
    """None while no run has a result in that stream."""
    if stream not in stream_names(comparison):
        return None
    if comparison.lone:
        pairs = zip(details, comparison.runs, strict=True)
        details = [
            named_detail(detail, run) if run.id in comparison.lone else detail
            for detail, run in pairs
        ]
    curves = curves_of_runs(details, comparison.labels, stream)
    shift = shift_chart(curves, comparison.baseline)
    ratios = ratio_view(comparison, stream)
    several = ratios is not None and len(comparison.runs) >= LINES_FROM
    lines = (metric_lines(comparison, stream),) if several else ()
    timelines = run_timelines(details, comparison.labels, stream)
    return Pictures(
        ratios=ratios,
        ratio_rows=ratio_table(comparison),
        curves=(percentile_chart(curves), *((shift,) if shift else ())),
        shares=(distribution_chart(curves), *lines),
        bars=throughput_bars(comparison, stream),
        timelines=timelines,
        timeline_words=reading_words(timelines),
        numbers=numbers_table(comparison, stream),
    )
