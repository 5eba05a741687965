"""What the bundled application serves."""
