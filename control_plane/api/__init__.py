"""JSON for programs, under `/api/`."""

from fastapi import APIRouter

from control_plane.api import applications, ceilings, compare, configurations, runs, status

router = APIRouter()
router.include_router(applications.router, prefix="/api")
router.include_router(runs.router, prefix="/api")
router.include_router(compare.router, prefix="/api")
router.include_router(ceilings.router, prefix="/api")
router.include_router(configurations.router, prefix="/api")
router.include_router(status.router)
