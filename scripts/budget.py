"""Measure the product's code against the budget: `python -m scripts.budget` prints the report.

tests/test_rooms.py holds the limits that fail.
"""

import ast
import io
import math
import statistics
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("control_plane", "target_app")
FUNCTION_LIMIT = 40
FILE_LIMIT = 400
MODULE_LIMIT = 260
COMMENT_SHARE_LIMIT = 0.05

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)
"""What can hold a function; expressions, most of a tree, cannot."""


@dataclass(frozen=True)
class Function:
    """One function of the product; `lines` runs from `def` to its last line."""

    where: str
    lines: int
    node: FunctionNode


@dataclass(frozen=True)
class Source:
    """One file, parsed when it is first asked for; `path` is relative to the checkout."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """The whole tree, in no order of its own."""
        return tuple(ast.walk(self.tree))

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @cached_property
    def comments(self) -> tuple[tuple[int, str], ...]:
        """Line number and text of each comment."""
        if "#" not in self.text:
            return ()
        return tuple(
            (token.start[0], token.string)
            for token in tokenize.generate_tokens(io.StringIO(self.text).readline)
            if token.type == tokenize.COMMENT
        )


def sources(*folders: str) -> list[Source]:
    """Every Python file below the folders of the checkout, in a fixed order."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return [
        Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in paths
    ]


def functions(source: Source) -> Iterator[Function]:
    """Functions and methods, also nested ones, named like `path::Class.method`."""
    yield from _functions(source.tree, source.path + "::")


def _functions(node: ast.AST, prefix: str) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, STATEMENTS):
            continue
        inner = prefix
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            where = prefix + child.name
            yield Function(where, (child.end_lineno or child.lineno) - child.lineno + 1, child)
            inner = where + "."
        elif isinstance(child, ast.ClassDef):
            inner = prefix + child.name + "."
        yield from _functions(child, inner)


def comment_share(files: list[Source]) -> float:
    """Lines with a comment over all lines, 0 to 1."""
    return sum(len(file.comments) for file in files) / max(1, sum(file.lines for file in files))


def nearest_rank(values: list[int], share: float) -> int:
    return sorted(values)[math.ceil(share * len(values)) - 1]


def report(files: list[Source]) -> Iterator[str]:
    """The budget in a few lines; works while nothing is written yet."""
    found = [function for file in files for function in functions(file)]
    lengths = [function.lines for function in found]
    if lengths:
        longest = max(found, key=lambda function: function.lines)
        yield (
            f"functions: {len(lengths)}, lines median {statistics.median(lengths):g}, "
            f"90 % {nearest_rank(lengths, 0.9)}, max {longest.lines} ({longest.where}); "
            "wanted 10, 30, 40"
        )
    over = [f"{file.path} ({file.lines})" for file in files if file.lines > FILE_LIMIT]
    yield f"files: {len(files)}, over {FILE_LIMIT} lines: {', '.join(over) or 'none'}"
    yield f"comments: {comment_share(files):.1%} of lines; wanted at most {COMMENT_SHARE_LIMIT:.0%}"


if __name__ == "__main__":
    for line in report(sources(*ROOMS)):
        print(f"[budget] {line}")
