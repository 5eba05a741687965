"""The addresses of pages: for links in views and templates, and for redirects."""

from collections.abc import Sequence
from urllib.parse import quote, urlencode

from control_plane.domain.ids import run_address, slug

HISTORY = "/history"
NEW_RUN = "/runs/new"
COMPARE = "/compare"
TARGETS = "/targets"
EXPERIMENTS = "/experiments"
WORKLOADS = "/workloads"
GLOSSARY = "/glossary"
COMPONENTS = "/components"
NOT_STARTING = "/not-starting"
TOOL_RESULTS = "/peers"
DOCS = "/docs"
OPENAPI = "/openapi.json"
SHARED = "/shared"
SHARES = "/shares"
AUDIT = "/audit"
TRENDS = "/trends"
REPEAT = "/repeat"

LONGEST_QUERY = 10_000
"""Of a query that stands in an address itself: each sign of its texts may take twelve there."""

MANUAL_TARGETS = f"{TARGETS}#by-hand"
CLIENT_CEILING = f"{TARGETS}#client-ceiling"


def run_url(run_id: str, trial: int | None = None, part: str = "") -> str:
    """Return the page of a run: of one of its trials, at the element with the id `part`."""
    query = f"?trial={trial}" if trial else ""
    return f"{run_address(run_id)}{query}" + (f"#{part}" if part else "")


def run_figure_url(run_id: str, name: str, trial: int | None = None) -> str:
    """Return the file with the numbers of a figure of a run, or of one of its trials."""
    return f"{run_address(run_id)}/figures/{name}.csv" + (f"?trial={trial}" if trial else "")


def compare_url(run_ids: Sequence[str]) -> str:
    """Return the page of these runs beside one another; the first is the baseline."""
    return f"{COMPARE}?runs={','.join(run_ids)}"


def runs_url(run_ids: Sequence[str]) -> str:
    """Return the page of a single run, or of several beside one another."""
    return compare_url(run_ids) if len(run_ids) > 1 else run_url(run_ids[0])


def tool_compare_url(ids: Sequence[str], *, anyway: bool = False, ending: str = "") -> str:
    """Return the page of results of other tools and runs beside one another, the first as base.

    `ending` is that of a file in its place: `.html`, `.csv` or `.md`.
    """
    asked = f"results={','.join(ids)}" + ("&anyway=1" if anyway else "")
    return f"{TOOL_RESULTS}/compare{ending}?{asked}"


def edit_url(run_id: str) -> str:
    """Return the form with the spec of a run."""
    return f"{NEW_RUN}?from={run_id}"


def remedy_url(run_id: str, remedy: str) -> str:
    """Return the form with the spec of a run, with the change of that key made to it."""
    return f"{edit_url(run_id)}&try={remedy}"


def share_url(kind: str, subject: str) -> str:
    """Return the page where a result is shared: a run, an experiment, or a comparison's query."""
    return f"{SHARES}/new?{urlencode({'kind': kind, 'subject': subject})}"


def trend_url(spec: str, query: str = "") -> str:
    """Return the trend of the spec with that digest, or of the spec of a run with that id."""
    return f"{TRENDS}/{spec}" + (f"?{query}" if query else "")


def history_url(query: str = "") -> str:
    """Return the list of runs, filtered by an encoded query."""
    return f"{HISTORY}?{query}" if query else HISTORY


def configuration_url(name: str) -> str:
    """Return the place of a configuration on the page of the targets."""
    return f"{TARGETS}#{slug(name)}"


def application_url(name: str, part: str = "") -> str:
    """Return the page of an application of the settings."""
    return f"{TARGETS}/applications/{quote(name)}" + (f"#{part}" if part else "")
