"""JSON for programs, under `/api/`, and what monitors read."""

from fastapi import APIRouter

from control_plane.api import experiments, monitoring, runs, targets

router = APIRouter()
router.include_router(runs.router, prefix="/api")
router.include_router(runs.pinned, prefix="/api")
router.include_router(runs.comparisons, prefix="/api")
router.include_router(runs.peers, prefix="/api")
router.include_router(experiments.router, prefix="/api")
router.include_router(targets.router, prefix="/api")
router.include_router(monitoring.access, prefix="/api")
router.include_router(monitoring.router)
