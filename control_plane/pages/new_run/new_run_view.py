"""The page of a new run: the form with its values and errors, and the plan beside it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from control_plane.domain.client_strategies import STRATEGIES, StrategyInfo
from control_plane.domain.errors import InvalidInput, LooplabError
from control_plane.domain.secrets import digests_in
from control_plane.domain.spec_json import Document
from control_plane.experiments import Preset, preset_catalogue
from control_plane.jobs.run_service import Application, Configuration, RunService
from control_plane.pages.form.arms import varied_fields
from control_plane.pages.form.field_types import FormParser, Section
from control_plane.pages.form.fields import FORM
from control_plane.pages.form.form_data import FormData
from control_plane.pages.form.from_spec import value_fields
from control_plane.pages.form.to_spec import CheckedForm, check_form
from control_plane.pages.new_run.openapi_picker import OpenapiPicker, openapi_picker
from control_plane.pages.new_run.preview import PlanView, plan_view
from control_plane.pages.site import View


@dataclass(frozen=True)
class Notice:
    """`plain`: nothing is wrong, and the spec below the form follows its fields."""

    title: str
    text: str
    plain: bool = False


@dataclass(frozen=True)
class NewRunPage(View):
    """`wrong` holds messages by field name; `preset` is the one that is shown, or "".

    `spec_text` is the JSON in the box below the form, `spec_errors` why it was refused. `kept` says
    by field name where its secrets come from. `varied`: a field is varied.
    """

    template: ClassVar[str] = "pages/new_run.html"
    form: FormData
    wrong: dict[str, str]
    kept: dict[str, str]
    plan: PlanView
    key: str
    preset: str
    presets: tuple[Preset, ...]
    configurations: tuple[Configuration, ...]
    applications: tuple[Application, ...]
    interfaces: Mapping[str, str]
    sections: Mapping[str, Section]
    varied: bool
    strategies: Mapping[str, StrategyInfo]
    offer: OpenapiPicker
    notice: Notice | None
    spec_text: str
    spec_errors: tuple[str, ...]


@dataclass(frozen=True)
class PlanUpdate(View):
    """The plan after a change, and the request classes whose placeholders changed."""

    template: ClassVar[str] = "partials/plan_answer.html"
    form: FormData
    wrong: dict[str, str]
    kept: dict[str, str]
    plan: PlanView
    sections: Mapping[str, Section]
    changed: tuple[str, ...]


def new_run_page(
    form: FormData, service: RunService, key: str, *, show_errors: bool = True
) -> NewRunPage:
    """Return the page of a form. `show_errors` False: its fields were just added."""
    read = check_form(form, service)
    return NewRunPage(
        form=form,
        wrong=_by_field(form, read) if show_errors else {},
        kept=_kept_secrets(form, service),
        plan=plan_view(form, read, service),
        key=key,
        preset="",
        presets=preset_catalogue().presets,
        configurations=service.configurations.all(),
        applications=service.applications(),
        interfaces={known.name: service.interface(known) for known in service.applications()},
        sections=FORM,
        varied=bool(varied_fields(FormParser(form))),
        strategies=STRATEGIES,
        offer=openapi_picker(form, service),
        notice=None,
        spec_text=pretty_json(service.submissions.hidden(read.documents[0])),
        spec_errors=(),
    )


def plan_update(form: FormData, service: RunService) -> PlanUpdate:
    """Return the plan anew; a placeholder without a value gets the row that appears for it."""
    shown = with_default_values(form)
    read = check_form(shown, service)
    plan = plan_view(shown, read, service)
    kept = _kept_secrets(shown, service)
    return PlanUpdate(shown, _by_field(shown, read), kept, plan, FORM, _changed(form))


def with_default_values(form: FormData) -> FormData:
    """Give the usual value to placeholders that no row was sent for."""
    fresh = {
        field: texts
        for request in form.requests
        for name in form.placeholders(request)
        if name not in _shown(form, request)
        for field, texts in value_fields(f"{request}.values.{name}")
    }
    return FormData({**form.values, **fresh})


def pretty_json(document: Document) -> str:
    """Return indented JSON, for people to edit."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def spec_errors_of(error: LooplabError) -> tuple[str, ...]:
    """Return the messages of an error, each after the path of its field in the spec."""
    fields = error.fields if isinstance(error, InvalidInput) else ()
    return tuple(f"{field.field}: {field.message}" for field in fields) or (str(error),)


def _by_field(form: FormData, read: CheckedForm) -> dict[str, str]:
    """Return the first message of each field; parts without a field count to their nearest."""
    messages: dict[str, str] = {}
    for path, message in read.messages.items():
        messages.setdefault(form.nearest(path), message)
    return messages


def _kept_secrets(form: FormData, service: RunService) -> dict[str, str]:
    """Return for each field with placeholders of known secrets what they are."""
    digests = {name: digests_in(" ".join(texts)) for name, texts in form.values.items()}
    every = {digest for found in digests.values() for digest in found}
    holders = service.submissions.secret_holders(every) if every else {}
    return {
        name: f"(secret …) is a value kept from run {holders[found[0]]}. It is used and never "
        "shown; type a new value in its place to replace it."
        for name, found in digests.items()
        if found and holders.keys() >= {*found}
    }


def _changed(form: FormData) -> tuple[str, ...]:
    return tuple(
        request
        for request in form.requests
        if set(form.placeholders(request)) != _shown(form, request)
    )


def _shown(form: FormData, request: str) -> set[str]:
    """Return the placeholders whose rows were sent."""
    return {name.partition(".")[0] for name in form.within(f"{request}.values")}
