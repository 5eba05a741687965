"""JSON for programs, under `/api/`."""

from fastapi import APIRouter

from control_plane.api import applications, ceilings, comparison, configurations, runs, status

router = APIRouter()
router.include_router(applications.router, prefix="/api")
router.include_router(runs.router, prefix="/api")
router.include_router(comparison.router, prefix="/api")
router.include_router(ceilings.router, prefix="/api")
router.include_router(configurations.router, prefix="/api")
router.include_router(status.router)
