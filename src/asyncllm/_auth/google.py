"""Where Google Cloud's tokens come from.

In Google's own order ("Application Default Credentials"): the file that the configuration names, the file that
``GOOGLE_APPLICATION_CREDENTIALS`` names, the file that ``gcloud auth application-default login`` wrote, the metadata
server. What stands in a file (a service account's key, a user's refresh token, workload identity federation, an
impersonation) is turned into tokens by google-auth, which is imported at the first need and runs in the fetching thread
only, over HTTP of ours. Its own ``google.auth.default`` is not used: it reads nothing but the process's environment,
starts ``gcloud``, and finds no metadata server without the package ``requests``.

Source: google-auth 2.62 (_default.py), November 2026.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from configparser import ConfigParser, ParsingError
from dataclasses import dataclass, field
from datetime import timezone
from importlib import import_module
from pathlib import Path
from typing import Any

from .._transport.base import Headers
from .._transport.blocking import Answer, BlockingClient, Network
from ..errors import Advice, AsyncLLMError, AuthenticationError, ConfigurationError, ConnectError
from ..errors import TransportError as OurTransportError
from .fetching import Fetched, Refreshing
from .google_metadata import MetadataLateError, MetadataServer, MetadataUnavailableError
from .keys import HeaderKey
from .signing import Auth

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
FILE_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT")
EXECUTABLES_VARIABLE = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"
REFRESH_AHEAD = 225.0
"""Seconds before expiry. The metadata server gives the same token again until 300 are left, so it must be less."""
NOT_ASKED = Advice(provider="yes")
"""For credentials that are not there: the provider was not asked, and they may be there at the next call."""
SAFETY = 10.0
"""Seconds before expiry when a token is not used any more."""
LOGIN = "`gcloud auth application-default login`"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleToken:
    """Holds an access token, and the project whose quota its requests use.

    Attributes:
        quota_project: the project that pays for and limits the requests, where the credentials name one.
    """

    token: str = field(repr=False)
    quota_project: str | None = None


class GoogleAuth:
    """Sends an OAuth access token that is refreshed in time; a value of `asyncllm._auth.signing.Auth`.

    Args:
        tokens: where the tokens come from.
        projects: where the project comes from.
    """

    __slots__ = ("_projects", "_tokens")

    def __init__(self, tokens: Refreshing[GoogleToken], projects: Refreshing[str | None]) -> None:
        self._tokens = tokens
        self._projects = projects

    async def project(self) -> str | None:
        """Returns the project of the credentials: the one in their file, or that of the machine."""
        return await self._projects.get()

    async def sign(self, method: str, url: str, headers: Headers, body: bytes) -> Headers:
        """Returns the headers with the token and, if they do not name one, the quota project.

        Raises:
            AuthenticationError: there are no credentials, or they are not good any more.
            ConnectError: the token server cannot be reached.
        """
        token = await self._tokens.get()
        sent = [pair for pair in headers if pair[0] != "authorization"]
        if token.quota_project and all(name != "x-goog-user-project" for name, _ in sent):
            sent.append(("x-goog-user-project", token.quota_project))
        return Headers([*sent, ("authorization", f"Bearer {token.token}")])

    async def refresh(self) -> bool:
        """Looks for the credentials again and gets a new token.

        Raises:
            AuthenticationError, ConnectError: as `sign` does.
        """
        return await self._tokens.refresh()


def find_auth(options: Mapping[str, Any], environ: Mapping[str, str], network: Network | None = None) -> Auth:
    """Returns the credential of an entry; nothing is read or fetched before the first request.

    Args:
        options: ``access_token`` (used as it is), or ``credentials_path``; else what the machine has.
        environ: the environment.
        network: proxies and certificates for the traffic that tokens need.

    Raises:
        ConfigurationError: an empty token, or a proxy that cannot be used.
    """
    token = options.get("access_token")
    if token is not None:
        return HeaderKey(token, where="access_token")
    http = BlockingClient(network, environ)
    credentials_file(options, environ)  # a content in the place of a path is told at once
    source = _Source(options.get("credentials_path"), environ, http)
    return GoogleAuth(Refreshing(source.fetch), Refreshing(source.project))


def credentials_file(options: Mapping[str, Any], environ: Mapping[str, str]) -> Path | None:
    """Returns the file with the credentials: the configured one, the environment's, or the one gcloud wrote if it
    exists.
    """
    named = options.get("credentials_path")
    if named is not None and not isinstance(named, (str, Path)):
        named = named.get_secret_value()  # the configuration wraps the path as well
    named = named or environ.get(FILE_VARIABLE)
    if named and ("{" in str(named) or "\n" in str(named)):
        raise ConfigurationError(
            f"credentials_path or {FILE_VARIABLE} holds the content of a credentials file; write that into a file and "
            "give its path"
        )
    if named:
        return Path(named).expanduser()
    folder = _gcloud_folder(environ)
    path = None if folder is None else folder / "application_default_credentials.json"
    return path if path is not None and path.is_file() else None


def _gcloud_folder(environ: Mapping[str, str]) -> Path | None:
    """Returns the folder where gcloud keeps its files; None if there is no home."""
    if folder := environ.get("CLOUDSDK_CONFIG"):
        return Path(folder)
    if roaming := environ.get("APPDATA"):
        return Path(roaming) / "gcloud"
    home = environ.get("HOME") or environ.get("USERPROFILE")
    return Path(home) / ".config" / "gcloud" if home else None


def _gcloud_project(environ: Mapping[str, str]) -> str | None:
    """Returns the project of the active configuration of gcloud (``gcloud config set project``)."""
    if named := environ.get("CLOUDSDK_CORE_PROJECT"):
        return named
    folder = _gcloud_folder(environ)
    if folder is None:
        return None
    settings = ConfigParser(interpolation=None)
    try:
        active = environ.get("CLOUDSDK_ACTIVE_CONFIG_NAME") or (folder / "active_config").read_text("utf8").strip()
        settings.read(folder / "configurations" / f"config_{active}", "utf8")
    except (OSError, ValueError, ParsingError):
        return None
    return settings.get("core", "project", fallback=None) or None


def find_project(options: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    """Returns the project to work in, as far as it can be told without asking a server.

    It is ``project_id``, else the environment's, else the one in the credentials file (service accounts' files have
    one), else that of gcloud's active configuration, else the file's quota project. The metadata server knows one too:
    `GoogleAuth.project` asks it.
    """
    named = options.get("project_id") or next(filter(None, map(environ.get, PROJECT_VARIABLES)), None)
    if named:
        return str(named)
    path = credentials_file(options, environ) if options.get("access_token") is None else None
    if path is None:
        return _gcloud_project(environ)
    return _project_in(path, "project_id") or _gcloud_project(environ) or _project_in(path, "quota_project_id")


def _project_in(path: Path, key: str) -> str | None:
    try:
        found = json.loads(path.read_bytes()).get(key)
    except (OSError, ValueError, AttributeError):
        return None  # the first request says what is wrong with the file
    return found if isinstance(found, str) and found else None


class _Source:
    """Reads the credentials and gets tokens, on the thread that fetches."""

    def __init__(self, named: Any, environ: Mapping[str, str], http: BlockingClient) -> None:
        self._options = {"credentials_path": named}
        self._environ = environ
        self._quota_project = environ.get("GOOGLE_CLOUD_QUOTA_PROJECT")
        self._http = http
        self._metadata = MetadataServer(http, environ)
        self._found: Any = None

    def fetch(self, renew: bool) -> Fetched[GoogleToken]:
        """Returns a new token; ``renew`` reads the credentials again first.

        Raises:
            AuthenticationError, ConnectError, ConfigurationError: each with a sentence that says what to do.
        """
        path = credentials_file(self._options, self._environ)  # a login in the meantime may have written one
        outcome = self._ask_machine() if path is None else self._ask_file(path, renew)
        if isinstance(outcome, AsyncLLMError):
            raise outcome
        token, left = outcome
        now = time.time()
        quota_project = self._quota_project or getattr(self._found, "quota_project_id", None)
        return Fetched(
            GoogleToken(token=token, quota_project=quota_project),
            refresh_at=now + left - min(REFRESH_AHEAD, left / 2),
            expires_at=now + left - SAFETY,
        )

    def project(self, renew: bool) -> Fetched[str | None]:  # a project is never refused
        """Returns the project of the file, of gcloud, or of the machine.

        Raises:
            ConnectError: the metadata server could not be asked now.
        """
        found = find_project(self._options, self._environ)
        late = False
        try:
            found = found or self._metadata.project()
        except MetadataLateError:
            late = True
        if late:
            raise _late()
        return Fetched(found)

    def _ask_machine(self) -> tuple[str, float] | AsyncLLMError:
        try:
            return self._metadata.token(SCOPE)
        except MetadataLateError:
            return _late()
        except MetadataUnavailableError as error:
            return AuthenticationError(
                f"no Google credentials were found: no access_token or credentials_path, no file in {FILE_VARIABLE}, "
                f"none written by gcloud, and {error}; run {LOGIN}, or set credentials_path to a service account's key",
                advice=NOT_ASKED,
            )

    def _ask_file(self, path: Path, renew: bool) -> tuple[str, float] | AsyncLLMError:
        """Asks google-auth, and raises our own errors in place of its exceptions, whose frames hold secrets."""
        try:
            if self._found is None or renew:
                self._found = None
                self._found = _load(path, self._environ)
            self._found.refresh(_request(self._http))
            return str(self._found.token), _seconds_left(self._found)
        except AsyncLLMError as error:
            return error
        except Exception as error:  # noqa: BLE001  # whatever a kind of credentials raises becomes a sentence
            self._found = None  # the next call reads the file again: a new key may be in it
            return _explain(error, path)


def _late() -> ConnectError:
    return ConnectError(
        "the metadata server that gives Google tokens did not answer in time; it is asked again at the next try"
    )


# type in the file -> module of google-auth, what makes credentials of the file's content, whether it takes scopes
_KINDS: Mapping[str, tuple[str, str, bool]] = {
    # a user's refresh token has the scopes it was granted with, and asking for others is refused
    "authorized_user": ("google.oauth2.credentials", "from_authorized_user_info", False),
    "service_account": ("google.oauth2.service_account", "from_service_account_info", True),
    "impersonated_service_account": (
        "google.auth.impersonated_credentials",
        "from_impersonated_service_account_info",
        True,
    ),
    "external_account": ("google.auth.identity_pool", "from_info", True),
    "external_account from aws": ("google.auth.aws", "from_info", True),
    "external_account from executable": ("google.auth.pluggable", "from_info", True),
    "external_account_authorized_user": ("google.auth.external_account_authorized_user", "from_info", False),
}


def _load(path: Path, environ: Mapping[str, str]) -> Any:
    """Reads the credentials in a file."""
    try:
        info = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"the Google credentials file {str(path)!r} cannot be read ({type(error).__name__}); correct "
            f"credentials_path or {FILE_VARIABLE}"
        ) from None
    except ValueError:
        info = None
    kind = _kind(info) if isinstance(info, dict) else ""
    if kind.endswith("from executable") and environ.get(EXECUTABLES_VARIABLE) != "1":
        raise ConfigurationError(
            f"the Google credentials file {str(path)!r} names a program that gives tokens, and programs are not "
            f"allowed; set the environment variable {EXECUTABLES_VARIABLE} to 1 if you trust the file"
        )
    if kind not in _KINDS:
        raise ConfigurationError(
            f"the Google credentials file {str(path)!r} is of no known kind (service_account, authorized_user, "
            f"external_account, impersonated_service_account); download the key again, or run {LOGIN}"
        )
    module, maker, scoped = _KINDS[kind]
    make: Callable[..., Any] = getattr(import_module(module).Credentials, maker)
    return make(info, scopes=[SCOPE]) if scoped else make(info)


def _kind(info: Mapping[str, Any]) -> str:
    kind = str(info.get("type"))
    source = info.get("credential_source")
    if info.get("subject_token_type") == "urn:ietf:params:aws:token-type:aws4_request":
        return f"{kind} from aws"
    if isinstance(source, dict) and source.get("executable") is not None:
        return f"{kind} from executable"
    return kind


def _seconds_left(found: Any) -> float:
    expiry = found.expiry  # UTC, without saying so
    return float(expiry.replace(tzinfo=timezone.utc).timestamp() - time.time()) if expiry is not None else 3600.0


def _request(client: BlockingClient) -> Callable[..., Answer]:
    """Returns our HTTP in the shape that google-auth calls (``google.auth.transport.Request``)."""
    from google.auth.exceptions import TransportError
    from google.auth.transport import Request

    class ThroughOurClient(Request):
        """google-auth's way to the network."""

        def __call__(
            self,
            url: str,
            method: str = "GET",
            body: bytes | None = None,
            headers: Mapping[str, str] | None = None,
            timeout: float | None = None,
            **_: Any,
        ) -> Answer:
            try:
                return client.send(url, method, body, headers, timeout)
            except OurTransportError as error:
                failure: Exception = TransportError(error.message)  # type: ignore[no-untyped-call]  # google-auth has few types
            raise failure

    return ThroughOurClient()


