"""What the fields of the form are called."""

import re

from control_plane.analysis.field_labels import LABELS
from control_plane.domain.errors import FieldError
from control_plane.pages.form.form_data import FormData

_FORM = {
    "title": "Title",
    "tags": "Tags",
    "target": "Application",
    "target.configuration": "Configurations",
    "target.settings": "Application settings",
    "name": "Name",
    "load": "Load",
    "stop": "Stop after",
    "headers": "Headers",
    "body": "Body",
    "body.json": "Body",
    "body.generated.size_bytes": "Size",
}
"""Fields of the form alone; all others are called as in comparisons."""

_INSIDE = re.compile(r"workload\.streams\.(\d+)\.(?:requests\.\d+\.)?(.*)")


def label_of(field: str) -> str:
    """`Concurrency`; `Stream 2: Path`; `item_id: low`; the path itself where nothing fits."""
    inside = _INSIDE.fullmatch(field)
    if inside is None:
        return _known(field) or field or "Spec"
    stream, rest = int(inside[1]), inside[2]
    name = _known(rest) or rest.removeprefix("values.").replace(".", ": ", 1)
    return f"Stream {stream + 1}: {name}" if stream else name


def _known(path: str) -> str | None:
    if path.startswith("values."):
        return None
    return _FORM.get(path) or LABELS.get(path) or LABELS.get(path.rpartition(".")[2])


_OF_SEVERAL = ("settings", "headers")
"""Fields in which several things with names are written."""


def field_message(form: FormData, wrong: FieldError) -> str:
    """Says which of several things is meant where one field holds them: `colour: …`."""
    text = wrong.at_field or wrong.message
    field = form.nearest(wrong.field)
    inside = wrong.field.removeprefix(f"{field}.")
    named = field.endswith(_OF_SEVERAL) and inside != wrong.field
    return f"{inside}: {text}" if named else text
