"""What a spec can name as its target, and what each client can do at most on this machine."""

from dataclasses import asdict

from fastapi import APIRouter

from control_plane.dependencies import RunServiceDep, StoreDep
from control_plane.domain.spec_json import Document
from control_plane.jobs.configurations_and_ceilings import ceiling_documents

router = APIRouter(prefix="/api")


@router.get("/applications", tags=["applications"])
def applications(service: RunServiceDep) -> list[Document]:
    """Those of the settings, by name. `server` is `command`, or null where a spec chooses one."""
    return [
        {
            "name": application.name,
            "server": "command" if application.command else None,
            "ready_path": application.ready_path,
            "start_timeout_s": application.start_timeout_s,
        }
        for application in service.applications()
    ]


@router.get("/configurations", tags=["configurations"])
def configurations(service: RunServiceDep) -> list[Document]:
    """The configurations that a spec can name, those that come with Looplab first."""
    return [
        {
            "name": configuration.name,
            "target": asdict(configuration.target),
            "builtin": configuration.builtin,
            "available": configuration.available,
            "missing_extra": configuration.missing_extra,
        }
        for configuration in service.configurations.all()
    ]


@router.get("/ceilings", tags=["ceilings"])
def ceilings(store: StoreDep) -> Document:
    """Return the stored ceilings, newest first.

    Of one client, the first with `here` true is the one that counts.

    `here`: measured on this machine with the present Python and client libraries. `at_least`: the
    responder was at its limit, so that the client can do more. Runs whose target is
    `{"configuration": "bare responder"}` make them: `run` names the one.
    """
    return {"ceilings": ceiling_documents(store)}
