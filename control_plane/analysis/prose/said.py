"""A comparison as JSON, with the words that its page says first."""

from control_plane.analysis.comparison import Comparison
from control_plane.analysis.prose.comparison import catch, title
from control_plane.analysis.prose.sentence import plain
from control_plane.domain.document import comparison_document
from control_plane.domain.reading import Document


def told(comparison: Comparison) -> Document:
    """`/api/compare`, `/compare.json` and what `looplab compare` prints."""
    return comparison_document(comparison, plain(title(comparison)), plain(catch(comparison)))
