"""What a template is given: one frozen object, called `view` in it."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class View:
    """A subclass names its template and holds exactly the fields that the template reads."""

    template: ClassVar[str]
