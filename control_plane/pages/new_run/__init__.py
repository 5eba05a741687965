"""Write a run, see what it costs, start it."""
