"""What people may write about a run that exists already."""

from collections.abc import Sequence

from control_plane.domain.bounds import Wrong, counted, text
from control_plane.domain.errors import InvalidInput

NOTE_LENGTH = 10_000


def checked_title(title: str) -> str:
    _refuse(text("title", title, 200, empty=False))
    return title.strip()


def checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    _refuse(counted("tags", len(tags), 0, 20, "tags"))
    for index, tag in enumerate(tags):
        _refuse(text(f"tags.{index}", tag, 40, empty=False))
    return tuple(tags)


def checked_note(note: str) -> str:
    """Lines are kept, with plain line ends."""
    plain = note.replace("\r\n", "\n")
    _refuse(text("note", plain.replace("\n", " ").replace("\t", " "), NOTE_LENGTH))
    return plain


def _refuse(wrong: Wrong) -> None:
    fields = tuple(wrong)
    if fields:
        raise InvalidInput(f"{fields[0].field}: {fields[0].message}", fields)
