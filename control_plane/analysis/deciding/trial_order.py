"""The order of trials in an experiment: each block has one trial of every arm.

Two arms take turns in going first; more go through the rows of a Williams design, in which every
arm stands at each place, and follows each other arm, equally often (E. J. Williams, "Experimental
designs balanced for the estimation of residual effects of treatments", 1949).
"""

from random import Random

MOST_WHOLE_SQUARE = 6
"""Up to so many arms the blocks are rounded up to whole squares."""


def williams_rows(arms: int) -> tuple[tuple[int, ...], ...]:
    """Return the rows of a Williams design: as many as `arms`, twice as many where that is odd."""
    zigzag = [place // 2 + 1 if place % 2 else -(place // 2) for place in range(arms)]
    square = [tuple((row + step) % arms for step in zigzag) for row in range(arms)]
    mirrored = [tuple(reversed(row)) for row in square] if arms % 2 else []
    return (*square, *mirrored)


def rounded_blocks(arms: int, blocks: int) -> int:
    """Return the declared maximum of blocks: whole squares of up to six arms."""
    if arms > MOST_WHOLE_SQUARE or arms < 2:
        return blocks
    return -(-blocks // arms) * arms


def trial_order(arms: int, blocks: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Return the arms of each block in the order of their trials; arms are numbered from 0.

    Which arm takes which place of the design, and the row that the first block takes, are drawn
    from the seed. More blocks of the same seed begin with the same ones.
    """
    chance = Random(seed)
    labels = chance.sample(range(arms), arms)
    rows = williams_rows(arms)
    # Of an odd number of arms a whole square and its mirror image follow each other.
    first = chance.randrange(0, len(rows), arms if arms % 2 else 1)
    return tuple(
        tuple(labels[place] for place in rows[(first + block) % len(rows)])
        for block in range(blocks)
    )


def is_whole(arms: int, blocks: int) -> bool:
    """Return whether every arm stands at each place equally often."""
    return blocks % arms == 0
