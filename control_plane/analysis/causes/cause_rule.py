"""What every cause is made of: its record, what judging it finds, and how numbers are written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from control_plane.analysis.causes.evidence import Evidence
from control_plane.domain.result import Cause
from control_plane.domain.units import count, share

Measurements = Mapping[str, int | float | str | None]
"""Numbers by name, as they are stored with a cause."""

Message = Callable[[Measurements], str]


@dataclass(frozen=True)
class Diagnosis:
    """A cause that was judged: it explains the times of the run, or is ruled out.

    `found` None: what was seen does not decide; `measurements` say `why`.
    """

    found: bool | None
    measurements: Measurements


@dataclass(frozen=True)
class CauseRule:
    """One cause: how it is called, how it is judged, and what is said of it.

    `judge` returns None for a run in which it cannot be judged. `value` is the number that decided.
    `found` and `ruled_out` say what was seen, `detail` the evidence behind it, which may be empty;
    all without a capital and a full stop. `short` names it in a list, `watched` what every run
    would have, if it were seen; it is empty for a cause that asks for a load of its kind.
    """

    id: str
    label: str
    short: str
    judge: Callable[[Evidence], Diagnosis | None]
    value: Message
    found: Message
    ruled_out: Message
    detail: Message
    watched: str = ""

    def cause(self, evidence: Evidence) -> Cause | None:
        """Return the cause as it is stored with a run; None where it cannot be judged."""
        diagnosis = self.judge(evidence)
        if diagnosis is None:
            return None
        return Cause(self.id, self._text(diagnosis), diagnosis.measurements, diagnosis.found)

    def _text(self, diagnosis: Diagnosis) -> str:
        """Return what was seen: `No request waited for a thread; at most 3 of 40 were busy.`

        A second sentence says why nothing was decided.
        """
        measurements = diagnosis.measurements
        message = self.ruled_out if diagnosis.found is False else self.found
        seen, detail = message(measurements), self.detail(measurements)
        text = f"{seen}; {detail}." if detail else f"{seen}."
        if diagnosis.found is None:
            text = f"{text} Not decided: {measurements['why']}."
        return text[:1].upper() + text[1:]


def number_in(measurements: Measurements, name: str) -> float:
    """Return a number; 0 for what was not measured, which no sentence names then."""
    return float(measurements.get(name) or 0)


def share_in(measurements: Measurements, name: str) -> str:
    """Return a number as a share: `53 %`."""
    return share(number_in(measurements, name))


def count_in(measurements: Measurements, name: str) -> str:
    """Return a number as a count: `1,024`."""
    return count(number_in(measurements, name))
