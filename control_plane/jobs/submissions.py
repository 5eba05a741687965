"""Documents of the spec, checked and resolved into runs that could be queued."""

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import to_json

from control_plane.domain.errors import FieldError, refuse
from control_plane.domain.limits import Limits
from control_plane.domain.secrets import HiddenSpec, hide_spec
from control_plane.domain.spec import NamedTarget, Spec
from control_plane.domain.spec_json import (
    Document,
    TargetOf,
    read_spec,
    stored_spec,
    write_spec,
)
from control_plane.store.store import Draft
from control_plane.targets.application import Applications, application_errors
from control_plane.targets.builtin_configurations import target_name


def no_secrets(digests: Collection[str]) -> Mapping[str, str]:
    """Return no run: where there is no database, no secret is known."""
    del digests
    return {}


def title_of(spec: Spec, configuration: str) -> str:
    """Return what tells runs of one form apart: `items, async, 100 users, uvicorn 1 worker`."""
    stream = spec.workload.streams[0]
    parts = [stream.name, spec.client.strategy, stream.load.label, stream.stop.label]
    return ", ".join([*parts, configuration])[:200]


@dataclass(frozen=True)
class Submissions:
    """Turns documents of the spec into drafts of runs, whoever hands them in.

    `target_of` resolves the name of a configuration; `own_ports` are the dashboard's. Digests of
    secrets are made with `secret_key`; `secret_holders` gives a run that has each that is known.
    """

    target_of: TargetOf
    limits: Limits
    applications: Applications
    own_ports: Collection[int] = ()
    secret_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    secret_holders: Callable[[Collection[str]], Mapping[str, str]] = no_secrets

    def resolve(self, document: Mapping[str, Any]) -> Draft:
        """Check a document, resolve its target, set its title and take its secrets out.

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
        hidden = hide_spec(write_spec(replace(spec, title=title)), self.secret_key)
        refuse(self._unknown_secrets(hidden))
        stored = stored_spec(to_json(hidden.document).decode())
        return replace(draft, spec=stored, secrets=hidden.kept)

    def hidden(self, document: Mapping[str, Any]) -> Document:
        """Return a document, right or wrong, with placeholders in the place of its secrets."""
        return hide_spec(document, self.secret_key).document

    def _unknown_secrets(self, hidden: HiddenSpec) -> Iterable[FieldError]:
        copied = {digest for digest, value in hidden.kept.items() if value is None}
        known = self.secret_holders(copied) if copied else {}
        for place in dict.fromkeys(
            place for place, digest in hidden.digests if digest in copied and digest not in known
        ):
            yield FieldError(place, _UNKNOWN)


_UNKNOWN = (
    "(secret …) stands for a value that is not kept here: it was copied from another database, "
    "its runs are deleted, or it does not stand alone. Type the value itself."
)


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
