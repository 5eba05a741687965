"""The texts of a form as JSON values, with what is wrong beside them."""

import re
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from control_plane.domain.errors import FieldError
from control_plane.domain.spec_json import Document
from control_plane.pages.form.form_data import FormData

_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,9})?")


@dataclass
class FormParser:
    """Reads one form; `wrong` grows with each field that cannot be read."""

    form: FormData
    wrong: list[FieldError] = field(default_factory=list)

    def refuse(self, name: str, message: str) -> None:
        self.wrong.append(FieldError(name, message))

    def number(self, name: str) -> int | float | str:
        """The text itself where it is not a number."""
        text = self.form.text(name)
        if not _NUMBER.fullmatch(text):
            self.refuse(name, f"{text[:40]!r} is not a number." if text else "Give a number.")
            return text
        return float(text) if "." in text else int(text)

    def numbers(self, prefix: str, names: tuple[str, ...]) -> Document:
        """Those of the names that the form shows."""
        shown = [name for name in names if f"{prefix}.{name}" in self.form.values]
        return {name: self.number(f"{prefix}.{name}") for name in shown}

    def json(self, name: str, remedy: str = "") -> Any:
        """Without a `remedy` it says where the text cannot be read."""
        text = self.form.text(name)
        try:
            return from_json(text, allow_inf_nan=False)
        except ValueError as error:
            self.refuse(name, remedy or f"This is not readable JSON: {error}.")
            return text

    def headers(self, name: str) -> dict[str, str]:
        """One header on each line: `Accept: application/json`."""
        lines = [line for line in self.form.text(name).splitlines() if line.strip()]
        for line in lines:
            if ":" not in line:
                self.refuse(name, f"{line[:40]!r} has no colon: write Name: value.")
        pairs = [line.partition(":") for line in lines]
        return {key.strip(): value.strip() for key, _, value in pairs}

    def statuses(self, name: str) -> list[int | str] | None:
        """`200, 201`; nothing means 200 to 299."""
        words = self.form.text(name).replace(",", " ").split()
        if any(not (word.isascii() and word.isdigit() and len(word) < 10) for word in words):
            self.refuse(name, "Write statuses as 200, 201.")
            return list(words)
        return [int(word) for word in words] or None
