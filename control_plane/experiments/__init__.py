"""What a run can begin from, as data: presets, questions, endpoints of the bundled application."""
