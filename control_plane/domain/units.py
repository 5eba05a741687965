"""Numbers as people read them: three figures, the unit after a no-break space, a dash for none.

And lists of words as people write them.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress

SPACE = "\N{NO-BREAK SPACE}"
NONE = "\N{EN DASH}"
FEW = 100
"""Below so many a share in per cent looks more exact than it is."""


_FIGURES = tuple(f"#,.{count}g" for count in range(18))


def figures(value: float, count: int = 3) -> str:
    """Return `count` significant figures with thousands commas: 14,300, 9.61, 0.47."""
    if value == 0:
        return "0"
    short = format(value, _FIGURES[count])
    if "e" not in short:
        return short.removesuffix(".")
    text = f"{value:.{count - 1}e}"
    exponent = int(text[text.index("e") + 1 :])
    return f"{float(text):,.{max(0, count - 1 - exponent)}f}"


def split_seconds(value_s: float) -> tuple[str, str]:
    """Return number and unit of a time: ("1.20", "ms"), ("13.0", "s"), ("2 min 31", "s")."""
    size = abs(value_s)
    if size >= 120:
        minutes, seconds = divmod(round(value_s), 60)
        return f"{minutes:,} min {seconds}", "s"
    if size >= 0.9995:
        return figures(value_s), "s"
    if size >= 0.000_001:
        return (figures(value_s * 1e3), "ms") if size >= 0.000_1 else (figures(value_s * 1e6), "µs")
    return "0", "s"


def seconds(value_s: float | None) -> str:
    """Return a time: `1.20 ms`; a dash for None."""
    return NONE if value_s is None else SPACE.join(split_seconds(value_s))


def about(value_s: float) -> str:
    """Return a coarse duration for plans and remaining time: `8 s`, `50 s`, `2 min 30 s`."""
    whole = max(1, round(value_s))
    if whole < 60:
        return f"{whole}{SPACE}s"
    minutes, rest = divmod(5 * round(whole / 5), 60)
    return f"{minutes}{SPACE}min" + (f"{SPACE}{rest}{SPACE}s" if rest and minutes < 10 else "")


def rate(value_per_s: float | None) -> str:
    """Return a rate: `1,230 /s`; a dash for None."""
    return NONE if value_per_s is None else f"{figures(value_per_s)}{SPACE}/s"


def share(value: float | None) -> str:
    """Return a share of one in per cent: `53 %`, `0.12 %`; a dash for None."""
    if value is None:
        return NONE
    percent = value * 100
    return f"{figures(percent, 2 if percent < 99.5 else 3)}{SPACE}%"


def split_bytes(value: float) -> tuple[str, str]:
    """Return number and decimal unit: ("61.0", "MB")."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(value) >= factor:
            return figures(value / factor), unit
    return f"{value:.0f}", "B"


def size(value: float | None) -> str:
    """Return a size: `61.0 MB`; a dash for None."""
    return NONE if value is None else SPACE.join(split_bytes(value))


def count(value: float | None) -> str:
    """Return a count with thousands commas; a dash for None."""
    return NONE if value is None else f"{value:,.0f}"


def percents(change: float) -> str:
    """Return the size of a change in per cent with two figures, whole from 100 on: 8.3, 166."""
    size = abs(100 * change)
    return f"{size:,.0f}" if size >= 100 else figures(size, 2)


def change(value: float, unit: str) -> str:
    """Return a change as a part of what was: `+166 %`; of a share, `−0.40 points`."""
    sign = "" if value == 0 else "+" if value > 0 else "−"
    return f"{sign}{percents(value)}{SPACE}{'points' if unit == 'share' else '%'}"


def number_of(number: float, noun: str) -> str:
    """Return a count with its noun: `1 request`, `1,024 requests`."""
    return f"{count(number)} {noun}{'' if round(number) == 1 else 's'}"


def were(number: float) -> str:
    """Return the verb of a count: `was` of one, else `were`."""
    return "was" if round(number) == 1 else "were"


def part_of(number: int, whole: int) -> str:
    """Return a part of a whole as a share: `0.8 %`; of fewer than `FEW` as counts: `1 of 3`."""
    return f"{number} of {whole}" if whole < FEW else share(number / whole)


def ratio(value: float | None) -> str:
    """Return a ratio: `×7.5`; below one turned: `÷491`; a dash for None."""
    if value is None:
        return NONE
    if not 0 < value < 1:
        return f"×{figures(value)}"
    return f"{'÷' if is_turned(value) else '×'}{figures(1 / value)}"


def is_turned(value: float) -> bool:
    """Return whether a ratio is written the other way round: below one, also as it is rounded."""
    return 0 < value < 1 and float(figures(1 / value).replace(",", "")) > 1


WRITTEN: dict[str, Callable[[float | None], str]] = {
    "s": seconds,
    "per_s": rate,
    "share": share,
    "bytes": size,
    "s_per_request": seconds,
}
"""How a value of each unit of `metrics.Unit` is written; a dash for None."""


def words_text(words: Sequence[str]) -> str:
    """Return `red, green`, or a JSON array where that would be read as something else."""
    plain = all("," not in word and [word.strip()] == word.splitlines() for word in words)
    is_read_back = plain and not (words and words[0].startswith("["))
    return ", ".join(words) if is_read_back else json.dumps(words, ensure_ascii=False)


def read_words(text: str) -> list[str]:
    """Return the words that stand there, as `words_text` writes them."""
    if text.startswith("["):
        with suppress(ValueError, RecursionError):
            found = json.loads(text)
            if isinstance(found, list) and all(isinstance(word, str) for word in found):
                return found
    return [word.strip() for word in text.split(",") if word.strip()]
