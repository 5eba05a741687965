"""Takes no notice of SIGTERM."""

import signal

from asgi import application  # type: ignore[import-not-found]  # lies beside it when served

signal.signal = lambda *_: None
app = application({})
