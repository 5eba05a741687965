"""One run, live and after."""
