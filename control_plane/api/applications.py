"""The applications that a spec can name beside the bundled one."""

from fastapi import APIRouter

from control_plane.api.dependencies import RunServiceDep
from control_plane.domain.spec_json import Document

router = APIRouter(tags=["applications"])


@router.get("/applications")
def applications(service: RunServiceDep) -> list[Document]:
    """Those of the settings, by name. `server` is `command`, or null where a spec chooses one."""
    return [
        {
            "name": one.name,
            "server": "command" if one.command else None,
            "ready_path": one.ready_path,
            "start_timeout_s": one.start_timeout_s,
        }
        for one in service.applications()
    ]
