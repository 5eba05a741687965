"""Machine and versions of a run, as facts for people."""

from collections.abc import Iterator
from dataclasses import dataclass

from control_plane.analysis.field_labels import label_of, text_of
from control_plane.domain.run import Run
from control_plane.domain.units import size


@dataclass(frozen=True)
class Fact:
    label: str
    text: str


def environment_facts(run: Run) -> tuple[Fact, ...]:
    """Every fact that was stored with the run; none before it started."""
    stored = run.environment or {}
    return tuple(Fact(label_of(name), text_of(name, value)) for name, value in stored.items())


def environment_line(run: Run) -> str:
    """`2 cores AMD EPYC, 25.0 GB, Linux 6.1.0, Python 3.11.7, target on core 0`."""
    return ", ".join([*_machine(run), *_cores(run)]) or "not known"


def _machine(run: Run) -> Iterator[str]:
    stored = run.environment or {}
    if stored.get("cpu_count"):
        yield f"{stored['cpu_count']} cores {stored.get('cpu_model') or ''}".rstrip()
    if stored.get("memory_bytes"):
        yield size(stored["memory_bytes"])
    if stored.get("kernel"):
        yield f"{stored.get('system') or 'Linux'} {stored['kernel']}"
    if stored.get("python"):
        yield f"Python {stored['python']}"


def _cores(run: Run) -> Iterator[str]:
    if not run.trials:
        return
    first = run.trials[0]
    for role, cores in (("target", first.target.cores), ("client", first.client.cores)):
        if cores:
            word = "core" if len(cores) == 1 else "cores"
            yield f"{role} on {word} {', '.join(str(core) for core in cores)}"
