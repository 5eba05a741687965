"""A task for the processor, run after the answer or before it, in each place where it can run."""

from typing import Annotated

from fastapi import BackgroundTasks, Path

from target_app.cpu import compute
from target_app.resources import ProcessesDep, SettingsDep
from target_app.target_settings import TargetSettings
from target_app.workload_router import Ready, WorkloadRouter

Message = Annotated[str, Path(max_length=200)]
A_WORD = Ready({"message": {"kind": "string", "length": 8}})

workload = WorkloadRouter(
    "background", "A CPU task of `cpu_n` steps around the answer.", opens=["processes"]
)


@workload.serve("POST", "/process-data/{message}", ready=A_WORD)
async def process_in_thread(
    message: Message, tasks: BackgroundTasks, settings: SettingsDep
) -> dict[str, str]:
    """Answers, then computes in a thread of the pool."""
    tasks.add_task(compute, settings.cpu_n)
    return {"message": message, "status": "accepted"}


@workload.serve("POST", "/process-data/loop/{message}", ready=A_WORD)
async def process_on_loop(
    message: Message, tasks: BackgroundTasks, settings: SettingsDep
) -> dict[str, str]:
    """Answers, then computes on the event loop and blocks it."""
    tasks.add_task(_compute_on_loop, settings)
    return {"message": message, "status": "accepted"}


@workload.serve("POST", "/process-data/inline/{message}", ready=A_WORD)
async def process_inline(message: Message, settings: SettingsDep) -> dict[str, str | int]:
    """Computes on the event loop, then answers with the result."""
    return {"message": message, "status": "done", "result": compute(settings.cpu_n)}


@workload.serve("POST", "/process-data/process/{message}", ready=A_WORD)
async def process_in_process(
    message: Message, tasks: BackgroundTasks, settings: SettingsDep, processes: ProcessesDep
) -> dict[str, str]:
    """Answers, then lets a process of the pool compute."""
    tasks.add_task(processes.compute, settings.cpu_n)
    return {"message": message, "status": "accepted"}


async def _compute_on_loop(settings: TargetSettings) -> None:
    """A coroutine that never awaits: BackgroundTasks run it on the loop."""
    compute(settings.cpu_n)
