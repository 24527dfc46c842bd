"""The one module that reads and writes wire JSON."""

from __future__ import annotations

import json
from typing import Any

from .errors import BadRequestError, ProtocolError


class WireJSON:
    """Strict JSON, both ways."""

    def loads(self, data: bytes | str) -> Any:
        """Parses; raises `ProtocolError` on anything that is not JSON."""
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            pass
        raise ProtocolError("the provider's answer is not valid JSON")

    def dumps(self, value: Any) -> bytes:
        """Writes compact UTF-8; raises `BadRequestError` on what JSON cannot say."""
        try:
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, TypeError, RecursionError) as error:
            reason = str(error)
        raise BadRequestError(f"the request holds a value that JSON cannot say: {reason}")
