"""Amazon Bedrock's Converse format: one body for the models of every vendor there.

Failures are read in `asyncllm._protocols.aws_shapes`, since InvokeModel has the same.
"""

from __future__ import annotations

from ..aws_shapes import read_error
from ..codec import Codec, verbs_in
from .dialect import ConverseDialect
from .request import write_request
from .response import read_response
from .stream import ConverseStreamDecoder

__all__ = ["Converse", "ConverseDialect"]

# What Converse cannot say goes through InvokeModel, with the same errors.
_VERBS = verbs_in("asyncllm._protocols.invoke", "embed", "rerank")


def Converse(dialect: ConverseDialect | None = None) -> Codec[ConverseDialect]:  # noqa: N802  # the name of a wire format
    """Makes the codec of Converse, as one host speaks it; its streams are AWS event streams."""
    return Codec(
        name="converse",
        dialect=ConverseDialect() if dialect is None else dialect,
        write=write_request,
        read=read_response,
        read_error=read_error,
        stream=ConverseStreamDecoder,
        operations=_VERBS,
    )