_CODE = re.compile(r"[a-z_]{1,60}")
_CLOCK_WORDS = ("iat and exp", "reasonable timeframe")


def _word(error: Exception) -> str:
    """Returns the name of what failed. Any other text may hold secrets."""
    text = str(error)
    return text if text.isidentifier() else type(error).__name__


def _explain(error: Exception, path: Path) -> AsyncLLMError:
    """Returns a sentence for an exception of google-auth. It quotes the token server's error code, but not its text,
    which may repeat what it was sent.
    """
    from google.auth import exceptions

    if isinstance(error, exceptions.TransportError):
        return ConnectError(
            f"the server that gives Google tokens could not be reached ({_word(error)}); check the network, and "
            "http.proxy and http.ca_bundle if it is behind a proxy"
        )
    if isinstance(error, exceptions.RefreshError):
        told = next((part for part in error.args if isinstance(part, Mapping)), {})
        code = str(told.get("error", ""))
        code = code if _CODE.fullmatch(code) else ""
        if any(words in str(told.get("error_description", "")).lower() for words in _CLOCK_WORDS):
            return AuthenticationError(
                "Google refused the request for a token because of its time: this machine's clock is wrong; set it",
                code=code or None,
            )
        return AuthenticationError(
            f"Google refused a token for the credentials in {str(path)!r}{f' ({code})' if code else ''}; if they have "
            f"expired or were revoked, run {LOGIN} or download a new key",
            code=code or None,
        )
    return ConfigurationError(
        f"the Google credentials file {str(path)!r} does not hold what its kind needs ({type(error).__name__}); "
        f"download the key again, or run {LOGIN}"
    )
