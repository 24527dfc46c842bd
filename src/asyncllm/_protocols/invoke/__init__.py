"""The bodies that Bedrock's older text models take through InvokeModel: a row of data for each vendor.

Failures are read in `asyncllm._protocols.aws_shapes`, as Converse's are. There is no ``messages`` file, since a
conversation becomes one prompt, which the vendor's row writes (``dialect``); and no ``parts``, since only text can be
sent.
"""

from __future__ import annotations

from ..aws_shapes import read_error
from ..codec import Codec
from .dialect import FAMILIES, InvokeDialect, TextFamily, family_of
from .request import write_request
from .response import read_response
from .stream import InvokeStreamDecoder

__all__ = ["FAMILIES", "InvokeDialect", "InvokeModel", "TextFamily", "family_of"]


def InvokeModel(family: TextFamily, max_tokens: int | None = None) -> Codec[InvokeDialect]:  # noqa: N802  # a format
    """Makes the codec of one vendor's text body; its streams are AWS event streams of chunks
    (`asyncllm._framing.invoke`).

    Args:
        family: the vendor's row.
        max_tokens: how much to ask for when the caller does not say; None leaves it to the model's own default.
    """
    return Codec(
        name="invoke",
        dialect=InvokeDialect(family=family, max_tokens=max_tokens),
        write=write_request,
        read=read_response,
        read_error=read_error,
        stream=InvokeStreamDecoder,
    )
