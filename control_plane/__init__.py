"""Looplab: runs and compares HTTP concurrency benchmarks in the browser."""

__version__ = "0.1.0"
