"""Python's hash seed of a target: the same for all runs of a seed, another in each trial."""

from pathlib import Path

from tests.dashboard import Dashboard
from tests.in_process import in_process

APPLICATION = """
import os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        with open("seeds", "a") as seeds:
            seeds.write(os.environ["PYTHONHASHSEED"] + "\\n")
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind.endswith("shutdown"):
                return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})
"""


def measured(looplab: Dashboard, seed: int) -> None:
    stream = {
        "requests": [{"path": "/"}],
        "load": {"model": "closed", "concurrency": 1},
        "stop": {"requests": 5},
    }
    spec = {
        "target": {"application": "seeds"},
        "client": {"strategy": "raw"},
        "workload": {"streams": [stream]},
        "warmup_s": 0,
        "trials": 2,
        "seed": seed,
    }
    looplab.finished(looplab.submit(spec))


def test_it_comes_from_seed_and_block(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    config = tmp_path / "looplab.toml"
    config.write_text(f'[applications.seeds]\napp = "app:app"\ndirectory = "{tmp_path}"\n')
    with in_process(tmp_path, config) as looplab:
        for _ in range(2):
            measured(looplab, seed=1)
    first, second, again, more = (tmp_path / "seeds").read_text().split()
    assert (first, second) == (again, more)
    assert first != second
