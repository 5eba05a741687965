"""The types of fields: how each is read from its text, written as one, and drawn; and what a field
and a section of them are made of."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json, to_json

from control_plane.domain.errors import FieldError
from control_plane.domain.spec_json import Document
from control_plane.domain.units import read_words, words_text
from control_plane.pages.form import FormData

_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,9})?")
_DECIMAL = r"[0-9]{1,30}(?:\.[0-9]{1,9})?"
_CAPTURE = re.compile(r"([^:\s]+)\s*:\s*(json|header|cookie)\s+(\S.*)")
_OBJECTIVE = re.compile(
    r"(?:(?P<stream>[^:]+):\s+)?(?P<metric>\S+)\s+(?P<bound>at most|at least)\s+"
    rf"(?P<value>{_DECIMAL})"
)
_STEP = re.compile(rf"({_DECIMAL})\s*(?:/s)?\s+for\s+({_DECIMAL})\s*s?")


@dataclass
class FormParser:
    """Reads the texts of a form as JSON values; `wrong` grows with each that cannot be read."""

    form: FormData
    wrong: list[FieldError] = field(default_factory=list)

    def refuse(self, name: str, message: str) -> None:
        self.wrong.append(FieldError(name, message))

    def text(self, name: str) -> str:
        """Return a text, whose lines end as they are written here and not as browsers send them."""
        return self.form.text(name).replace("\r\n", "\n")

    def words(self, name: str) -> list[str]:
        """Return `["red", "green"]` of `red, green`."""
        return read_words(self.form.text(name))

    def switch(self, name: str) -> bool:
        return self.form.has(name, "on")

    def number(self, name: str) -> int | float | str:
        """Return the number, or the text where it is none."""
        text = self.form.text(name)
        if not _NUMBER.fullmatch(text):
            self.refuse(name, f"{text[:40]!r} is not a number." if text else "Give a number.")
            return text
        return float(text) if "." in text else int(text)

    def bound(self, name: str) -> int | float | str | None:
        """Return a number; None, which means no bound, for an empty text."""
        return self.number(name) if self.form.text(name) else None

    def rate(self, name: str) -> object:
        """Return a number, or the steps of `100 for 5, 500 for 5`."""
        text = self.form.text(name)
        if "for" not in text:
            return self.number(name)
        steps = [_STEP.fullmatch(part.strip()) for part in text.split(",")]
        if None in steps:
            self.refuse(name, f"{text[:40]!r} are no steps: write 100 for 5, 500 for 5.")
            return text
        return [_step(step) for step in steps if step]

    def json(self, name: str, remedy: str = "") -> Any:
        """Return a JSON value. Without a `remedy` it says where the text cannot be read."""
        text = self.form.text(name)
        try:
            return from_json(text, allow_inf_nan=False)
        except ValueError as error:
            self.refuse(name, remedy or f"This is not readable JSON: {error}.")
            return text

    def settings(self, name: str) -> object:
        """Return a JSON object; an empty text is an empty one."""
        remedy = 'Write names with their values, as {"cpu_n": 5}.'
        settings = self.json(name, remedy) if self.form.text(name) else {}
        if not isinstance(settings, dict):
            self.refuse(name, remedy)
        return settings

    def choices(self, name: str) -> object:
        """Return words by commas, or a JSON array where numbers must stay numbers."""
        text = self.form.text(name)
        if text.startswith("["):
            remedy = f"{text[:40]!r} is no list: write red, green, or [1, 2] for numbers."
            return self.json(name, remedy)
        return self.words(name)

    def headers(self, name: str) -> dict[str, str]:
        """Return the headers, which stand one on each line: `Accept: application/json`."""
        lines = [line for line in self.form.text(name).splitlines() if line.strip()]
        for line in lines:
            if ":" not in line:
                self.refuse(name, f"{line[:40]!r} has no colon: write Name: value.")
        pairs = [line.partition(":") for line in lines]
        return {key.strip(): value.strip() for key, _, value in pairs}

    def captures(self, name: str) -> dict[str, dict[str, str]]:
        """Return what is captured, which stands one on each line: `token: json access_token`."""
        found: dict[str, dict[str, str]] = {}
        for line in (line for line in self.form.text(name).splitlines() if line.strip()):
            if read := _CAPTURE.fullmatch(line.strip()):
                found[read[1]] = {read[2]: read[3]}
            else:
                remedy = "write token: json access_token, or header or cookie and its name"
                self.refuse(name, f"{line[:40]!r} captures nothing: {remedy}.")
        return found

    def objectives(self, name: str) -> list[Document]:
        """Return bounds, which stand one on each line: `response_time_s.p99 at most 0.05`."""
        found = []
        for line in (line for line in self.form.text(name).splitlines() if line.strip()):
            if read := _OBJECTIVE.fullmatch(line.strip()):
                key = read["bound"].replace(" ", "_")
                stream = read["stream"] or ""
                found.append(
                    {"metric": read["metric"], key: float(read["value"]), "stream": stream}
                )
            else:
                remedy = "write response_time_s.p99 at most 0.05"
                self.refuse(name, f"{line[:40]!r} is no objective: {remedy}.")
        return found

    def statuses(self, name: str) -> list[int | str] | None:
        """Return the statuses of `200, 201`; None, which means 200 to 299, for an empty text."""
        words = self.form.text(name).replace(",", " ").split()
        if any(not (word.isascii() and word.isdigit() and len(word) < 10) for word in words):
            self.refuse(name, "Write statuses as 200, 201.")
            return list(words)
        return [int(word) for word in words] or None


def _step(found: re.Match[str]) -> Document:
    return {"rate_per_s": float(found[1]), "duration_s": float(found[2])}


def _objective_lines(objective: Document) -> Iterator[str]:
    stream = f"{objective['stream']}: " if objective["stream"] else ""
    for key in ("at_most", "at_least"):
        if (bound := objective[key]) is not None:
            yield f"{stream}{objective['metric']} {key.replace('_', ' ')} {number_text(bound)}"


def number_text(value: float) -> str:
    """Return whole numbers without a point, and never an exponent."""
    return str(int(value)) if value == int(value) else f"{value:.9f}".rstrip("0")


def rate_text(value: float | Sequence[Document]) -> str:
    """Return `100`, or `100 for 5, 500 for 5` where the rate has steps."""
    if not isinstance(value, Sequence):
        return number_text(value)
    steps = ((number_text(step["rate_per_s"]), number_text(step["duration_s"])) for step in value)
    return ", ".join(f"{rate} for {duration}" for rate, duration in steps)


def choices_text(choices: Sequence[Any]) -> str:
    """Return `red, green`, or a JSON array where that would be read as something else."""
    are_words = all(isinstance(choice, str) for choice in choices)
    return words_text(choices) if are_words else json_text(choices)


def json_text(value: object) -> str:
    """Return JSON; an object with a key on each line."""
    return to_json(value, indent=2 if isinstance(value, dict) else None).decode()


@dataclass(frozen=True)
class FieldKind:
    """`control` is the macro of `macros/forms.html` that draws it.

    `named`: it holds several things with names, which messages about it begin with. `omit_empty`:
    an empty text is left out of the document.
    """

    control: str
    read: Callable[[FormParser, str], Any]
    write: Callable[[Any], str] = str
    named: bool = False
    omit_empty: bool = False


NUMBER = FieldKind("number", FormParser.number, number_text)
BOUND = FieldKind("number", FormParser.bound, number_text, omit_empty=True)
DECIMAL = FieldKind("decimal", FormParser.number, number_text)
RATE = FieldKind("decimal", FormParser.rate, rate_text)
TEXT = FieldKind("text", FormParser.text)
OPTIONAL_TEXT = FieldKind("text", FormParser.text, omit_empty=True)
WORDS = FieldKind("text", FormParser.words, words_text)
STATUSES = FieldKind(
    "text", FormParser.statuses, lambda statuses: ", ".join(map(str, statuses)), omit_empty=True
)
CHOICES = FieldKind("text", FormParser.choices, choices_text)
LINES = FieldKind("area", FormParser.text)
HEADERS = FieldKind(
    "area",
    FormParser.headers,
    lambda headers: "\n".join(f"{name}: {value}" for name, value in headers.items()),
    named=True,
    omit_empty=True,
)
CAPTURES = FieldKind(
    "area",
    FormParser.captures,
    lambda captures: "\n".join(
        f"{name}: {kind} {where}"
        for name, source in captures.items()
        for kind, where in source.items()
    ),
    named=True,
    omit_empty=True,
)
OBJECTIVES = FieldKind(
    "area",
    FormParser.objectives,
    lambda objectives: "\n".join(line for each in objectives for line in _objective_lines(each)),
)
JSON = FieldKind("area", FormParser.json, json_text)
SETTINGS = FieldKind(
    "area",
    FormParser.settings,
    lambda settings: json_text(settings) if settings else "",
    named=True,
)
SELECT = FieldKind("select", FormParser.text)
SEGMENTS = FieldKind("segments", FormParser.text)
BOXES = FieldKind("boxes", FormParser.text)
SWITCH = FieldKind("tick", FormParser.switch, lambda on: "on" if on else "")


@dataclass(frozen=True)
class Option:
    """`help` says what it means while it is chosen."""

    value: str
    text: str
    help: str = ""


@dataclass(frozen=True)
class FormField:
    """`path` is its place in the document of its section, and its name in the form.

    `called`: how lists of errors name it, where its label alone would not tell. `usual`: the text
    that stands in it where the spec has no value. `place`: its classes in the grid of the form.
    `when`: the options of its section's choice for which it is asked; None for all. `required`: it
    is then read as an empty text where it was not sent; others fall back to the spec's default.
    `optional`: its label says so.
    """

    path: str
    kind: FieldKind
    label: str
    help: str = ""
    unit: str = ""
    place: str = ""
    called: str = ""
    usual: str = ""
    options: tuple[Option, ...] = ()
    when: tuple[str, ...] | None = None
    placeholder: str = ""
    optional: bool = False
    required: bool = False

    @property
    def name(self) -> str:
        return self.called or self.label

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The value and the text of each option."""
        return tuple((option.value, option.text) for option in self.options)


@dataclass(frozen=True)
class Section:
    """Fields that stand together. `prefix`: their place in the spec; `*` is a number or a name.

    Where it has a `choice`, the option that is chosen decides which of the fields are asked for.
    """

    prefix: str
    fields: tuple[FormField, ...]
    choice: FormField | None = None

    def __post_init__(self) -> None:
        options = {option.value for option in self.choice.options} if self.choice else set()
        for known in self.fields:
            if known.when is not None and not options & {*known.when}:
                raise ValueError(f"no option asks for {known.path}, which would always be shown")

    def cases(self, field: FormField) -> str:
        """Return the numbers, from 1, of the options for which a field is asked; "" for all."""
        options = self.choice.options if self.choice else ()
        return " ".join(
            str(number)
            for number, option in enumerate(options, 1)
            if field.when and option.value in field.when
        )
