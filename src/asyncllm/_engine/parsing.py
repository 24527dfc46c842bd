"""The answer's text -> the type the caller asked for with ``response_format``."""

from __future__ import annotations

from typing import Any

from .._protocols.base import JSONCodec
from .._schema.response import Response
from ..errors import AsyncLLMError, StructuredOutputError
from .unary import Parse


def parser(response_format: Any, json: JSONCodec) -> Parse | None:
    """JSON for a schema or ``"json"``, an instance for a pydantic model class; None where nothing was asked."""
    if response_format is None:
        return None
    model = response_format if isinstance(response_format, type) else None

    def parse(response: Response) -> Any:
        if response.finish_reason != "stop":  # calls, refusals and cut answers are not of the asked type
            return None
        problem = ""
        try:
            return json.loads(response.text) if model is None else model.model_validate_json(response.text)  # type: ignore[attr-defined]
        except AsyncLLMError as error:
            problem = error.message
        except ValueError as error:  # pydantic's ValidationError is one
            problem = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'the answer'}: {item['msg']}"
                for item in getattr(error, "errors", list)()
            ) or str(error)
        raise StructuredOutputError(
            f"the answer does not fit response_format: {problem}",
            text=response.text,
            problems=tuple(problem.split("; ")),
            provider=response.provider,
            model=response.model,
            request_id=response.request_id,
            attempts=response.attempts,
        )

    return parse
