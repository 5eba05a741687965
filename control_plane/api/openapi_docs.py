"""What the OpenAPI document holds beyond what FastAPI reads from the signatures."""

from typing import Any

from control_plane.domain.spec import SubmittedSpec
from control_plane.domain.spec_json import adapter

_ERROR = {
    "type": "object",
    "required": ["error", "message", "fields"],
    "properties": {
        "error": {"type": "string"},
        "message": {"type": "string"},
        "fields": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message", "limit"],
                "properties": {
                    "field": {"type": "string"},
                    "message": {"type": "string"},
                    "limit": {},
                },
            },
        },
    },
}


def _error_response(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ERROR}}}


ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: _error_response("Not readable"),
    404: _error_response("No such run"),
    409: _error_response("The present state forbids it"),
    413: _error_response("The body is too large"),
    415: _error_response("Not JSON"),
    422: _error_response("A field is wrong"),
    429: _error_response("The queue is full"),
    503: _error_response("The database is busy"),
}


def spec_schemas() -> dict[str, Any]:
    """Return the schema of the spec, and of all that it holds, by name."""
    spec = adapter(SubmittedSpec).json_schema(ref_template="#/components/schemas/{model}")
    return {**spec.pop("$defs", {}), "Spec": spec}


SPEC_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Spec"}}},
    }
}

BUNDLE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/vnd.sqlite3": {"schema": {"type": "string", "format": "binary"}}},
    }
}
