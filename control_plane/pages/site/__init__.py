"""What stands around every page: templates, the top bar, errors, the glossary."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class View:
    """What a template is given, called `view` in it.

    A subclass names its template and holds exactly the fields that the template reads.
    """

    template: ClassVar[str]
