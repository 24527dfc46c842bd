"""Every sort of Google credentials, turned into tokens by servers on the loopback."""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anyio
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pydantic import SecretStr

from asyncllm._auth.google import SCOPE, GoogleAuth, GoogleToken, credentials_file, find_auth, find_project
from asyncllm._auth.google_metadata import MetadataLateError, MetadataServer, MetadataUnavailableError, on_google
from asyncllm._auth.signing import Auth
from asyncllm._config.sections import HTTPSettings
from asyncllm._transport.base import Headers
from asyncllm._transport.blocking import BlockingClient, Network
from asyncllm.errors import AsyncLLMError, AuthenticationError, ConfigurationError, ConnectError
from credential_server import Asked, CredentialServer, Told, credential_server

pytestmark = pytest.mark.anyio

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
USER = {"type": "authorized_user", "client_id": "c", "client_secret": "canary-1", "refresh_token": "canary-2"}


def token(name: str = "ya29.first", seconds: int = 3600) -> Told:
    return Told({"access_token": name, "expires_in": seconds, "token_type": "Bearer"})


def form(asked: Asked) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}


def written(folder: Path, info: Any, name: str = "key.json") -> Path:
    path = folder / name
    path.write_text(info if isinstance(info, str) else json.dumps(info), encoding="utf8")
    return path


def service_account(server: CredentialServer, **more: Any) -> dict[str, Any]:
    return {
        "type": "service_account",
        "project_id": "file-project",
        "private_key_id": "k1",
        "private_key": PEM,
        "client_email": "me@file-project.iam.gserviceaccount.com",
        "token_uri": f"{server.url}/token",
        **more,
    }


async def signed(auth: Auth, headers: Headers = Headers()) -> dict[str, str]:  # noqa: B008  # it cannot change
    return dict(await auth.sign("POST", "https://x.test/", headers, b"{}"))


