"""JSON for programs, under `/api/`, and what monitors read."""

from fastapi import APIRouter

from control_plane.api import compare, monitoring, runs, targets

router = APIRouter()
router.include_router(runs.router, prefix="/api")
router.include_router(compare.router, prefix="/api")
router.include_router(targets.router, prefix="/api")
router.include_router(monitoring.router)
