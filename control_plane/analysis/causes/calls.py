"""The calls that one line of source makes, read as far as a line alone can be."""

import keyword
import tokenize
from collections.abc import Iterator
from io import StringIO

_DEFINES = {"def", "class"}
_SKIPPED = {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT}


def calls_in(line: str) -> list[str] | None:
    """`json.dumps`, in order; empty text for a call of what has no name. Strings do not count.

    None for what cannot be read, such as the middle of a string.
    """
    tokens = list(_tokens(line.strip() + "\n"))
    if any(one.type == tokenize.ERRORTOKEN for one in tokens):
        return None
    return list(_calls([one.string for one in tokens if one.type not in _SKIPPED]))


def _tokens(line: str) -> Iterator[tokenize.TokenInfo]:
    """A bracket or string that goes on in the next line ends them."""
    try:
        yield from tokenize.generate_tokens(StringIO(line).readline)
    except (tokenize.TokenError, IndentationError):
        return


def _calls(words: list[str]) -> Iterator[str]:
    for at, word in enumerate(words):
        if word != "(" or not at:
            continue
        before = words[at - 1]
        if before in {")", "]"}:
            yield ""
        elif _is_name(before) and not (at > 1 and words[at - 2] in _DEFINES):
            yield _dotted(words[:at])


def _dotted(words: list[str]) -> str:
    """`a.b` at the end of the words; of `f().b` only `b`."""
    name = words[-1]
    at = len(words) - 2
    while at > 0 and words[at] == "." and _is_name(words[at - 1]):
        name = f"{words[at - 1]}.{name}"
        at -= 2
    return name


def _is_name(word: str) -> bool:
    return word.isidentifier() and not keyword.iskeyword(word)
