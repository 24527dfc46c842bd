"""Checks the URLs of a configuration: no part may hold a secret or send a request elsewhere."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

_SECRET = re.compile(r"key|token|secret|passw|sig|auth|code|credential", re.IGNORECASE)
_NEVER = frozenset(' \\"<>^`{|}')


def plain_url(
    url: str, *, schemes: tuple[str, ...] = ("http", "https"), may_log_in: bool = False, may_ask: bool = False
) -> str:
    """The URL without a trailing slash; a query stays behind it.

    Args:
        url: what was configured.
        schemes: what it may start with.
        may_log_in: a user name and a password are allowed in it.
        may_ask: a query is allowed, if no parameter of it is a secret.

    Raises:
        ValueError: it is no such URL, or has parts that a base URL cannot have. The text quotes nothing.
    """
    if not url.isascii() or not url.isprintable() or _NEVER & set(url):
        raise ValueError("must be a URL without spaces, control characters or backslashes")
    parts = _split(url)
    if parts is None or parts.scheme not in schemes or not parts.hostname:
        starts = " or ".join([f"{scheme}://" for scheme in schemes])
        raise ValueError(f"must be a URL that starts with {starts} and names a host")
    if "@" in parts.netloc and not may_log_in:
        raise ValueError("must be a URL without a user name or password; credentials have keys of their own")
    plain, mark, query = url.partition("?")
    if "#" in url or (mark and not may_ask):
        raise ValueError("must be a URL without a query or a fragment")
    if any(_SECRET.search(pair.partition("=")[0]) for pair in query.split("&")):
        raise ValueError("must be a URL without a secret in its query; api_key and headers carry secrets")
    return plain.rstrip("/") + (f"?{query}" if query else "")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # read for its check
    except ValueError:  # its text quotes the URL
        return None
    return parts
