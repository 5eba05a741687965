"""How the dataclasses of the spec read JSON: right types only, no unknown keys, no NaN."""

from pydantic import ConfigDict

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
