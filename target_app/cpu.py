"""Work for the processor alone, importable by a worker process without the framework."""


def compute(steps: int) -> int:
    """Return a sum that takes `steps` rounds of the interpreter and holds the GIL meanwhile."""
    total = 0
    for step in range(steps):
        total = (total + step * step) % 1_000_003
    return total
