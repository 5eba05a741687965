"""Decides over the trials of an experiment: order, effects with intervals, verdicts."""
