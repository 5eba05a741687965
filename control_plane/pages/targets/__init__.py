"""The configurations and applications under test, tried by hand or checked; the client ceiling."""
