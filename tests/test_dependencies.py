"""What pyproject.toml declares for run time is what the product imports."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PRODUCT = ("control_plane", "target_app")

NOT_IMPORTED = {
    "aiosqlite": "the driver that SQLAlchemy loads for the sqlite+aiosqlite URL of target_app",
    "email-validator": "pydantic loads it for the EmailStr of target_app",
    "python-multipart": "Starlette loads it to read posted forms",
}
"""Declared, loaded by another package, with the reason."""
COMES_WITH = {
    "anyio": "starlette",
    "httpcore": "httpx",
    "httptools": "uvicorn",
    "multidict": "aiohttp",
    "pydantic-core": "pydantic",
    "urllib3": "requests",
    "uvloop": "uvicorn",
    "yarl": "aiohttp",
}
"""Imported, and required by a declared package whose version decides on it."""


def declared() -> dict[str, Requirement]:
    """The run-time requirements of pyproject.toml by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [Requirement(text) for text in project["dependencies"]]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


@cache
def imported() -> set[str]:
    """The distributions from which the product imports a module."""
    distributions = packages_distributions()
    return {
        canonicalize_name(distributions[module][0])
        for folder in PRODUCT
        for file in (ROOT / folder).rglob("*.py")
        for module in modules_of(ast.parse(file.read_text()))
        if module in distributions and module not in PRODUCT
    }


def modules_of(tree: ast.Module) -> Iterator[str]:
    """The top-level names of what is imported, without the standard library."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
        for name in names:
            if (top := name.partition(".")[0]) not in sys.stdlib_module_names:
                yield top


def test_what_is_declared_is_imported() -> None:
    assert set(declared()) - imported() - set(NOT_IMPORTED) == set()


def test_what_is_imported_is_declared() -> None:
    assert imported() - set(declared()) - set(COMES_WITH) == set()


def test_no_exception_is_left_over() -> None:
    assert set(NOT_IMPORTED) <= set(declared()) - imported()
    assert set(COMES_WITH) <= imported() - set(declared())


@pytest.mark.parametrize(("package", "parent"), COMES_WITH.items())
def test_what_comes_with_another_is_required_by_it(package: str, parent: str) -> None:
    requirement = declared()[parent]
    extras: set[str] = requirement.extras or {""}
    required = [Requirement(text) for text in requires(parent) or ()]
    assert package in {
        canonicalize_name(part.name)
        for part in required
        if part.marker is None or any(part.marker.evaluate({"extra": extra}) for extra in extras)
    }
