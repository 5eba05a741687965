"""What is wrong in a form, in words for whoever fills it in."""

from control_plane.domain.errors import FieldError
from control_plane.pages.form.given import Given

_OF_SEVERAL = ("settings", "headers")
"""Fields in which several things with names are written."""


def message(form: Given, wrong: FieldError) -> str:
    """Says which of several things is meant where one field holds them: `colour: …`."""
    text = wrong.at_field or wrong.message
    field = form.nearest(wrong.field)
    inside = wrong.field.removeprefix(f"{field}.")
    named = field.endswith(_OF_SEVERAL) and inside != wrong.field
    return f"{inside}: {text}" if named else text
