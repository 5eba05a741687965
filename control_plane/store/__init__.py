"""Tables, migrations, and all SQL."""
