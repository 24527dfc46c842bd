"""What the vendors' own chains know besides the key, and what the sentences of sign-in never say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from asyncllm import AsyncLLMError, ConfigurationError
from asyncllm._auth.google import find_auth, find_project
from asyncllm._config import from_env, load
from asyncllm._providers.spec import build_host
from asyncllm._transport.base import Headers
from credential_server import Told, credential_server

CANARY = "canary-7f3a"
KEY = {"api_key": SecretStr("k")}


def aws(folder: Path, text: str) -> dict[str, str]:
    (folder / "config").write_text(text, encoding="utf8")
    return {"AWS_CONFIG_FILE": str(folder / "config")}


def test_the_region_of_a_profile(tmp_path: Path) -> None:
    """The entry's region comes first, then the variables, then the profile of the shared config file."""
    environ = aws(tmp_path, "[default]\nregion = eu-west-1\n[profile team]\nregion = eu-north-1\n")
    cases: list[tuple[dict[str, Any], dict[str, str], str]] = [
        ({}, {}, "eu-west-1"),
        ({"profile_name": "team"}, {}, "eu-north-1"),
        ({}, {"AWS_PROFILE": "team"}, "eu-north-1"),
        ({}, {"AWS_REGION": "us-east-2"}, "us-east-2"),
        ({"region_name": "us-west-2"}, {"AWS_REGION": "us-east-2"}, "us-west-2"),
    ]
    for options, more, region in cases:
        found = build_host("bedrock", "b", options, {**environ, **more})
        assert f"https://bedrock-runtime.{region}.amazonaws.com" == found.base_url
    with pytest.raises(ConfigurationError, match="has no region"):
        build_host("bedrock", "b", {"profile_name": "other"}, environ)


@pytest.mark.parametrize(
    ("environ", "runtime", "control"),
    [
        (
            {"AWS_USE_FIPS_ENDPOINT": "true"},
            "https://bedrock-runtime-fips.us-east-1.",
            "https://bedrock-fips.us-east-1.",
        ),
        ({"AWS_ENDPOINT_URL": "http://h:1"}, "http://h:1", "http://h:1"),
        (
            {"AWS_ENDPOINT_URL": "http://h:1", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": "http://h:2"},
            "http://h:2",
            "http://h:1",
        ),
        (
            {"AWS_ENDPOINT_URL": "http://h:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "https://bedrock-runtime.us-east-1.",
            "https://bedrock.us-east-1.",
        ),
    ],
)
def test_endpoints_of_the_environment(environ: dict[str, str], runtime: str, control: str) -> None:
    """FIPS endpoints and endpoint URLs are used as AWS's own SDKs use them."""
    found = build_host("bedrock", "b", {**KEY, "region_name": "us-east-1"}, environ)
    assert found.base_url.startswith(runtime)
    assert found.listing is not None
    assert str(found.listing.base_url).startswith(control)


@pytest.mark.parametrize(
    "signs",
    [
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/t", "AWS_ROLE_ARN": "r"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1"},
        {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2"},
        {"AWS_PROFILE": "team"},
    ],
)
def test_from_env_finds_bedrock_by_a_role_or_a_profile(signs: dict[str, str]) -> None:
    """IRSA, Pod Identity, ECS and profiles are signs of Bedrock where a region is known."""
    assert "bedrock" == from_env({**signs, "AWS_REGION": "us-east-1"}).active_provider
    assert "zai" == from_env({**signs, "ZAI_API_KEY": "k"}).active_provider


@pytest.mark.parametrize("sign", ["K_SERVICE", "GAE_SERVICE", "FUNCTION_TARGET", "GCE_METADATA_HOST"])
def test_from_env_finds_vertex_on_googles_machines(sign: str) -> None:
    """Cloud Run, App Engine, functions and machines have a metadata server; a key of another provider comes first."""
    assert "vertex" == from_env({sign: "x"}).active_provider
    assert "openai" == from_env({sign: "x", "OPENAI_API_KEY": "k"}).active_provider
    with pytest.raises(ConfigurationError):
        from_env({sign: "x", "NO_GCE_CHECK": "true"})


def test_the_project_of_gcloud(tmp_path: Path) -> None:
    """The project of gcloud's active configuration, as in Google's SDK; without one the quota project."""
    environ = {"CLOUDSDK_CONFIG": str(tmp_path)}
    assert find_project({}, environ) is None
    (tmp_path / "configurations").mkdir()
    (tmp_path / "active_config").write_text("work", encoding="utf8")
    (tmp_path / "configurations" / "config_work").write_text("[core]\nproject = from-gcloud\n", encoding="utf8")
    assert "from-gcloud" == find_project({}, environ)
    file = tmp_path / "application_default_credentials.json"
    file.write_text(json.dumps({"type": "authorized_user", "quota_project_id": "from-quota"}), encoding="utf8")
    assert "from-gcloud" == find_project({}, environ)
    (tmp_path / "active_config").write_text("other", encoding="utf8")
    assert "from-quota" == find_project({}, environ)
    assert "from-variable" == find_project({}, {**environ, "GOOGLE_CLOUD_PROJECT": "from-variable"})


def test_credentials_in_the_place_of_their_path() -> None:
    """The content of a credentials file is not quoted where its path belongs."""
    content = json.dumps({"type": "service_account", "private_key": CANARY})
    for environ in ({"GOOGLE_APPLICATION_CREDENTIALS": content},):
        with pytest.raises(ConfigurationError, match="holds the content of a credentials file") as caught:
            build_host("vertex", "v", {"project_id": "p"}, environ)
        assert CANARY not in str(caught.value)
    with pytest.raises(ConfigurationError, match="must be the path of a file, not its content") as caught:
        load({"active_provider": "vertex", "providers": {"vertex": {"credentials_path": content}}})
    assert CANARY not in str(caught.value)


async def failure(info: dict[str, Any], folder: Path, environ: dict[str, str] | None = None) -> AsyncLLMError:
    path = folder / "adc.json"
    path.write_text(json.dumps(info), encoding="utf8")
    auth = find_auth({"credentials_path": str(path)}, environ or {})
    with pytest.raises(AsyncLLMError) as caught:
        await auth.sign("POST", "https://h", Headers(), b"")
    return caught.value


def user(url: str) -> dict[str, Any]:
    return {
        "type": "authorized_user",
        "client_id": "c",
        "client_secret": CANARY,
        "refresh_token": CANARY,
        "token_uri": url,
    }


@pytest.mark.anyio
async def test_what_a_token_server_says_is_not_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The code of the refusal is told, the text that may echo a secret is not."""
    told = {"error": "invalid_grant", "error_description": f"Token {CANARY} is bad"}
    with credential_server(lambda asked: Told(told, 400)) as server:
        monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", server.url)
        error = await failure(user(server.url), tmp_path)
    assert "(invalid_grant)" in str(error)
    assert CANARY not in f"{error!r}{error.__cause__!r}{error.__context__!r}"


@pytest.mark.anyio
async def test_a_wrong_clock_and_a_program_have_sentences_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal because of the time names the clock; a source that is a program names the variable that allows it."""
    told = {"error": "invalid_grant", "error_description": "Check your iat and exp values in the JWT claim."}
    with credential_server(lambda asked: Told(told, 400)) as server:
        monkeypatch.setattr("google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT", server.url)
        assert "clock is wrong" in str(await failure(user(server.url), tmp_path))
    program = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/p",
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"executable": {"command": "/bin/true", "timeout_millis": 5000}},
    }
    assert "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES to 1" in str(await failure(program, tmp_path))
