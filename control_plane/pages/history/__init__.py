"""The list of all runs, and what can be done with those that are chosen in it."""
