"""The schema's history, run by alembic. `HEAD` is the newest revision; revisions sort as text."""

HEAD = "0004"
