"""Every place where AWS credentials can come from, asked for real against servers on the loopback."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from asyncllm._auth.aws import FixedKeys, find_credentials
from asyncllm._auth.sigv4 import AWSCredentials, AWSKeys, SigV4
from asyncllm._config.sections import HTTPSettings
from asyncllm._transport.base import Headers
from asyncllm._transport.blocking import Network
from asyncllm.errors import AuthenticationError, ConfigurationError, ConnectError
from credential_server import Asked, Told, credential_server

pytestmark = pytest.mark.anyio

ROLE = "arn:aws:iam::123456789012:role/caller"


def stamp(seconds: float) -> str:
    """A time that many seconds from now, as AWS writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def keys(access: str, secret: str = "s", token: str | None = None) -> AWSKeys:
    return AWSKeys(access_key=access, secret_key=secret, token=token)


def chain(options: dict[str, Any] | None = None, network: Network | None = None) -> AWSCredentials:
    return find_credentials(options or {}, os.environ, network)


def configure(home: Path, text: str, file: str = "config") -> None:
    (home / ".aws" / file).write_text(text, encoding="utf8")


async def test_written_keys_are_used_as_they_are() -> None:
    """Keys of the entry need no look anywhere; refused ones cannot be refreshed."""
    found = chain(
        {
            "aws_access_key_id": SecretStr("AK"),
            "aws_secret_access_key": SecretStr("canary"),
            "aws_session_token": SecretStr("T"),
        }
    )
    assert isinstance(found, FixedKeys)
    assert keys("AK", "canary", "T") == await found.get()
    assert not await found.refresh()
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"aws_access_key_id": "AK"}, "aws_secret_access_key is missing"),
        ({"aws_secret_access_key": "s"}, "aws_access_key_id is missing"),
        ({"aws_session_token": "t"}, "aws_access_key_id is missing"),
    ],
)
async def test_half_a_pair_is_refused(options: dict[str, str], missing: str) -> None:
    """One key without the other is an error that names the other."""
    with pytest.raises(ConfigurationError, match=missing):
        chain(options)


async def test_keys_of_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in the environment are read there, and read again after a refusal."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    found = chain()
    assert keys("AK1", token="t") == await found.get()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK2")
    assert "AK1" == (await found.get()).access_key
    assert await found.refresh()
    assert "AK2" == (await found.get()).access_key


async def test_expiring_keys_of_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in the environment that say when they expire are read anew by then, and win over a profile there."""
    configure(home, "[p]\naws_access_key_id = PROFILE\naws_secret_access_key = s\n", "credentials")
    monkeypatch.setenv("AWS_PROFILE", "p")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", stamp(3600))
    assert "AK1" == (await chain().get()).access_key


async def test_the_shared_credentials_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile of the shared file is read, and read again after a refusal; the entry's profile outranks everything."""
    configure(
        home,
        "[default]\naws_access_key_id = AK1\naws_secret_access_key = s\n"
        "[work]\naws_access_key_id = AK2\naws_secret_access_key = s\naws_session_token = t\n",
        "credentials",
    )
    found = chain()
    assert keys("AK1") == await found.get()
    assert keys("AK2", token="t") == await chain({"profile_name": "work"}).get()
    configure(home, "[default]\naws_access_key_id = AK3\naws_secret_access_key = s\n", "credentials")
    assert await found.refresh()
    assert keys("AK3") == await found.get()
    configure(home, "[work]\naws_access_key_id = AK4\naws_secret_access_key = s\n", "credentials")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert "AK4" == (await chain({"profile_name": "work"}).get()).access_key


async def test_an_environment_of_ones_own(home: Path, tmp_path: Path) -> None:
    """Files and profile are taken from the environment that was given, not from the process's."""
    other = tmp_path / "other"
    other.write_text("[mine]\naws_access_key_id = AK5\naws_secret_access_key = s\n", encoding="utf8")
    environ = {"AWS_SHARED_CREDENTIALS_FILE": str(other), "AWS_PROFILE": "mine"}
    assert "AK5" == (await find_credentials({}, environ).get()).access_key


@pytest.mark.slow
async def test_a_credential_process(home: Path, tmp_path: Path) -> None:
    """A program named by the profile gives the keys; they are fetched again when they are about to expire."""
    count = tmp_path / "count"
    program = tmp_path / "program.py"
    program.write_text(
        "import json, pathlib, sys\n"
        f"count = pathlib.Path({str(count)!r})\n"
        "number = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(number))\n"
        f"expiry = {stamp(300)!r} if number == 1 else {stamp(7200)!r}\n"
        "keys = {'AccessKeyId': f'AK{number}', 'SecretAccessKey': 's', 'Expiration': expiry}\n"
        "print(json.dumps({'Version': 1, **keys}))\n",
        encoding="utf8",
    )
    configure(home, f"[profile p]\ncredential_process = {sys.executable} {program}\n")
    found = chain({"profile_name": "p"})
    # Five minutes are less than botocore wants left, so it asks the program again at once.
    assert "AK2" == (await found.get()).access_key
    assert "AK2" == (await found.get()).access_key
    assert await found.refresh()
    assert "AK3" == (await found.get()).access_key


