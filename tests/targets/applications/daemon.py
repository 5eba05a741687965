"""Leaves a daemon behind: a session of its own, deaf to SIGTERM, not Python."""

import subprocess

from asgi import application  # type: ignore[import-not-found]  # lies beside it when served

subprocess.run(
    ["sh", "-c", "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 300' > /dev/null 2>&1 &"],
    check=True,
)
app = application({})
