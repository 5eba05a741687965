"""HTML for people."""

from fastapi import APIRouter

from control_plane.pages import (
    applications,
    by_hand,
    ceilings,
    compare,
    configurations,
    docs,
    exports,
    history,
    home,
    live,
    new_run,
    offer,
    queue,
    run,
    targets,
    words,
    workloads,
)

router = APIRouter(include_in_schema=False)
router.include_router(home.router)
router.include_router(new_run.router)
router.include_router(offer.router)
router.include_router(history.router)
router.include_router(targets.router)
router.include_router(configurations.router)
router.include_router(by_hand.router)
router.include_router(applications.router)
router.include_router(workloads.router)
router.include_router(ceilings.router)
router.include_router(docs.router)
router.include_router(queue.router)
router.include_router(words.router)
router.include_router(exports.router)
router.include_router(compare.router)
router.include_router(live.router)
router.include_router(run.router)
