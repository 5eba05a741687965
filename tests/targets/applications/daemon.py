"""Leaves a daemon behind: a session of its own, no environment, deaf to SIGTERM, not Python."""

import subprocess

from asgi import application  # type: ignore[import-not-found]  # lies beside it when served

DAEMON = "setsid env -i sh -c 'trap \"\" TERM; sleep 300' > /dev/null 2>&1 &"
subprocess.run(["sh", "-c", f"trap '' TERM; {DAEMON}"], check=True)
app = application({})