async def test_a_failing_program_keeps_its_words_to_itself(home: Path, tmp_path: Path) -> None:
    """What a credential process prints as it fails may be secret; the error says where to look instead."""
    program = tmp_path / "program.py"
    program.write_text("import sys; sys.exit('canary')\n", encoding="utf8")
    configure(home, f"[profile p]\ncredential_process = {sys.executable} {program}\n")
    with pytest.raises(AuthenticationError, match=r"custom-process.*aws sts get-caller-identity --profile p") as info:
        await chain({"profile_name": "p"}).get()
    assert "canary" not in str(info.value)
    assert info.value.__cause__ is None and info.value.__context__ is None


async def test_container_credentials(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint of a container is asked with its token, once for all callers, directly even if there is a proxy."""

    def script(asked: Asked) -> Told:
        assert "Bearer abc" == asked.headers["authorization"]
        return Told({"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "Token": "t", "Expiration": stamp(3600)})

    with credential_server(script) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/creds")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Bearer abc")
        found = chain(network=Network(http=HTTPSettings(proxy=SecretStr("http://127.0.0.1:9"), trust_env=True)))
        got: list[AWSKeys] = []

        async def call() -> None:
            got.append(await found.get())

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(call)
        assert [keys("ASIA1", token="t")] * 20 == got
        assert 1 == len(server.asked)


def metadata(asked: Asked) -> Told:
    """An instance metadata server, version 2: it wants a session token first."""
    if asked.method == "PUT":
        assert "21600" == asked.headers["x-aws-ec2-metadata-token-ttl-seconds"]
        return Told("session")
    assert "session" == asked.headers["x-aws-ec2-metadata-token"]
    if asked.path.endswith("/security-credentials/"):
        return Told("the-role")
    assert asked.path.endswith("/the-role")
    return Told(
        {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": stamp(0),
            "AccessKeyId": "ASIA2",
            "SecretAccessKey": "s",
            "Token": "t",
            "Expiration": stamp(3600),
        }
    )


async def test_instance_metadata(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instance's metadata server gives the keys of its role, and no proxy of the environment sees them."""
    with credential_server(metadata) as server, credential_server(lambda asked: Told(status=500)) as proxy:
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert keys("ASIA2", token="t") == await chain().get()
        assert ["PUT", "GET", "GET"] == [asked.method for asked in server.asked]
        assert [] == proxy.asked


@pytest.fixture(scope="module")
def token_service() -> Iterator[str]:
    """AWS's security token service, as moto plays it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.mark.slow
async def test_an_assumed_role(home: Path, token_service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that assumes a role with another profile's keys gets temporary keys from the token service."""
    configure(
        home,
        f"[profile role]\nrole_arn = {ROLE}\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = AK\naws_secret_access_key = s\n",
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", token_service)
    found = chain({"profile_name": "role", "region_name": "eu-west-1"})
    first = await found.get()
    assert first.access_key.startswith("ASIA")
    assert first.token
    signed = dict(await SigV4(found, region="eu-west-1").sign("POST", "https://x.test/", Headers(), b""))
    assert first.token == signed["x-amz-security-token"]
    assert await found.refresh()
    assert first != await found.get()


@pytest.mark.slow
async def test_web_identity(home: Path, token_service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token file (Kubernetes) is exchanged for temporary keys at the token service."""
    (tmp_path / "token").write_text("header.payload.signature", encoding="utf8")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", token_service)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    assert (await chain().get()).access_key.startswith("ASIA")


def single_sign_on(home: Path, monkeypatch: pytest.MonkeyPatch, expires: float) -> None:
    """A profile of single sign-on, and the token that a login left."""
    configure(
        home,
        "[profile sso]\nsso_session = my\nsso_account_id = 123456789012\nsso_role_name = dev\n"
        "[sso-session my]\nsso_region = us-east-1\nsso_start_url = https://my.test/start\n",
    )
    folder = home / ".aws" / "sso" / "cache"
    folder.mkdir(parents=True)
    # botocore settles the folder when it is imported, which may have been in another home
    monkeypatch.setattr("botocore.tokens.SSOTokenProvider._SSO_TOKEN_CACHE_DIR", str(folder))
    name = hashlib.sha1(b"my", usedforsecurity=False).hexdigest()
    token = {"startUrl": "https://my.test/start", "region": "us-east-1", "accessToken": "sso-token"}
    (folder / f"{name}.json").write_text(json.dumps({**token, "expiresAt": stamp(expires)}), encoding="utf8")


@pytest.mark.slow
async def test_single_sign_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cached token of a login is exchanged for the role's keys at the portal."""

    def portal(asked: Asked) -> Told:
        assert "sso-token" == asked.headers["x-amz-sso_bearer_token"]
        assert asked.path.startswith("/federation/credentials?")
        expiry = int((time.time() + 3600) * 1000)
        role = {"accessKeyId": "ASIA3", "secretAccessKey": "s", "sessionToken": "t", "expiration": expiry}
        return Told({"roleCredentials": role})

    single_sign_on(home, monkeypatch, 3600)
    with credential_server(portal) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSO", server.url)
        assert keys("ASIA3", token="t") == await chain({"profile_name": "sso"}).get()


@pytest.mark.slow
async def test_an_expired_single_sign_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that has expired says which command to run."""
    single_sign_on(home, monkeypatch, -3600)
    with pytest.raises(AuthenticationError, match="run `aws sso login --profile sso`"):
        await chain({"profile_name": "sso"}).get()


@pytest.mark.slow
async def test_a_refused_role(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the token service answers is told with its code, without a trace of the exception that carried it."""
    configure(
        home,
        f"[profile role]\nrole_arn = {ROLE}\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = AK\naws_secret_access_key = canary\n",
    )
    answer = (
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not for you</Message></Error>"
        "<RequestId>1</RequestId></ErrorResponse>"
    )
    with credential_server(lambda asked: Told(answer, 403, {"content-type": "text/xml"})) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        with pytest.raises(AuthenticationError, match=r"\(AccessDenied\).*trust policy") as info:
            await chain({"profile_name": "role"}).get()
    assert "AccessDenied" == info.value.code
    assert info.value.__cause__ is None and info.value.__context__ is None
    assert "canary" not in str(info.value)


@pytest.mark.slow
@pytest.mark.parametrize("direct", [False, True])
async def test_the_token_service_through_a_proxy(home: Path, monkeypatch: pytest.MonkeyPatch, direct: bool) -> None:
    """Traffic for credentials takes the configured proxy, with its password, but for the hosts that need none."""
    configure(
        home,
        f"[profile role]\nrole_arn = {ROLE}\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = AK\naws_secret_access_key = s\n",
    )
    answer = (
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA4</AccessKeyId><SecretAccessKey>s"
        f"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{stamp(3600)}</Expiration></Credentials>"
        "</AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"
    )

    def script(asked: Asked) -> Told:
        return Told(answer, headers={"content-type": "text/xml"})

    with credential_server(script) as server, credential_server(script) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        http = HTTPSettings(proxy=SecretStr(f"http://me:pass@{proxy.host}"), no_proxy=("127.0.0.1",) if direct else ())
        network = Network(http=http)
        assert "ASIA4" == (await chain({"profile_name": "role"}, network).get()).access_key
        assert (1, 0) == ((len(server.asked), len(proxy.asked)) if direct else (len(proxy.asked), len(server.asked)))
        if not direct:
            assert "Basic bWU6cGFzcw==" == proxy.asked[0].headers["proxy-authorization"]


@pytest.mark.slow
async def test_a_token_service_that_is_not_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token service that refuses connections is a network error that names what to check."""
    configure(
        home,
        f"[profile role]\nrole_arn = {ROLE}\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = AK\naws_secret_access_key = s\n",
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ConnectError, match=r"could not be reached \(EndpointConnectionError\); check the network"):
        await chain({"profile_name": "role"}).get()


async def test_nothing_anywhere(home: Path) -> None:
    """Without any credentials the error lists where they were looked for and what to do."""
    with pytest.raises(AuthenticationError, match=r"no AWS credentials were found in the environment.*run `aws"):
        await chain().get()


async def test_an_empty_profile(home: Path) -> None:
    """A profile without credentials is named."""
    configure(home, "[profile p]\nregion = us-east-1\n")
    with pytest.raises(AuthenticationError, match=r"no AWS credentials were found in profile 'p'"):
        await chain({"profile_name": "p"}).get()


async def test_an_unknown_profile(home: Path) -> None:
    """A profile that does not exist says how to make it."""
    with pytest.raises(AuthenticationError, match=r"no AWS profile 'nowhere'.*aws configure --profile nowhere"):
        await chain({"profile_name": "nowhere"}).get()


async def test_half_a_pair_in_a_file(home: Path) -> None:
    """A file that holds a key without its secret is named by what is wrong, not quoted."""
    configure(home, "[default]\naws_access_key_id = canary\n", "credentials")
    with pytest.raises(AuthenticationError, match=r"could not be read \(PartialCredentialsError\)") as info:
        await chain().get()
    assert "canary" not in str(info.value)


@pytest.mark.slow
async def test_a_proxy_that_cannot_be_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that does not answer is told of, not worked around."""
    configure(
        home,
        f"[profile role]\nrole_arn = {ROLE}\nsource_profile = base\n"
        "[profile base]\naws_access_key_id = AK\naws_secret_access_key = s\n",
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://sts.test")
    with pytest.raises(ConnectError, match=r"http\.proxy"):
        await chain({"profile_name": "role"}, Network(http=HTTPSettings(proxy=SecretStr("https://127.0.0.1:9")))).get()


async def test_the_chain_runs_off_the_loop(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain is never asked on the thread of the event loop."""
    seen: list[str] = []

    def script(asked: Asked) -> Told:
        seen.extend(thread.name for thread in threading.enumerate() if thread.name == "asyncllm credentials")
        return Told({"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "Token": "t", "Expiration": stamp(3600)})

    with credential_server(script) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/creds")
        await chain().get()
    assert ["asyncllm credentials"] == seen
