"""What a new run can begin from: presets, questions, endpoints of the bundled application."""
