"""Takes away the folder that the probe would write to, before it is served."""

import os
import shutil

from asgi import application  # type: ignore[import-not-found]  # lies beside it when served

shutil.rmtree(os.environ["LOOPLAB_INSIDE"])
app = application({"/sleep": list})
