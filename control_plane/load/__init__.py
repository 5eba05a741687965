"""The load worker: a process of its own that drives one stream and records what happens."""