def as_token_endpoint(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Sends users' refresh tokens here; google-auth knows one address for them, whatever their file says."""
    monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", url)


def on_file(path: Path, network: Network | None = None) -> Auth:
    return find_auth({"credentials_path": path}, os.environ, network)


async def failure(auth: Auth) -> AsyncLLMError:
    """What signing raises: a sentence without secrets, and without the exception that held them."""
    with pytest.raises(AsyncLLMError) as info:
        await signed(auth)
    assert "canary" not in str(info.value)
    assert info.value.__cause__ is None and info.value.__context__ is None
    return info.value


async def test_a_token_of_ones_own() -> None:
    """A token in the configuration is sent as it is, and cannot be refreshed."""
    auth = find_auth({"access_token": SecretStr("ya29.canary")}, {})
    assert {"authorization": "Bearer ya29.canary"} == await signed(auth)
    assert not await auth.refresh()
    assert "canary" not in repr(auth)


async def test_a_service_account(home: Path) -> None:
    """A service account's key signs an assertion for the right audience and scope, which is exchanged for a token."""

    def script(asked: Asked) -> Told:
        assert "urn:ietf:params:oauth:grant-type:jwt-bearer" == form(asked)["grant_type"]
        assertion = form(asked)["assertion"]
        head, body, signature = [base64.urlsafe_b64decode(part + "==") for part in assertion.split(".")]
        KEY.public_key().verify(signature, assertion.rpartition(".")[0].encode(), padding.PKCS1v15(), hashes.SHA256())
        claims = json.loads(body)
        assert ("RS256", "k1") == (json.loads(head)["alg"], json.loads(head)["kid"])
        assert (SCOPE, "https://oauth2.googleapis.com/token") == (claims["scope"], claims["aud"])
        assert "me@file-project.iam.gserviceaccount.com" == claims["iss"]
        assert 3600 >= claims["exp"] - claims["iat"] > 0
        return token(f"ya29.{len(server.asked)}")

    with credential_server(script) as server:
        auth = on_file(written(home, service_account(server)))
        assert isinstance(auth, GoogleAuth)
        assert {"authorization": "Bearer ya29.1"} == await signed(auth, Headers([("authorization", "old")]))
        assert {"authorization": "Bearer ya29.1"} == await signed(auth)
        assert 1 == len(server.asked)
        assert await auth.refresh()
        assert {"authorization": "Bearer ya29.2"} == await signed(auth)
        assert "file-project" == await auth.project()


async def test_a_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What gcloud left of a login is found by itself and refreshed; its quota project goes along."""

    def script(asked: Asked) -> Told:
        assert {"refresh_token", "canary-2", "c", "canary-1"} <= set(form(asked).values())
        assert "scope" not in form(asked)
        return token()

    folder = home / ".config" / "gcloud"
    folder.mkdir(parents=True)
    with credential_server(script) as server:
        as_token_endpoint(monkeypatch, server.url)
        info = {**USER, "quota_project_id": "payer"}
        written(folder, info, "application_default_credentials.json")
        auth = find_auth({}, os.environ)
        assert {"authorization": "Bearer ya29.first", "x-goog-user-project": "payer"} == await signed(auth)
        named = Headers([("x-goog-user-project", "other")])
        assert "other" == (await signed(auth, named))["x-goog-user-project"]
        other = find_auth({}, {**os.environ, "GOOGLE_CLOUD_QUOTA_PROJECT": "env"})
        assert "env" == (await signed(other))["x-goog-user-project"]


async def test_workload_identity_federation(home: Path) -> None:
    """A token from a file is exchanged at the token service, and impersonates the service account that is named."""
    (home / "subject").write_text("subject-token", encoding="utf8")

    def script(asked: Asked) -> Told:
        if asked.path == "/sts":
            assert "subject-token" == form(asked)["subject_token"]
            return Told(
                {
                    "access_token": "federated",
                    "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
                    "token_type": "Bearer",
                    "expires_in": 3600,
                }
            )
        assert "Bearer federated" == asked.headers["authorization"]
        expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        return Told({"accessToken": "ya29.impersonated", "expireTime": expiry})

    with credential_server(script) as server:
        info = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"{server.url}/sts",
            "credential_source": {"file": str(home / "subject")},
            "service_account_impersonation_url": f"{server.url}/v1/projects/-/serviceAccounts/a@b:generateAccessToken",
        }
        environ = {**os.environ, "GOOGLE_APPLICATION_CREDENTIALS": str(written(home, info))}
        assert {"authorization": "Bearer ya29.impersonated"} == await signed(find_auth({}, environ))


def metadata(asked: Asked) -> Told:
    """Google's metadata server."""
    assert "Google" == asked.headers["metadata-flavor"]
    flavor = {"Metadata-Flavor": "Google"}
    if asked.path.endswith("/project/project-id"):
        return Told("machine-project", headers=flavor)
    assert asked.path.startswith("/computeMetadata/v1/instance/service-accounts/default/token?scopes=https%3A%2F%2F")
    return Told({"access_token": "ya29.machine", "expires_in": 3599, "token_type": "Bearer"}, headers=flavor)


@pytest.mark.parametrize("requests", [True, False])
async def test_the_metadata_server(home: Path, monkeypatch: pytest.MonkeyPatch, requests: bool) -> None:
    """On Google Cloud the machine's token and project come from the metadata server, with or without ``requests``."""
    if not requests:
        monkeypatch.setitem(sys.modules, "requests", None)
    with credential_server(metadata) as server:
        auth = find_auth({}, {**os.environ, "GCE_METADATA_HOST": server.host}, Network(http=HTTPSettings(proxy=None)))
        assert isinstance(auth, GoogleAuth)
        assert {"authorization": "Bearer ya29.machine"} == await signed(auth)
        assert "machine-project" == await auth.project()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (lambda asked: Told("no account", 404, {"Metadata-Flavor": "Google"}), "answered 404: no service account"),
        (lambda asked: Told({"access_token": "ya29.canary", "expires_in": 1}), "answered 200"),
        (lambda asked: Told("[]", headers={"Metadata-Flavor": "Google"}), "something that is not a token"),
        (lambda asked: Told("{}", headers={"Metadata-Flavor": "Google"}), "something that is not a token"),
    ],
)
async def test_no_credentials_at_all(home: Path, script: Callable[[Asked], Told], words: str) -> None:
    """Without files, and with a metadata server that has no token, the error lists the places and what to do."""
    with credential_server(script) as server:
        error = await failure(find_auth({}, {**os.environ, "GCE_METADATA_IP": server.host}))
    assert isinstance(error, AuthenticationError)
    assert "no Google credentials were found" in str(error)
    assert words in str(error)
    assert "run `gcloud auth application-default login`" in str(error)


