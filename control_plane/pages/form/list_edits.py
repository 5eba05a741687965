"""Buttons that add or take away a stream or a request class, without script."""

import re
from dataclasses import replace

from control_plane.pages.form.form_data import FormData, Values

_CHANGE = re.compile(
    r"(?P<what>add|remove) "
    r"(?P<list>workload\.streams(?:\.\d{1,3}\.requests)?)(?:\.(?P<index>\d{1,3}))?"
)


def apply_edit(form: FormData, change: str) -> FormData:
    """Return the form with a stream or a request class added or removed.

    `add workload.streams` copies the last one, `remove workload.streams.1` takes that one away.
    What is not understood changes nothing; the last one of a list stays.
    """
    found = _CHANGE.fullmatch(change)
    if found is None:
        return form
    present = form.indices(found["list"])
    if found["what"] == "add" and found["index"] is None and present:
        return _added(form, found["list"], present[-1])
    if found["what"] == "remove" and found["index"] is not None and len(present) > 1:
        return replace(form, values=_without(form.values, found["list"], int(found["index"])))
    return form


def _added(form: FormData, prefix: str, last: int) -> FormData:
    copied = form.within(f"{prefix}.{last}")
    if "name" in copied:
        copied["name"] = (f"{form.text(f'{prefix}.{last}.name')} {last + 2}",)
    fresh = {f"{prefix}.{last + 1}.{name}": texts for name, texts in copied.items()}
    return FormData({**form.values, **fresh})


def _without(values: Values, prefix: str, index: int) -> Values:
    """Remove an entry; those behind it move up, so that the numbers stay those of the spec."""
    pattern = re.compile(re.escape(prefix) + r"\.(\d{1,3})\.(.*)", re.DOTALL)
    kept: dict[str, tuple[str, ...]] = {}
    for name, texts in values.items():
        found = pattern.fullmatch(name)
        if found is None:
            kept[name] = texts
        elif (at := int(found[1])) != index:
            kept[f"{prefix}.{at - (at > index)}.{found[2]}"] = texts
    return kept


def without_list(values: Values, prefix: str) -> dict[str, tuple[str, ...]]:
    """Return the fields without anything in the list of that prefix."""
    return {name: texts for name, texts in values.items() if not name.startswith(f"{prefix}.")}
