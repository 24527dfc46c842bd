"""Where AWS credentials come from.

Explicit keys are used as they are, and keys in the environment are read from there. Everything else is botocore's
chain: profiles (shared files, SSO, ``credential_process``, assumed roles), web identity, containers, instance metadata.
botocore is imported at the first need and runs in the fetching thread only; temporary credentials are refreshed by its
own ``RefreshableCredentials``.

What botocore reads besides is the process's environment; the file names, the profile and the region of ``environ`` are
given to it. Its HTTP is sent by our rules for proxies and certificates (`asyncllm._transport.blocking`).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .._transport.blocking import BlockingClient, Network
from ..errors import Advice, AsyncLLMError, AuthenticationError, ConfigurationError, ConnectError, TransportError
from . import botocore_internals
from .fetching import Fetched, Refreshing
from .sigv4 import AWSCredentials, AWSKeys

REFRESH_AHEAD = 895.0
"""Seconds before expiry: botocore itself refreshes when less than 900 are left."""
NOT_ASKED = Advice(provider="yes")
"""For credentials that are not there: the provider was not asked, and they may be there at the next call."""
SAFETY = 10.0
"""Seconds before expiry when keys are not used any more."""
_LONGEST = 1 << 22  # seconds; no temporary credential lives that long (48 days)

# Variables that botocore takes as settings of its session, so that they are read from the environment we were given;
# the last one of a setting wins.
_SETTINGS = (
    ("AWS_CONFIG_FILE", "config_file"),
    ("AWS_SHARED_CREDENTIALS_FILE", "credentials_file"),
    ("AWS_PROFILE", "profile"),
    ("AWS_DEFAULT_REGION", "region"),
    ("AWS_REGION", "region"),
)


class FixedKeys:
    """Gives the keys of the configuration. They cannot be refreshed."""

    __slots__ = ("_keys",)

    def __init__(self, keys: AWSKeys) -> None:
        self._keys = keys

    async def get(self) -> AWSKeys:
        """Returns the keys."""
        return self._keys

    async def refresh(self) -> bool:
        """Returns False, as written keys cannot be refreshed."""
        return False


def find_credentials(
    options: Mapping[str, Any], environ: Mapping[str, str], network: Network | None = None
) -> AWSCredentials:
    """Returns the source of an entry's credentials; nothing is read or fetched before the first request.

    Args:
        options: ``aws_access_key_id`` and ``aws_secret_access_key`` (and ``aws_session_token``), or ``profile_name``;
            ``region_name`` is where roles are assumed. Without any of them the whole chain is asked.
        environ: the environment.
        network: proxies and certificates for the traffic that credentials need.

    Returns:
        What `asyncllm._auth.sigv4.SigV4` takes. Its ``refresh`` asks the chain again.

    Raises:
        ConfigurationError: one of the two keys is missing, or a proxy cannot be used.
    """
    access, secret = _plain(options.get("aws_access_key_id")), _plain(options.get("aws_secret_access_key"))
    token = _plain(options.get("aws_session_token"))
    if access and secret:
        return FixedKeys(AWSKeys(access_key=access, secret_key=secret, token=token))
    if access or secret or token:
        missing = "aws_secret_access_key" if access else "aws_access_key_id"
        raise ConfigurationError(
            f"{missing} is missing: set both aws_access_key_id and aws_secret_access_key, or neither of the aws_ keys "
            "to use a profile or the credentials of the machine"
        )
    profile = _plain(options.get("profile_name"))
    bundle = environ.get("AWS_CA_BUNDLE")
    network = network or Network()
    if bundle and network.http.ca_bundle is None:
        network = replace(network, http=replace(network.http, ca_bundle=Path(bundle)))
    settings = {setting: environ[name] for name, setting in _SETTINGS if environ.get(name)}
    if region := _plain(options.get("region_name")):
        settings["region"] = region
    return Refreshing(_Chain(profile, settings, environ, BlockingClient(network, environ)).fetch)


def _plain(value: Any) -> str | None:
    """Returns an option's text, whether or not the configuration wrapped it as a secret."""
    if value is None or isinstance(value, str):
        return value or None
    found: str = value.get_secret_value()
    return found or None


