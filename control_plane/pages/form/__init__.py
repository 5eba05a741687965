"""The form of a new run: its texts as documents of the spec, and back."""
