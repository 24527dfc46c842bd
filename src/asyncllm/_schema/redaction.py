"""Takes credentials out of what an error shows: its texts, and the local variables of the frames it went through.

What looks like a key goes out of every text (`redact`). A key may have any shape, and a server may echo it anywhere in
its answer: so the key of the call itself is looked for by its value (`without`), and the functions in which the answer
was read forget it (`forget_locals`), because error trackers collect the local variables of frames.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from itertools import takewhile
from typing import Any, TypeVar

Found = TypeVar("Found")
_SECRETS = re.compile(
    r"""(?ix)
    (\b(?:bearer|basic)\s+)[^\s"',;]{6,}                                    # an Authorization value
    | \b(?:sk|pk|rk|gsk|hf|key|r8|pplx|csk|fw|nvapi|ghp|gho|ya29)[-_.][A-Za-z0-9*._\-]{6,}   # vendor key shapes
    | \bxai-[A-Za-z0-9*]{6,}                                               # not XAI_API_KEY, not providers.xai.api_key
    | \bAIza[0-9A-Za-z_\-*]{10,}
    | \b(?:AKIA|ASIA|ABIA|ABSK)[0-9A-Za-z+/=]{12,}
    | \beyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*            # a JWT
    | ([?&](?:key|api_key|access_token|token)=)[^&\s"']+
    """
)
_MOST_TEXT = 500
_REDACTED = "[redacted]"
_TELLING = 8  # so many characters of a key are no coincidence
_MAY_WAIT = CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR


def redact_all(text: str) -> str:
    """The text without anything that looks like a credential."""
    return _SECRETS.sub(lambda found: f"{found[1] or found[2] or ''}[redacted]", text)


def redact(text: str) -> str:
    """Returns the text without anything that looks like a credential, cut to 500 characters."""
    text = redact_all(text)
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"


def looks_like_key(text: str) -> bool:
    """Whether a text has the form of a vendor's key."""
    return _SECRETS.fullmatch(text.strip()) is not None


def without(secret: str, text: str) -> str:
    """Returns the text without the secret. If the text was cut inside the secret, its beginning is removed too."""
    text = text.replace(secret, _REDACTED)
    start = text.find(secret[:_TELLING])
    if start < 0:
        return text
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text[start:], secret, strict=False)))
    return text[:start] + _REDACTED + text[start + same :]


def forget_locals(error: BaseException) -> None:
    """Clears the local variables in the traceback frames of an error and of its causes.

    File names and line numbers stay. Coroutines and generators keep theirs: one that waits would be closed by this.
    """
    one: BaseException | None = error
    while one is not None:
        trace = one.__traceback__
        while trace is not None:
            if not trace.tb_frame.f_code.co_flags & _MAY_WAIT:
                with suppress(RuntimeError):  # it still runs: it is handling the error
                    trace.tb_frame.clear()
            trace = trace.tb_next
        one = one.__cause__ or one.__context__


def without_trace(read: Callable[..., Found], value: Any, *more: Any) -> Found:
    """Reads an answer. Where that fails, no frame of the error holds the answer, in which a server may echo a key.

    Args:
        read: raises one of our errors for an answer that it does not understand.
        value: the answer.
        *more: further arguments of ``read``.
    """
    try:
        return read(value, *more)
    except Exception as error:
        del value
        forget_locals(error)
        raise
