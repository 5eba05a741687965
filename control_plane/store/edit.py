"""What people may write about a run that exists already."""

from collections.abc import Sequence

from control_plane.domain.bounds import counted, text
from control_plane.domain.errors import refuse

NOTE_LENGTH = 10_000


def checked_title(title: str) -> str:
    refuse(text("title", title, 200, empty=False))
    return title.strip()


def checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    refuse(counted("tags", len(tags), 0, 20, "tags"))
    for index, tag in enumerate(tags):
        refuse(text(f"tags.{index}", tag, 40, empty=False))
    return tuple(tags)


def checked_note(note: str) -> str:
    """Lines are kept, with plain line ends."""
    plain = note.replace("\r\n", "\n")
    refuse(text("note", plain.replace("\n", " ").replace("\t", " "), NOTE_LENGTH))
    return plain