class _Chain:
    """Asks botocore's chain of credentials, on the thread that fetches."""

    def __init__(
        self, profile: str | None, settings: Mapping[str, str], environ: Mapping[str, str], http: BlockingClient
    ) -> None:
        self._profile = profile
        self._settings = settings
        self._environ = environ
        self._http = http
        self._metadata: _Sender | None = None
        self._found: Any = None

    def fetch(self, renew: bool) -> Fetched[AWSKeys]:
        """Returns the keys; ``renew`` asks the whole chain again.

        Raises:
            AuthenticationError, ConnectError, ConfigurationError: each with a sentence that says what to do.
        """
        written = self._written()
        if written is not None:
            return Fetched(written)
        outcome = self._ask(renew)
        if isinstance(outcome, AsyncLLMError):
            raise outcome
        return outcome

    def _written(self) -> AWSKeys | None:
        """Returns the keys in the environment. They are used first, unless the entry names a profile; keys that
        expire are left to botocore.
        """
        access, secret = self._environ.get("AWS_ACCESS_KEY_ID"), self._environ.get("AWS_SECRET_ACCESS_KEY")
        if self._profile or not access or not secret or self._environ.get("AWS_CREDENTIAL_EXPIRATION"):
            return None
        token = self._environ.get("AWS_SESSION_TOKEN") or self._environ.get("AWS_SECURITY_TOKEN")
        return AWSKeys(access_key=access, secret_key=secret, token=token or None)

    def _ask(self, renew: bool) -> Fetched[AWSKeys] | AsyncLLMError:
        """Asks botocore, and raises our own errors in place of its exceptions, whose frames hold secrets."""
        try:
            if self._found is None or renew:
                self._found = None
                self._found = self._session().get_credentials()
            if self._found is None:
                return self._late() or AuthenticationError(self._nothing(), advice=NOT_ASKED)
            return _read(self._found)
        except AsyncLLMError as error:
            return error
        except botocore_internals.ProcessTooSlowError:
            self._found = None
            return AuthenticationError(
                f"the credential_process of the AWS profile did not end within {botocore_internals.PROCESS_LIMIT:g} s; "
                "run it by hand to see what it waits for",
                advice=NOT_ASKED,
            )
        except Exception as error:  # noqa: BLE001  # whatever a plug-in of the chain raises becomes a sentence
            self._found = None  # the next call asks the whole chain: new keys may be on the disk
            return self._late() or _explain(error, self._profile or self._settings.get("profile"))

    def _late(self) -> AsyncLLMError | None:
        """Returns the error for a metadata service that did not answer. It may still have credentials."""
        if self._metadata is None or not self._metadata.late:
            return None
        self._metadata.late = False
        return ConnectError(
            "the metadata service that gives AWS credentials did not answer in time; it is asked again at the next try"
        )

    def _session(self) -> Any:
        import botocore.session

        profile = self._profile
        if not self._environ.get("AWS_ACCESS_KEY_ID"):  # a profile of the environment comes after its keys
            profile = profile or self._settings.get("profile")
        session = botocore.session.Session(profile=profile)
        for name, value in self._settings.items():
            if name != "profile":
                session.set_config_variable(name, value)
        # Every request of the chain's clients is sent here; without this botocore would choose proxies by itself.
        session.register("before-send", _Sender(self._http).send)
        timeout = float(session.get_config_variable("metadata_service_timeout"))
        self._metadata = _Sender(self._http, timeout)
        botocore_internals.replace_sessions(session, self._metadata)
        botocore_internals.limit_processes(session)
        botocore_internals.refuse_prompts(session)
        return session

    def _nothing(self) -> str:
        where = f"profile {self._profile!r}" if self._profile else "the environment, the shared config files"
        return (
            f"no AWS credentials were found in {where}, SSO, web identity, container or instance metadata; set "
            "aws_access_key_id and aws_secret_access_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a "
            "profile_name, or run `aws configure` or `aws sso login`"
        )


