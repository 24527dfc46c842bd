"""Where credentials come from, against what the vendor's own SDK finds on the same machine, source by source."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from asyncllm._auth.aws import find_credentials
from asyncllm._auth.aws_config import setting_of
from asyncllm._auth.google import GoogleAuth, find_auth, find_project
from asyncllm._providers.bedrock import HOST as BEDROCK
from asyncllm._transport.base import Headers
from credential_server import Asked, Told, credential_server

pytestmark = pytest.mark.anyio
KEYS = "aws_access_key_id = AK{0}\naws_secret_access_key = secret{0}\n"
GIVEN = {"AccessKeyId": "AKR", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}
STS = (
    '<{0}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{0}Result><Credentials><AccessKeyId>AKS'
    "</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
    "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials><AssumedRoleUser><Arn>a</Arn><AssumedRoleId>i"
    "</AssumedRoleId></AssumedRoleUser></{0}Result></{0}Response>"
)


class Machine:
    """The files and variables of one machine, and its servers."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        self._home = home
        self.setenv = monkeypatch.setenv
        self.delenv = monkeypatch.delenv
        self.url = url

    def write(self, name: str, text: str) -> Path:
        """A file in the folder of the shared AWS files."""
        path = self._home / ".aws" / name
        path.write_text(text, encoding="utf8")
        return path


def cloud(asked: Asked) -> Told:
    """AWS's token service, a container's credentials and an instance's metadata, all at one address."""
    if asked.method == "POST":
        action = "AssumeRoleWithWebIdentity" if b"WebIdentity" in asked.body else "AssumeRole"
        return Told(STS.format(action), headers={"content-type": "text/xml"})
    if asked.method == "PUT":
        return Told("session")
    if asked.path == "/latest/meta-data/iam/security-credentials/":
        return Told("role")
    return Told({"Code": "Success", **GIVEN})


def environment(machine: Machine) -> None:
    """Keys in the environment."""
    machine.setenv("AWS_ACCESS_KEY_ID", "AKE")
    machine.setenv("AWS_SECRET_ACCESS_KEY", "s")


def temporary(machine: Machine) -> None:
    """Temporary keys in the environment."""
    environment(machine)
    machine.setenv("AWS_SESSION_TOKEN", "t")


def environment_before_profile(machine: Machine) -> None:
    """Keys in the environment beside a profile that it names."""
    environment(machine)
    named_profile(machine)


def default_profile(machine: Machine) -> None:
    """The default profile of the credentials file, and the region of the config file."""
    machine.delenv("AWS_DEFAULT_REGION")
    machine.write("credentials", f"[default]\n{KEYS.format(1)}")
    machine.write("config", "[default]\nregion = eu-west-1\n")


def named_profile(machine: Machine) -> None:
    """A profile that AWS_PROFILE names, in both files."""
    machine.delenv("AWS_DEFAULT_REGION")
    machine.setenv("AWS_PROFILE", "team")
    machine.write("credentials", f"[default]\n{KEYS.format(1)}[team]\n{KEYS.format(2)}")
    machine.write("config", "[profile team]\nregion = eu-north-1\n")


def old_profile(machine: Machine) -> None:
    """A profile that AWS_DEFAULT_PROFILE names, whose keys are in the config file."""
    machine.setenv("AWS_DEFAULT_PROFILE", "team")
    machine.write("config", f"[profile team]\n{KEYS.format(3)}")


def process(machine: Machine) -> None:
    """A program that prints credentials."""
    printed = json.dumps({"Version": 1, "AccessKeyId": "AKP", "SecretAccessKey": "s", "SessionToken": "t"})
    program = machine.write("give.py", f"print({printed!r})")
    machine.write("config", f"[default]\ncredential_process = {sys.executable} {program}\n")


def container(machine: Machine) -> None:
    """ECS and EKS Pod Identity: an address with a token."""
    machine.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{machine.url}/v1/credentials")
    machine.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "pod")


def instance(machine: Machine) -> None:
    """The metadata of an instance."""
    machine.delenv("AWS_EC2_METADATA_DISABLED")
    machine.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.url)


def web_identity(machine: Machine) -> None:
    """IRSA: a token file and a role."""
    machine.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(machine.write("token", "a.jwt.token")))
    machine.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/caller")
    machine.setenv("AWS_ENDPOINT_URL_STS", machine.url)


def assumed(machine: Machine) -> None:
    """A profile that takes a role with the keys of another."""
    machine.setenv("AWS_ENDPOINT_URL_STS", machine.url)
    machine.setenv("AWS_PROFILE", "role")
    machine.write("credentials", f"[base]\n{KEYS.format(4)}")
    machine.write(
        "config",
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\nregion = sa-east-1\n",
    )


def nothing(machine: Machine) -> None:
    """A machine without credentials."""


