"""Schemathesis reads the API's own description and sends what fits it and what does not."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import requests
from hypothesis import HealthCheck, given, reject, settings
from hypothesis.strategies import DrawFn, composite

from tests.dashboard import Dashboard, forked_dashboard

# It takes a second to import, in each lane that collects this file.
if TYPE_CHECKING:
    import schemathesis

BODIES, EXAMPLES = 6, 20
"""For each operation, of what fits its description and of what does not: with a body, which takes a
tenth of a second to make, and without."""

CHECKS = list(HealthCheck)

SMALL = {
    "LOOPLAB_MAX_REQUESTS": "20",
    "LOOPLAB_MAX_CONCURRENCY": "2",
    "LOOPLAB_MAX_DURATION_S": "0.2",
    "LOOPLAB_MAX_WARMUP_S": "0.1",
    "LOOPLAB_MAX_TIMEOUT_S": "1",
    "LOOPLAB_MAX_TRIALS": "1",
    "LOOPLAB_MAX_WORKERS": "1",
    "LOOPLAB_MAX_QUEUE": "1",
}


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("schema")
    with forked_dashboard(folder, environment=SMALL) as started:
        yield started
        assert "Traceback" not in (folder / "looplab.log").read_text()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nothing_that_is_sent_breaks_the_server(looplab: Dashboard) -> None:
    import schemathesis

    schemathesis.serializer.alias("application/vnd.sqlite3", "application/octet-stream")
    schema = schemathesis.openapi.from_url(f"{looplab.url}/openapi.json")
    sent = 0
    with requests.Session() as session:
        session.trust_env = False
        for found in schema.get_all_operations():
            operation = found.ok()  # type: ignore[union-attr] # the schema is our own, and right
            sent += send_many(session, operation, schemathesis.GenerationMode.POSITIVE)
            if takes_what_may_not_fit(operation):
                sent += send_many(session, operation, schemathesis.GenerationMode.NEGATIVE)
    assert sent >= 500


def takes_what_may_not_fit(operation: "schemathesis.APIOperation") -> bool:
    """Whether a body or a parameter can be wrong; of text of any kind that shows in 458 tries."""
    places = (operation.path_parameters, operation.query, operation.headers, operation.cookies)
    schemas = [parameter.definition["schema"] for place in places for parameter in place]
    free = [{*schema} <= {"type", "title", "description"} for schema in schemas]
    text = [schema.get("type") == "string" for schema in schemas]
    return bool(operation.body) or not (all(free) and all(text))


def send_many(
    session: requests.Session,
    operation: "schemathesis.APIOperation",
    mode: "schemathesis.GenerationMode",
) -> int:
    """Send what the strategy of the operation makes; how many requests that were."""
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.errors import UnsupportedSchema

    sent, made = 0, operation.as_strategy(generation_mode=mode)

    @composite
    def cases(draw: DrawFn) -> "schemathesis.Case":
        try:
            return draw(made)
        except UnsupportedSchema:
            # Of what does not fit a schema that refers to itself, it cannot make every kind.
            reject()

    def send(case: "schemathesis.Case") -> None:
        nonlocal sent
        sent += 1
        case.call_and_validate(session=session, checks=[not_a_server_error])

    examples = BODIES if operation.body else EXAMPLES
    limits = settings(max_examples=examples, database=None, suppress_health_check=CHECKS)
    limits(given(case=cases())(send))()
    return sent
