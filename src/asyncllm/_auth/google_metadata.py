"""Tokens from Google's metadata server, which every machine and container of Google Cloud has.

google-auth can ask it only where the package ``requests`` is installed, and it settles the server's address when it is
imported; so it is asked here. The address is the server's own number, not its name: outside of Google Cloud a name that
nobody knows may take half a minute. Source: Google Cloud, "View and query VM metadata"; google-auth 2.62
(compute_engine/_metadata.py), November 2026.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from .._transport.blocking import Answer, BlockingClient
from ..errors import TransportError

ADDRESS = "169.254.169.254"
ATTEMPTS = 3
TIMEOUT = 3.0
_HEADERS: Mapping[str, str] = {"Metadata-Flavor": "Google"}


class MetadataUnavailableError(Exception):
    """There is no metadata server here, or it has no service account to give tokens for."""


class MetadataServer:
    """The server, as the environment names it.

    Args:
        http: how it is reached.
        environ: ``GCE_METADATA_HOST`` (or ``GCE_METADATA_ROOT``, ``GCE_METADATA_IP``), ``GCE_METADATA_TIMEOUT`` in
            seconds, ``NO_GCE_CHECK``.
        sleep: waits between two attempts.
    """

    def __init__(
        self, http: BlockingClient, environ: Mapping[str, str], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        named = [environ.get(f"GCE_METADATA_{word}") for word in ("HOST", "ROOT", "IP")]
        self._root = f"http://{next(filter(None, named), ADDRESS)}/computeMetadata/v1/"
        timeout = environ.get("GCE_METADATA_TIMEOUT", "")
        self._timeout = float(timeout) if timeout.isdecimal() else TIMEOUT
        self._absent = environ.get("NO_GCE_CHECK", "").lower() == "true"
        self._http = http
        self._sleep = sleep

    def token(self, scope: str) -> tuple[str, float]:
        """A token of the machine's service account, and for how many seconds it is good.

        Raises:
            MetadataUnavailableError: there is none.
        """
        found: Any = self._get(f"instance/service-accounts/default/token?scopes={quote(scope, safe='')}")
        try:
            value = json.loads(found)
            return str(value["access_token"]), float(value["expires_in"])
        except (ValueError, TypeError, KeyError):
            pass
        raise MetadataUnavailableError("the metadata server answered something that is not a token")

    def project(self) -> str | None:
        """The project of the machine."""
        try:
            return self._get("project/project-id").decode("ascii", "replace").strip() or None
        except MetadataUnavailableError:
            return None

    def _get(self, path: str) -> bytes:
        if self._absent:
            raise MetadataUnavailableError("NO_GCE_CHECK says there is no metadata server")
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(0.5 * attempt)
            answer = self._ask(path)
            if answer is None or answer.status >= 500 or answer.status == 429:
                continue
            # Anything may listen at that address elsewhere; the header says that it is Google's.
            if answer.status == 200 and answer.headers.get("metadata-flavor") == "Google":
                return answer.data
            raise MetadataUnavailableError(
                f"the metadata server answered {answer.status}: no service account is attached"
            )
        raise MetadataUnavailableError("there is no metadata server")

    def _ask(self, path: str) -> Answer | None:
        try:
            return self._http.send(self._root + path, "GET", None, _HEADERS, self._timeout, direct=True)
        except TransportError:
            return None
