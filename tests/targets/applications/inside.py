"""Does to its worker what the look inside has to show."""

import time

from asgi import application  # type: ignore[import-not-found]  # lies beside it when served


def sleep():
    time.sleep(0.3)


app = application({"/sleep": sleep})