async def test_a_metadata_server_that_is_busy() -> None:
    """The metadata server is asked three times before it counts as late, which says nothing of what it has."""
    waits: list[float] = []
    tries = iter([Told(status=503), Told(status=429), Told("p", headers={"Metadata-Flavor": "Google"})])
    with credential_server(lambda asked: next(tries, Told(status=500))) as server:
        environ = {"GCE_METADATA_ROOT": server.host, "GCE_METADATA_TIMEOUT": "2"}
        found = MetadataServer(BlockingClient(None, {}), environ, sleep=waits.append)
        assert "p" == found.project()
        assert [0.5, 1.0] == waits
        with pytest.raises(MetadataLateError):
            found.project()
    gone = MetadataServer(BlockingClient(None, {}), {"GCE_METADATA_HOST": "127.0.0.1:9"}, sleep=waits.append)
    with pytest.raises(MetadataLateError):
        gone.token(SCOPE)
    with pytest.raises(MetadataUnavailableError, match="NO_GCE_CHECK"):
        MetadataServer(BlockingClient(None, {}), {"NO_GCE_CHECK": "true"}).token(SCOPE)


async def test_a_late_metadata_server_is_a_failure_that_passes(home: Path) -> None:
    """It is a connection error, not a missing credential; the next call has the token."""
    tries = iter([Told(status=500)] * 3)
    with credential_server(lambda asked: next(tries, None) or metadata(asked)) as server:
        auth = find_auth({}, {**os.environ, "GCE_METADATA_HOST": server.host})
        assert isinstance(await failure(auth), ConnectError)
        assert {"authorization": "Bearer ya29.machine"} == await signed(auth)


async def test_a_login_in_the_meantime_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that were not there are looked for again by the next call, without a new client."""
    environ = {**os.environ, "NO_GCE_CHECK": "true", "CLOUDSDK_CONFIG": str(home)}
    with credential_server(lambda asked: token()) as server:
        as_token_endpoint(monkeypatch, server.url)
        auth = find_auth({}, environ)
        error = await failure(auth)
        assert ("no", "none") == (error.advice.retry, error.advice.health)
        written(home, USER, "application_default_credentials.json")
        assert {"authorization": "Bearer ya29.first"} == await signed(auth)


async def test_a_new_key_in_the_file_is_used_by_the_next_call(home: Path) -> None:
    """A key that was revoked is read again from its file after a refusal."""

    def script(asked: Asked) -> Told:
        claims = form(asked)["assertion"].split(".")[1]
        email = json.loads(base64.urlsafe_b64decode(claims + "=="))["iss"]
        return token() if email.startswith("new") else Told({"error": "invalid_grant"}, 400)

    with credential_server(script) as server:
        auth = on_file(written(home, service_account(server)))
        assert isinstance(await failure(auth), AuthenticationError)
        written(home, service_account(server, client_email="new@file-project.iam.gserviceaccount.com"))
        assert {"authorization": "Bearer ya29.first"} == await signed(auth)


@pytest.mark.parametrize("variable", ["K_SERVICE", "GAE_SERVICE", "FUNCTION_TARGET", "GCE_METADATA_HOST"])
def test_a_machine_of_google_is_recognised(variable: str) -> None:
    """Its own variables say so; NO_GCE_CHECK says no."""
    assert on_google({variable: "x"})
    assert not on_google({variable: "x", "NO_GCE_CHECK": "true"})


async def test_a_revoked_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh token that Google does not take any more says which command to run, and has Google's code."""
    refusal = Told({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 400)
    with credential_server(lambda asked: refusal) as server:
        as_token_endpoint(monkeypatch, server.url)
        error = await failure(on_file(written(home, USER)))
    assert isinstance(error, AuthenticationError)
    assert "invalid_grant" == error.code
    assert "(invalid_grant)" in str(error)
    assert "run `gcloud auth application-default login`" in str(error)


async def test_a_refusal_without_reason(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token server that answers a page is told as a refusal, and the page is not quoted."""
    with credential_server(lambda asked: Told("<html>canary", 400)) as server:
        as_token_endpoint(monkeypatch, server.url)
        error = await failure(on_file(written(home, USER)))
    assert isinstance(error, AuthenticationError)
    assert error.code is None


async def test_a_token_server_that_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token server that cannot be reached is a network error that names what to check."""
    as_token_endpoint(monkeypatch, "http://127.0.0.1:9/token")
    error = await failure(on_file(written(home, USER)))
    assert isinstance(error, ConnectError)
    assert "could not be reached (ConnectError); check the network" in str(error)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ("not JSON canary", "of no known kind"),
        ("[]", "of no known kind"),
        ({"type": "canary"}, "of no known kind"),
        ({"type": "service_account", "private_key": "canary"}, "does not hold what its kind needs"),
        ({"type": "authorized_user"}, "does not hold what its kind needs"),
        ({"type": "external_account", "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request"}, "its kind"),
        ({"type": "external_account", "credential_source": {"executable": {}}}, "names a program"),
    ],
)
async def test_a_file_that_is_no_key(home: Path, info: Any, words: str) -> None:
    """A file with something else in it is named, with what to do, and never quoted."""
    error = await failure(on_file(written(home, info)))
    assert isinstance(error, ConfigurationError)
    assert words in str(error)
    assert "key.json" in str(error)


