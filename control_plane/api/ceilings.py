"""What each client can do at most on this machine."""

from fastapi import APIRouter

from control_plane.api.dependencies import StoreDep
from control_plane.domain.spec_json import Document
from control_plane.jobs.stored_ceilings import ceiling_documents

router = APIRouter(tags=["ceilings"])


@router.get("/ceilings")
def ceilings(store: StoreDep) -> Document:
    """`ceilings`, newest first; of one client, the first with `here` true is the one that counts.

    `here`: measured on this machine with the present Python and client libraries. `at_least`: the
    responder was at its limit, so that the client can do more. Runs whose target is
    `{"configuration": "bare responder"}` make them: `run` names the one.
    """
    return {"ceilings": ceiling_documents(store)}
