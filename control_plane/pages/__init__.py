"""HTML for people."""

from fastapi import APIRouter

from control_plane.pages import docs, queue, words

router = APIRouter(include_in_schema=False)
router.include_router(docs.router)
router.include_router(queue.router)
router.include_router(words.router)
