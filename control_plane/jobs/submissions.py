"""Documents of the spec as runs that could be queued."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from control_plane.domain.errors import FieldError, refuse
from control_plane.domain.limits import Limits
from control_plane.domain.spec import BUNDLED, NamedTarget, Spec, Target, UrlTarget
from control_plane.domain.spec_json import read_spec
from control_plane.domain.spec_rules import wrong_fields
from control_plane.store.store import Draft
from control_plane.targets.application import Applications, application_errors
from control_plane.targets.builtin_configurations import target_name


def title_of(spec: Spec, configuration: str) -> str:
    """`items, async, 100 users, uvicorn 1 worker`: what tells runs of one form apart."""
    stream = spec.workload.streams[0]
    crowd, until = stream.load.label, stream.stop.label
    return ", ".join([stream.name, spec.client.strategy, crowd, until, configuration])[:200]


def called(configuration: str, application: str | None) -> str:
    """`my fast`; where it serves another application than the bundled one, `shop, my fast`."""
    return configuration if application in {None, BUNDLED} else f"{application}, {configuration}"


@dataclass(frozen=True)
class Submissions:
    """`target_of` resolves the name of a configuration; `own_ports` are the dashboard's."""

    target_of: Callable[[NamedTarget], Target]
    limits: Limits
    applications: Applications
    own_ports: Collection[int] = ()

    def resolve(self, document: Mapping[str, Any]) -> Draft:
        """With its target resolved and its title set.

        Raises InvalidInput with the wrong fields.
        """
        spec, given = read_spec(document, self.limits), None
        if isinstance(spec.target, NamedTarget):
            given = called(spec.target.configuration, spec.target.application)
            spec = self._resolved(spec, spec.target)
        if isinstance(spec.target, UrlTarget):
            refuse(_own_port(spec.target, self.own_ports))
        if isinstance(spec.target, Target):
            refuse(application_errors(spec.target, self.applications))
        draft = Draft(spec, target_name(spec.target), given)
        title = spec.title.strip() or title_of(spec, draft.name)
        return replace(draft, spec=replace(spec, title=title))

    def _resolved(self, spec: Spec, named: NamedTarget) -> Spec:
        """What a configuration brings is wrong at its name."""
        made = replace(spec, target=self.target_of(named))
        wrong = wrong_fields(made, self.limits)
        refuse(replace(one, field="target.configuration") for one in wrong)
        return made


def _own_port(target: UrlTarget, own_ports: Collection[int]) -> Iterable[FieldError]:
    parts = urlsplit(target.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if port in own_ports:
        message = f"Port {port} is this dashboard: load would go to itself."
        yield FieldError("target.url", message)
