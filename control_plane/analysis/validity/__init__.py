"""Whether the numbers of a run may be believed: its gates, each with its evidence."""
