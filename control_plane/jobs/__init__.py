"""The queue, and the one place that joins targets, load, analysis and store."""