AWS_SOURCES = [
    *(environment, temporary, environment_before_profile, default_profile, named_profile, old_profile),
    *(process, container, instance, web_identity, assumed, nothing),
]


async def ours_of_aws() -> tuple[Any, ...] | None:
    """What is found here: the three parts of the credentials and the region."""
    from asyncllm.errors import AuthenticationError

    region = BEDROCK.look_up("region_name", {}, os.environ) or setting_of("region", {}, os.environ)
    try:
        keys = await find_credentials({}, os.environ).get()
    except AuthenticationError:
        return None
    return keys.access_key, keys.secret_key, keys.token, region


def theirs_of_aws() -> tuple[Any, ...] | None:
    """What boto3 finds."""
    boto3 = pytest.importorskip("boto3")
    session = boto3.Session()
    found = session.get_credentials()
    if found is None:
        return None
    frozen = found.get_frozen_credentials()
    return frozen.access_key, frozen.secret_key, frozen.token, session.region_name


@pytest.mark.parametrize("source", AWS_SOURCES, ids=lambda source: str(source.__name__))
async def test_aws_credentials_are_those_that_boto3_finds(
    home: Path, monkeypatch: pytest.MonkeyPatch, source: Callable[[Machine], None]
) -> None:
    """From each source the same keys and the same region."""
    with credential_server(cloud) as server:
        source(Machine(home, monkeypatch, server.url))
        assert theirs_of_aws() == await ours_of_aws()


PEM = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
THEIRS = """
import json, google.auth, google.auth.transport.requests as transport
try:
    found, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    found.refresh(transport.Request())
    print(json.dumps([found.token, project]))
except google.auth.exceptions.DefaultCredentialsError:
    print("null")
"""


def account(url: str, project: str) -> str:
    """The file of a service account."""
    return json.dumps(
        {
            "type": "service_account", "project_id": project, "private_key_id": "k", "private_key": PEM.decode(),
            "client_email": f"me@{project}.iam.gserviceaccount.com", "token_uri": f"{url}/token",
        }
    )  # fmt: skip


def google(asked: Asked) -> Told:
    """Google's token server and its metadata server."""
    flavor = {"Metadata-Flavor": "Google"}
    if asked.path.endswith("/project/project-id"):
        return Told("machine-project", headers=flavor)
    if asked.method == "GET" and "/token" not in asked.path:
        return Told({"email": "me@machine", "scopes": []} if "recursive" in asked.path else "", headers=flavor)
    name = "ya29.machine" if asked.method == "GET" else "ya29.file"
    return Told({"access_token": name, "expires_in": 3600, "token_type": "Bearer"}, headers=flavor)


def file_by_variable(machine: Machine) -> None:
    """A service account's file that a variable names."""
    path = machine.write("key.json", account(machine.url, "file-project"))
    machine.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))


def project_by_variable(machine: Machine) -> None:
    """The same, and another project in the environment."""
    file_by_variable(machine)
    machine.setenv("GOOGLE_CLOUD_PROJECT", "variable-project")


def file_of_gcloud(machine: Machine) -> None:
    """What gcloud wrote."""
    path = machine.write("application_default_credentials.json", account(machine.url, "gcloud-project"))
    machine.setenv("CLOUDSDK_CONFIG", str(path.parent))


def machine_of_google(machine: Machine) -> None:
    """The metadata server."""
    for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP"):  # google-auth looks for it at the second one
        machine.setenv(name, machine.url.removeprefix("http://"))


def no_credentials(machine: Machine) -> None:
    """Nothing at all."""
    machine.setenv("NO_GCE_CHECK", "true")


GOOGLE_SOURCES = [file_by_variable, project_by_variable, file_of_gcloud, machine_of_google, no_credentials]


async def ours_of_google() -> list[Any] | None:
    """The token and the project that are found here."""
    from asyncllm.errors import AuthenticationError

    auth = find_auth({}, os.environ)
    assert isinstance(auth, GoogleAuth)
    try:
        headers = dict(await auth.sign("POST", "https://x.test/", Headers(), b""))
    except AuthenticationError:
        return None
    return [headers["authorization"].removeprefix("Bearer "), find_project({}, os.environ) or await auth.project()]


@pytest.mark.parametrize("source", GOOGLE_SOURCES, ids=lambda source: str(source.__name__))
async def test_google_credentials_are_those_that_google_auth_finds(
    home: Path, monkeypatch: pytest.MonkeyPatch, source: Callable[[Machine], None]
) -> None:
    """From each source the same token and the same project."""
    pytest.importorskip("requests")  # without it google-auth has no way to the network
    with credential_server(google) as server:
        source(Machine(home, monkeypatch, server.url))
        theirs = await anyio.run_process([sys.executable, "-c", THEIRS])
        assert json.loads(theirs.stdout) == await ours_of_google()
