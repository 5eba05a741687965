"""Frozen values that every room shares: no I/O, no clock, no imports of ours."""