class _Sender:
    """Sends botocore's requests over our client; a value in the place of its own HTTP session.

    Args:
        client: our way to the network.
        timeout: seconds, for metadata servers, which are reached through no proxy; None for all other servers.
    """

    def __init__(self, client: BlockingClient, timeout: float | None = None) -> None:
        self._client = client
        self._timeout = timeout
        self.late = False
        """A server was there, but did not answer, or not in time."""

    def send(self, request: Any, **_: Any) -> Any:
        """The answer as botocore's ``AWSResponse``.

        Raises:
            botocore's EndpointConnectionError: the server could not be reached.
        """
        from botocore.awsrequest import AWSResponse, HeadersDict
        from botocore.exceptions import EndpointConnectionError

        body = request.body.read() if hasattr(request.body, "read") else request.body
        headers = {
            name: value.decode("latin-1") if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        try:
            answer = self._client.send(
                request.url, request.method, body, headers, self._timeout, direct=self._timeout is not None
            )
        except TransportError as error:
            self.late = self.late or not isinstance(error, ConnectError)
            word = error.message
        else:
            self.late = self.late or answer.status >= 500
            return AWSResponse(request.url, answer.status, HeadersDict(answer.headers.items()), _Body(answer.data))
        raise EndpointConnectionError(endpoint_url=request.url, error=word)


class _Body:
    """Gives a body that has been read, as botocore reads bodies."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        """Yields the body in one piece."""
        yield self._data

    def read(self, *_: Any, **__: Any) -> bytes:
        """Returns the body."""
        return self._data


def _read(found: Any) -> Fetched[AWSKeys]:
    frozen = found.get_frozen_credentials()  # refreshes first, where that is due
    keys = AWSKeys(access_key=frozen.access_key, secret_key=frozen.secret_key, token=frozen.token or None)
    left = _seconds_left(found)
    now = time.time()
    return Fetched(keys, refresh_at=now + left - min(REFRESH_AHEAD, left / 2), expires_at=now + left - SAFETY)


def _seconds_left(found: Any) -> float:
    """Returns the seconds until the credentials expire. botocore only says whether fewer than a given number are
    left, so we search by bisection.
    """
    needed = getattr(found, "refresh_needed", None)
    if needed is None or not needed(_LONGEST):
        return math.inf
    least, most = 0, _LONGEST
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if needed(middle) else (middle, most)
    return least


def _explain(error: Exception, profile: str | None) -> AsyncLLMError:
    """Returns a sentence for an exception of botocore. It names the profile and a service's error code, but never a
    service's text.
    """
    from botocore import exceptions

    of = f" --profile {profile}" if profile else ""
    if isinstance(error, exceptions.ProfileNotFound):
        return AuthenticationError(
            f"there is no AWS profile {profile!r} in the shared config files; correct profile_name, or make it with "
            f"`aws configure{of}`",
            advice=NOT_ASKED,
        )
    if isinstance(
        error,
        (exceptions.SSOError, exceptions.TokenRetrievalError, exceptions.UnauthorizedSSOTokenError),
    ):
        return AuthenticationError(
            f"the AWS single sign-on session is missing or has expired; run `aws sso login{of}`", advice=NOT_ASKED
        )
    if isinstance(error, exceptions.ClientError):
        return _refusal(error.response.get("Error", {}))
    if isinstance(error, botocore_internals.CodeNeededError):
        return AuthenticationError(
            "the AWS role wants a code of a second factor (mfa_serial), which nobody can type here; sign in "
            f"beforehand, for instance with `aws sts get-session-token{of}`, or take a role without mfa_serial",
            advice=NOT_ASKED,
        )
    if isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError)):
        return ConnectError(
            f"the server that gives AWS credentials could not be reached ({type(error).__name__}); check the network, "
            "and http.proxy and http.ca_bundle if it is behind a proxy"
        )
    if isinstance(error, exceptions.CredentialRetrievalError):
        source = getattr(error, "kwargs", {}).get("provider", "its source")
        return AuthenticationError(
            f"AWS credentials could not be fetched from {source}; run the source by hand to see why, for instance "
            f"with `aws sts get-caller-identity{of}`",
            advice=NOT_ASKED,
        )
    return AuthenticationError(
        f"AWS credentials could not be read ({type(error).__name__}); check the shared config files, for instance with "
        f"`aws sts get-caller-identity{of}`",
        advice=NOT_ASKED,
    )


_CODE = re.compile(r"[A-Za-z0-9.]{1,60}")
_CLOCK_CODES = frozenset({"RequestExpired", "RequestTimeTooSkewed"})
_CLOCK_WORDS = ("signature expired", "not yet current")


def _refusal(told: Mapping[str, Any]) -> AuthenticationError:
    """Returns the error for a refusal by a token service. Its text may repeat what it was sent, so it is not quoted."""
    code = str(told.get("Code", ""))
    code = code if _CODE.fullmatch(code) else ""
    text = str(told.get("Message", "")).lower()
    if code in _CLOCK_CODES or any(words in text for words in _CLOCK_WORDS):
        return AuthenticationError(
            "AWS refused the request for credentials because of its time: this machine's clock is wrong; set it",
            code=code or None,
        )
    return AuthenticationError(
        f"AWS refused to give temporary credentials{f' ({code})' if code else ''}; check the role, its trust policy "
        "and the credentials it is assumed with",
        code=code or None,
    )
