"""Open files: each connection needs one."""

import resource

from control_plane.domain.errors import ClientFailed

_SPARE = 64
"""Files that a load worker opens besides its connections."""


def allow(connections: int) -> None:
    """Raise the soft limit where it is too low.

    Raises ClientFailed when the hard limit does not allow it.
    """
    needed = connections + _SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ClientFailed(
            f"client: {connections:,} connections need {needed:,} open files, the limit is "
            f"{hard:,}: raise it (ulimit -n {needed}) or use fewer"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
