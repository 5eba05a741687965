"""All pages in one router."""

from fastapi import APIRouter

from control_plane.pages.compare import compare
from control_plane.pages.exports import exports
from control_plane.pages.history import history
from control_plane.pages.home import home
from control_plane.pages.new_run import new_run, offer
from control_plane.pages.run import live, run
from control_plane.pages.site import docs, queue, words
from control_plane.pages.targets import applications, by_hand, ceilings, configurations, targets
from control_plane.pages.workloads import workloads

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
