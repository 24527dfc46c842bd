"""Takes keys, accounts and e-mail addresses out of recorded traffic.

The rule: what is taken out is replaced by as many bytes, letters by ``x`` and digits by ``0``. So the pieces in which
a body came stay as they were, JSON stays JSON, and lengths in binary frames stay true; only their checksums are
written anew.

What is taken out: the values of the request's credential headers wherever they appear, what looks like a vendor's key,
e-mail addresses, AWS account numbers in ARNs, organization, project and user ids of OpenAI, names of Google Cloud
projects, names of Azure resources, and what the user's own patterns find.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from zlib import crc32

from .record import CREDENTIALS

if TYPE_CHECKING:
    from re import Pattern

EVENT_STREAM = "application/vnd.amazon.eventstream"

_FOUND = re.compile(
    r"""(?x)
      (?:sk|pk|rk|gsk|hf|r8|pplx|csk|fw|nvapi|ghp|gho|ya29)[-_.](?=[A-Za-z0-9_.-]*\d)[A-Za-z0-9_.-]{16,}   # keys
    | (?:xai-|AIza|AKIA|ASIA|ABIA|ABSK)[A-Za-z0-9_+/=-]{12,}
    | eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*                                               # a JWT
    | [A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}                                    # e-mail
    | (?<=:)\d{12}(?=:)                                                                          # account in an ARN
    | (?:org|proj|user)[-_][A-Za-z0-9]{16,}                                                      # ids of OpenAI
    | (?<=projects/)[a-z0-9-]+                                                                   # Google Cloud
    """
)
_SHORTEST_SECRET = 8  # a shorter "key" may be any word
_REPLACED = re.compile(r"\\u[0-9A-Fa-f]{4}|\\.|[^\W_]", re.DOTALL)
_SECRET_QUERY = frozenset({"key", "api_key", "access_token", "token", "x-amz-signature", "x-amz-credential"})
_KEPT_HEADERS = re.compile(
    r"content-type|content-encoding|retry-after(-ms)?|x-should-retry|(x-|anthropic-|apim-|x-amzn-)?request-?id"
    r"|x-amzn-errortype|x-amzn-bedrock-.*|x-ratelimit-.*|anthropic-ratelimit-.*|openai-(version|processing-ms)"
)
_HEAD = Struct("!II")
_CRC = Struct("!I")
_SMALLEST = 16  # bytes of an AWS message without headers and payload


class Scrubber:
    """Takes secrets out of one exchange.

    Args:
        own: more patterns; what they match is taken out.
        secrets: texts to take out wherever they appear.
    """

    __slots__ = ("_own", "_secrets")

    def __init__(self, own: Sequence[str | Pattern[str]] = (), secrets: Iterable[str] = ()) -> None:
        self._own = tuple(re.compile(pattern) for pattern in own)
        found = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        self._secrets = sorted(found, key=len, reverse=True)

    def knowing(self, headers: Mapping[str, str]) -> Scrubber:
        """Returns the same rules, with the credentials that these request headers hold."""
        held = [value for name, value in headers.items() if name.lower() in CREDENTIALS]
        words = [word for value in held for word in value.replace(",", " ").split()]
        new = Scrubber((), [*self._secrets, *words])
        new._own = self._own
        return new

    def text(self, text: str) -> str:
        """Returns the text without secrets, as long as before."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, _blank(secret))
        for pattern in (_FOUND, *self._own):
            text = pattern.sub(lambda found: _blank(found[0]), text)
        return text

    def url(self, url: str) -> str:
        """Returns the URL without keys in its query; names of projects, accounts and resources are ``x`` or zeros."""
        parts = urlsplit(url)
        query = [(name, value) for name, value in parse_qsl(parts.query) if name.lower() not in _SECRET_QUERY]
        path = re.sub(r"(?<=/projects/)[^/]+", "x", parts.path)
        path = self.text(re.sub(r"(:|%3A|%3a)\d{12}(?=:|%3A|%3a)", rf"\g<1>{'0' * 12}", path))
        host = re.sub(r"^[^.]+(?=\.(?:openai|services\.ai)\.azure\.com|\.cognitiveservices)", "x", parts.netloc)
        return urlunsplit((parts.scheme, host.rpartition("@")[2], path, urlencode(query), ""))

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Returns the response headers that tell something of the wire; all others are left out."""
        kept = {name.lower(): value for name, value in headers.items() if _KEPT_HEADERS.fullmatch(name.lower())}
        return {name: self.text(value) for name, value in kept.items()}

    def body(self, body: bytes, content_type: str) -> bytes:
        """Returns the body without secrets, as long as before."""
        if content_type.startswith(EVENT_STREAM):
            return b"".join(self._message(message) for message in _messages(body))
        return self._bytes(body)

    def _bytes(self, data: bytes) -> bytes:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
            return self.text(text).encode("latin-1", "replace")
        return self.text(text).encode("utf-8")

    def _message(self, message: bytes) -> bytes:
        if len(message) < _SMALLEST or _HEAD.unpack_from(message)[0] != len(message):
            return self._bytes(message)  # the stream was cut here
        scrubbed = self._bytes(message[12:-4])
        if scrubbed == message[12:-4]:
            return message
        whole = message[:12] + scrubbed
        return whole + _CRC.pack(crc32(whole))


def _messages(body: bytes) -> Iterable[bytes]:
    """Yields the messages of an AWS event stream; what is left over at the end is one too."""
    start = 0
    while len(body) - start >= _SMALLEST:
        total = _HEAD.unpack_from(body, start)[0]
        if not _SMALLEST <= total <= len(body) - start:
            break
        yield body[start : start + total]
        start += total
    if start < len(body):
        yield body[start:]


def _blank(text: str) -> str:
    """Returns as many bytes that say nothing; escapes of JSON are kept, so that JSON stays JSON."""

    def blank(found: re.Match[str]) -> str:
        one = found[0]
        if one.startswith("\\"):
            return one
        return "0" if one.isascii() and one.isdigit() else "x" * len(one.encode("utf-8"))

    return _REPLACED.sub(blank, text)
