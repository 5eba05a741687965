"""Documents of the spec, checked and resolved into runs that could be queued."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from control_plane.domain.errors import FieldError, refuse
from control_plane.domain.limits import Limits
from control_plane.domain.spec import NamedTarget, Spec
from control_plane.domain.spec_json import TargetOf, read_spec
from control_plane.store.store import Draft
from control_plane.targets.application import Applications, application_errors
from control_plane.targets.builtin_configurations import target_name


def title_of(spec: Spec, configuration: str) -> str:
    """Return what tells runs of one form apart: `items, async, 100 users, uvicorn 1 worker`."""
    stream = spec.workload.streams[0]
    parts = [stream.name, spec.client.strategy, stream.load.label, stream.stop.label]
    return ", ".join([*parts, configuration])[:200]


@dataclass(frozen=True)
class Submissions:
    """Turns documents of the spec into drafts of runs, whoever hands them in.

    `target_of` resolves the name of a configuration; `own_ports` are the dashboard's.
    """

    target_of: TargetOf
    limits: Limits
    applications: Applications
    own_ports: Collection[int] = ()

    def resolve(self, document: Mapping[str, Any]) -> Draft:
        """Check a document, resolve its target and set its title.

        Raises InvalidInput with the wrong fields.
        """
        spec = read_spec(document, self.limits, self.target_of)
        started = spec.target.started
        if started is None:
            refuse(_own_port(spec.target.url, self.own_ports))
        else:
            refuse(application_errors(started, self.applications))
        draft = Draft(spec, target_name(spec.target), _given_name(document))
        title = spec.title.strip() or title_of(spec, draft.name)
        return replace(draft, spec=replace(spec, title=title))


def _given_name(document: Mapping[str, Any]) -> str | None:
    """Return the name of the configuration in a checked document; None where there is none."""
    target = document.get("target", {})
    return NamedTarget(**target).label if "configuration" in target else None


def _own_port(url: str, own_ports: Collection[int]) -> Iterable[FieldError]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if port in own_ports:
        message = f"Port {port} is this dashboard: load would go to itself."
        yield FieldError("target.url", message)
