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
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .._transport.blocking import Answer, BlockingClient
from ..errors import ConnectError, TransportError

ADDRESS = "169.254.169.254"
ATTEMPTS = 3
TIMEOUT = 3.0
_HEADERS: Mapping[str, str] = {"Metadata-Flavor": "Google"}


class MetadataUnavailableError(Exception):
    """Tells that there is no metadata server here, or that it has no service account to give tokens for."""


class MetadataLateError(Exception):
    """Tells that a metadata server did not answer, or not in time, or with an error that passes."""


# What runs on Google Cloud, by the variables that it is given there.
_MACHINES = (
    *("GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"),
    *("K_SERVICE", "CLOUD_RUN_JOB", "CLOUD_RUN_WORKER_POOL", "FUNCTION_TARGET", "GAE_SERVICE"),
)
PRODUCT_FILE = Path("/sys/class/dmi/id/product_name")
"""What sort of machine it is, for virtual machines of Google, GKE's nodes included."""


def on_google(environ: Mapping[str, str]) -> bool:
    """Whether this is a machine or a container of Google Cloud, as far as can be told without asking the network."""
    if environ.get("NO_GCE_CHECK", "").lower() == "true":
        return False
    if any(environ.get(name) for name in _MACHINES):
        return True
    try:
        return PRODUCT_FILE.read_text("utf8").startswith("Google")
    except (OSError, ValueError):
        return False


class MetadataServer:
    """Asks the metadata server of a machine of Google's, as the environment names it.

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
        self._named = any(named)
        timeout = environ.get("GCE_METADATA_TIMEOUT", "")
        self._timeout = float(timeout) if timeout.isdecimal() else TIMEOUT
        self._absent = environ.get("NO_GCE_CHECK", "").lower() == "true"
        self._http = http
        self._sleep = sleep

    def token(self, scope: str) -> tuple[str, float]:
        """Returns a token of the machine's service account, and for how many seconds it is good.

        Raises:
            MetadataUnavailableError: there is none.
            MetadataLateError: it could not be asked now.
        """
        found: Any = self._get(f"instance/service-accounts/default/token?scopes={quote(scope, safe='')}")
        try:
            value = json.loads(found)
            return str(value["access_token"]), float(value["expires_in"])
        except (ValueError, TypeError, KeyError):
            pass
        raise MetadataUnavailableError("the metadata server answered something that is not a token")

    def project(self) -> str | None:
        """Returns the project of the machine; None if it has none.

        Raises:
            MetadataLateError: it could not be asked now.
        """
        try:
            return self._get("project/project-id").decode("ascii", "replace").strip() or None
        except MetadataUnavailableError:
            return None

    def _get(self, path: str) -> bytes:
        if self._absent:
            raise MetadataUnavailableError("NO_GCE_CHECK says there is no metadata server")
        late = False
        for attempt in range(ATTEMPTS):
            if attempt:
                self._sleep(0.5 * attempt)
            try:
                answer = self._ask(path)
            except ConnectError:
                continue
            except TransportError:
                late = True
                continue
            if answer.status >= 500 or answer.status == 429:
                late = True
                continue
            # Anything may listen at that address elsewhere; the header says that it is Google's.
            if answer.status == 200 and answer.headers.get("metadata-flavor") == "Google":
                return answer.data
            raise MetadataUnavailableError(
                f"the metadata server answered {answer.status}: no service account is attached"
            )
        if late or self._named:
            raise MetadataLateError("the metadata server did not answer, or not in time")
        raise MetadataUnavailableError("there is no metadata server")

    def _ask(self, path: str) -> Answer:
        return self._http.send(self._root + path, "GET", None, _HEADERS, self._timeout, direct=True)
