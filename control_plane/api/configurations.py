"""The configurations that a spec can name."""

from dataclasses import asdict

from fastapi import APIRouter

from control_plane.api.dependencies import RunServiceDep
from control_plane.domain.spec_json import Document

router = APIRouter(tags=["configurations"])


@router.get("/configurations")
def configurations(service: RunServiceDep) -> list[Document]:
    return [
        {
            "name": one.name,
            "target": asdict(one.target),
            "builtin": one.builtin,
            "available": one.available,
            "missing_extra": one.missing_extra,
        }
        for one in service.configurations.all()
    ]
