"""`threaded`: requests in a ThreadPoolExecutor, one thread for each user."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from control_plane.load.phase import Phase
from control_plane.load.strategies.requests_client import RequestsClient
from control_plane.load.strategies.strategy import Gear


class Threaded:
    """Each thread has a session of its own, or all share one."""

    def __init__(self, gear: Gear) -> None:
        shared = gear.plan.client.session == "shared"
        self._client = RequestsClient(gear, sessions=1 if shared else gear.plan.users)
        self._threads = ThreadPoolExecutor(max_workers=gear.plan.users)

    def run(self, phase: Phase) -> None:
        together = Barrier(phase.users, action=phase.start)
        users = [
            self._threads.submit(self._client.drive, user, phase, together.wait)
            for user in range(phase.users)
        ]
        for user in users:
            user.result()
