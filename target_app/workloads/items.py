"""Small answers without any wait: what the server and the framework cost by themselves."""

import random
from string import ascii_lowercase

from target_app.workload_router import Ready, WorkloadRouter

ANY_ITEM = Ready({"item_id": {"kind": "integer", "low": 1, "high": 24999}})

workload = WorkloadRouter("items", "Small answers without any wait.")


@workload.serve("GET", "/items/{item_id}", ready=ANY_ITEM)
async def read_item(item_id: int) -> dict[str, int]:
    """The number from the path."""
    return {"item_id": item_id}


@workload.serve("GET", "/")
async def random_letters() -> dict[str, str]:
    """Five random lowercase letters."""
    return {"data": "".join(random.choices(ascii_lowercase, k=5))}
