"""What runs in the interpreters of a target. This folder lies on their PYTHONPATH."""
