"""The load model of a stream, as the form asks for it: read from texts, and written as texts."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from control_plane.domain.spec_json import Document
from control_plane.pages.form.parse import FormParser

_NUMBERS = {
    "closed": ("concurrency", "think_time_s", "ramp_up_s"),
    "open": ("max_in_flight",),
    "burst": ("connections",),
    "periodic": ("interval_s", "concurrency"),
}
_USUAL: dict[str, Any] = {
    "concurrency": 64,
    "think_time_s": 0,
    "ramp_up_s": 0,
    "rate_per_s": 100,
    "arrivals": "constant",
    "max_in_flight": 500,
    "connections": 100,
    "interval_s": 1,
}
"""What stands in the fields of the models that are not chosen."""

_DECIMAL = r"[0-9]{1,30}(?:\.[0-9]{1,9})?"
_STEP = re.compile(rf"({_DECIMAL})\s*(?:/s)?\s+for\s+({_DECIMAL})\s*s?")


def load_document(answers: FormParser, field: str) -> Document:
    """`field` is the path of `load`; hidden fields are left out."""
    model = answers.form.text(field, "closed")
    load: Document = {"model": model, **answers.numbers(field, _NUMBERS.get(model, ()))}
    if model != "open":
        return load
    return load | {
        "rate_per_s": _rate(answers, f"{field}.rate_per_s"),
        "arrivals": answers.form.text(f"{field}.arrivals", "constant"),
    }


def load_texts(field: str, load: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every field of every model, with the spec's value where it has one."""
    yield field, (load["model"],)
    for name, usual in _USUAL.items():
        yield f"{field}.{name}", (_text(load.get(name, usual)),)


def number_text(value: float) -> str:
    """Whole numbers without a point, and never an exponent."""
    return str(int(value)) if value == int(value) else f"{value:.9f}".rstrip("0")


def _rate(answers: FormParser, field: str) -> object:
    """A number, or steps: `100 for 5, 500 for 5`."""
    text = answers.form.text(field)
    if "for" not in text:
        return answers.number(field)
    found = [_STEP.fullmatch(part.strip()) for part in text.split(",")]
    steps = [_step(one) for one in found if one]
    if len(steps) < len(found):
        answers.refuse(field, f"{text[:40]!r} are no steps: write 100 for 5, 500 for 5.")
        return text
    return steps


def _step(found: re.Match[str]) -> Document:
    return {"rate_per_s": float(found[1]), "duration_s": float(found[2])}


def _text(value: Any) -> str:
    if isinstance(value, list):
        parts = [(number_text(one["rate_per_s"]), number_text(one["duration_s"])) for one in value]
        return ", ".join(f"{rate} for {length}" for rate, length in parts)
    return value if isinstance(value, str) else number_text(value)
