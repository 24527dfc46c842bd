"""Who a request to AWS comes from: a bearer key, or a SigV4 signature, which is worked out again and compared.

The access key id is the credential that `Simulator(require_key=...)` speaks of; the secret that belongs to every
accepted one is `SECRET`. Without ``require_key`` only the form of a signature is checked.

Recipe: botocore's auth.py (``SigV4Auth``). The path is signed as it was sent, percent-encoded once more; the service is
``bedrock`` for the runtime and the control plane alike.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import quote

from ..record import Arrival
from .wire import Problem, accepted

SECRET = "sk-sim-secret"  # noqa: S105 - nothing secret: it is the same for everybody
SERVICE = "bedrock"

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/, ]+)/(?P<date>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)"
    r"/aws4_request"
    r",\s?SignedHeaders=(?P<signed>[a-z0-9;_-]+),\s?Signature=(?P<signature>[0-9a-f]{64})"
)
_INVALID_TOKEN = "The security token included in the request is invalid."  # noqa: S105 - a message
_INVALID_SIGNATURE = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


def check(arrival: Arrival, keys: tuple[str, ...] | None) -> Problem | None:
    """Returns what AWS would refuse the credentials of a request for; None if nothing.

    Args:
        arrival: the request.
        keys: the keys and access key ids that are accepted; None for any, and for none at all.
    """
    given = arrival.headers.get("authorization", "")
    if given.startswith("AWS4-HMAC-SHA256"):
        return _check_signature(arrival, given, keys)
    if keys is None:
        return None
    if not given:
        return _refusal("MissingAuthenticationTokenException", "Missing Authentication Token")
    if not accepted(given.removeprefix("Bearer ").strip(), keys):
        message = "Authentication failed: Please make sure your API Key is valid."
        return _refusal("AccessDeniedException", message)
    return None


def _check_signature(arrival: Arrival, given: str, keys: tuple[str, ...] | None) -> Problem | None:
    found = _AUTHORIZATION.fullmatch(given)
    date = arrival.headers.get("x-amz-date", "")
    if found is None or not re.fullmatch(r"\d{8}T\d{6}Z", date) or "host" not in found["signed"].split(";"):
        message = "Authorization header requires 'Credential', 'Signature', 'SignedHeaders' and an 'X-Amz-Date' header."
        return _refusal("IncompleteSignatureException", message)
    service = "s3" if arrival.path.startswith("/s3/") else SERVICE
    if found["service"] != service or not date.startswith(found["date"]):
        message = f"Credential should be scoped to correct service: '{service}'."
        return _refusal("InvalidSignatureException", message)
    if keys is None:
        return None
    if not accepted(found["key"], keys):
        return _refusal("UnrecognizedClientException", _INVALID_TOKEN)
    if not hmac.compare_digest(found["signature"], _signature(arrival, found, date)):
        return _refusal("InvalidSignatureException", _INVALID_SIGNATURE)
    return None


def _signature(arrival: Arrival, found: Mapping[str, str] | re.Match[str], date: str) -> str:
    path, _, query = arrival.target.partition("?")
    names = found["signed"].split(";")
    headers = "".join(f"{name}:{' '.join(arrival.headers.get(name, '').split())}\n" for name in names)
    body = sha256(arrival.content or b"").hexdigest()
    canonical = "\n".join(
        (
            arrival.method,
            quote(path, safe="/~"),
            "&".join(sorted(query.split("&"))),
            headers,
            found["signed"],
            arrival.headers.get("x-amz-content-sha256", body),
        )
    )
    scope = f"{found['date']}/{found['region']}/{found['service']}/aws4_request"
    key = f"AWS4{SECRET}".encode()
    for word in scope.split("/"):
        key = hmac.digest(key, word.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    return hmac.digest(key, text.encode(), "sha256").hex()


def _refusal(code: str, message: str) -> Problem:
    return Problem(status=403, code=code, message=message)
