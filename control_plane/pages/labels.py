"""What the fields of the form are called."""

import re

_LABELS = {
    "title": "Title",
    "tags": "Tags",
    "seed": "Seed",
    "trials": "Trials",
    "warmup_s": "Warm-up",
    "timeout_s": "Deadline",
    "cores": "Cores",
    "target.configuration": "Configurations",
    "target.url": "Address",
    "target.workers": "Workers",
    "target.threads": "Pool threads",
    "target.keep_alive_s": "Keep-alive",
    "target.backlog": "Backlog",
    "target.settings": "Application settings",
    "client.strategy": "Strategy",
    "client.max_body_bytes": "Largest answer",
    "name": "Name",
    "start_after_s": "Starts after",
    "load": "Load",
    "load.concurrency": "Concurrency",
    "load.think_time_s": "Think time",
    "load.ramp_up_s": "Ramp-up",
    "load.connections": "Connections",
    "stop": "Stop after",
    "stop.requests": "Requests",
    "stop.duration_s": "Time",
    "path": "Path",
    "weight": "Weight",
    "headers": "Headers",
    "expect": "Expected statuses",
    "body": "Body",
    "body.json": "Body",
    "body.generated.size_bytes": "Size",
}
_INSIDE = re.compile(r"workload\.streams\.(\d+)\.(?:requests\.\d+\.)?(.*)")


def label_of(field: str) -> str:
    """`Concurrency`; `Stream 2: Path`; `item_id: low`; the path itself where nothing fits."""
    inside = _INSIDE.fullmatch(field)
    if inside is None:
        return _LABELS.get(field, field or "Spec")
    stream, rest = int(inside[1]), inside[2]
    name = _LABELS.get(rest) or rest.removeprefix("values.").replace(".", ": ", 1)
    return f"Stream {stream + 1}: {name}" if stream else name