async def test_a_file_that_is_missing(home: Path) -> None:
    """A path without a file is named."""
    error = await failure(on_file(home / "nowhere.json"))
    assert isinstance(error, ConfigurationError)
    assert "nowhere.json' cannot be read (FileNotFoundError)" in str(error)


async def test_a_refusal_reads_the_file_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a refusal the credentials are read anew: whoever logged in again need not restart."""
    with credential_server(lambda asked: token(f"ya29.{form(asked)['refresh_token']}")) as server:
        as_token_endpoint(monkeypatch, server.url)
        path = written(home, {**USER, "refresh_token": "one"})
        auth = on_file(path)
        assert {"authorization": "Bearer ya29.one"} == await signed(auth)
        written(home, {**USER, "refresh_token": "two"})
        assert await auth.refresh()
        assert {"authorization": "Bearer ya29.two"} == await signed(auth)


async def test_many_callers_ask_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty first calls at once cost one token."""
    with credential_server(lambda asked: token()) as server:
        as_token_endpoint(monkeypatch, server.url)
        auth = on_file(written(home, USER))
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(signed, auth)
        assert 1 == len(server.asked)


@pytest.mark.parametrize(
    ("options", "environ", "expected"),
    [
        ({"credentials_path": "~/a.json"}, {"GOOGLE_APPLICATION_CREDENTIALS": "/b"}, "{home}/a.json"),
        ({"credentials_path": SecretStr("/a.json")}, {}, "/a.json"),
        ({}, {"GOOGLE_APPLICATION_CREDENTIALS": "/b"}, "/b"),
        ({}, {"CLOUDSDK_CONFIG": "{home}/sdk"}, "{home}/sdk/application_default_credentials.json"),
        ({}, {"APPDATA": "{home}/roaming"}, "{home}/roaming/gcloud/application_default_credentials.json"),
        ({}, {"USERPROFILE": "{home}/nobody"}, None),
        ({}, {}, None),
    ],
)
async def test_which_file(home: Path, options: dict[str, Any], environ: dict[str, str], expected: str | None) -> None:
    """The entry's file comes before the environment's, and that before gcloud's own, which need not exist."""
    for folder in ("sdk", "roaming/gcloud"):
        (home / folder).mkdir(parents=True)
        written(home / folder, USER, "application_default_credentials.json")
    found = credentials_file(options, {name: value.format(home=home) for name, value in environ.items()})
    assert (expected and Path(expected.format(home=home))) == found


@pytest.mark.parametrize(
    ("options", "environ", "expected"),
    [
        ({"project_id": "mine"}, {"GOOGLE_CLOUD_PROJECT": "env"}, "mine"),
        ({}, {"GOOGLE_CLOUD_PROJECT": "env", "GCLOUD_PROJECT": "old"}, "env"),
        ({}, {"GCLOUD_PROJECT": "old"}, "old"),
        ({"credentials_path": "{home}/key.json"}, {}, "file-project"),
        ({"credentials_path": "{home}/user.json"}, {}, None),
        ({"credentials_path": "{home}/nowhere.json"}, {}, None),
        ({"credentials_path": "{home}/key.json", "access_token": SecretStr("t")}, {}, None),
        ({}, {}, None),
    ],
)
async def test_which_project(
    home: Path, options: dict[str, Any], environ: dict[str, str], expected: str | None
) -> None:
    """The project is the entry's, else the environment's, else that of the service account's file."""
    written(home, {"type": "service_account", "project_id": "file-project"})
    written(home, USER, "user.json")
    placed = {name: v.format(home=home) if isinstance(v, str) else v for name, v in options.items()}
    assert expected == find_project(placed, environ)


async def test_tokens_are_in_no_repr() -> None:
    """A token shows whom it is counted on, and nothing else."""
    assert "GoogleToken(quota_project='p')" == repr(GoogleToken(token="ya29.canary", quota_project="p"))
