"""Google's generateContent format, as the Gemini API and Vertex AI speak it.

`GeminiDialect` says which host a codec writes for. Replies that pause (``finish_reason`` ``"pause"``) go on with
`continuation` and `with_continuation`.
"""

from __future__ import annotations

from ..codec import Codec, verbs_in
from .dialect import GeminiDialect
from .errors import read_error
from .request import write_request
from .response import continuation, with_continuation
from .stream import GeminiStreamDecoder, read_response

__all__ = ["Gemini", "GeminiDialect", "continuation", "with_continuation"]

_VERBS = verbs_in(__name__, "embed", "rerank")


def Gemini(dialect: GeminiDialect | None = None) -> Codec[GeminiDialect]:  # noqa: N802  # the name of a wire format
    """Makes the codec of Google's generateContent format, as one host speaks it."""
    return Codec(
        name="gemini",
        dialect=GeminiDialect() if dialect is None else dialect,
        write=write_request,
        read=read_response,
        read_error=read_error,
        stream=GeminiStreamDecoder,
        operations=_VERBS,
    )
