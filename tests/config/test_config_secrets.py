"""Secrets stay secret: canaries over everything that a configuration can print."""

from __future__ import annotations

import dataclasses
import json
import pickle
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from asyncllm._config import from_env, load
from asyncllm.errors import ConfigurationError

CANARY = "Zx9cAnArY7vQ"
BROKEN: dict[str, Any] = {
    "active_provider": "openai",
    "active_modell": CANARY,
    "unsupported_parameters": "${V}",
    "timeouts": {"idle": "${V}"},
    "providers": {
        "openai": {
            "api_key": CANARY + "\n\n" + CANARY,
            "api_keyy": CANARY,
            "base_url": f"https://user:{CANARY}@h",
            "region_name": CANARY,
            "organization": {"x": CANARY},
        },
        "bedrock": {"aws_secret_access_key": CANARY},
    },
    "http": {"proxy": f"ftp://user:{CANARY}@h"},
    "cost_tracking": {"database": f"mysql://user:{CANARY}@h/d"},
}


def frames(trace: TracebackType | None) -> str:
    """The locals of every frame of the package that an exception passed through."""
    text = ""
    while trace is not None:
        if "asyncllm" in trace.tb_frame.f_code.co_filename and "tests" not in trace.tb_frame.f_code.co_filename:
            text += repr(trace.tb_frame.f_locals)
        trace = trace.tb_next
    return text


def everything_about(error: BaseException) -> str:
    printed = "".join(traceback.TracebackException.from_exception(error).format())
    return printed + repr(error) + str(vars(error)) + frames(error.__traceback__) + repr(pickle.dumps(error))


@pytest.mark.parametrize("as_file", [False, True])
def test_no_error_holds_a_secret(as_file: bool, tmp_path: Path) -> None:
    """Neither text nor pickle nor the locals of our frames hold what was configured or what a variable held."""
    source: Any = BROKEN
    if as_file:
        source = tmp_path / "config.yaml"
        source.write_text(json.dumps(BROKEN), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(source, environ={"V": CANARY})
    assert 8 <= len(caught.value.problems)
    assert CANARY not in everything_about(caught.value)


@pytest.mark.parametrize(
    "text", [f'a: "{CANARY}', f"{CANARY}: &a b", f"a: [{CANARY}\nb: {CANARY}", f"a: @{CANARY}", f"a: {CANARY}: b"]
)
def test_broken_yaml_is_not_quoted(text: str, tmp_path: Path) -> None:
    """What a broken file holds stays in it; only keys are named."""
    (tmp_path / "config.yaml").write_text(f"api_key: {CANARY}\n{text}", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path / "config.yaml")
    assert CANARY not in everything_about(caught.value).replace(f"{CANARY}: anchors", "")


@pytest.mark.parametrize(
    "changes",
    [
        {"providers": {"openai": CANARY}},
        {"providers": {"openai": {"api_key": "k", "headers": f"x-key: {CANARY}"}}},
        {"providers": {"openai": {"api_key": "k", "deployments": [CANARY]}}},
        {"providers": {"openai": {"api_key": "k", "deployments": CANARY}}},
        {"cost_tracking": {"alert_webhook": f"https://hooks.example/services/{CANARY}"}},
        {"cost_tracking": {"keep": f"postgresql://user:{CANARY}@h/d"}},
        {"shared": f"redis://:{CANARY}@h"},
        {"http": f"http://user:{CANARY}@h"},
    ],
)
def test_a_secret_in_the_place_of_a_section_is_not_quoted(changes: dict[str, Any]) -> None:
    """A key or an address with a password that stands where keys with values belong is named by its place only."""
    with pytest.raises(ConfigurationError) as caught:
        load({"active_provider": "openai", "providers": {"openai": {"api_key": "k"}}, **changes}, environ={})
    assert CANARY not in everything_about(caught.value)


def test_the_environment_does_not_travel_with_an_error() -> None:
    """An error about variables holds none of the others."""
    environ = {"OPENAI_API_KEY": CANARY, "OTHER": CANARY, "ASYNCLLM_ROUTING": "x"}
    with pytest.raises(ConfigurationError) as caught:
        from_env(environ)
    assert CANARY not in everything_about(caught.value)


def test_settings_print_no_secret() -> None:
    """Repr, text and dumps of settings show stars, but for what a custom kind does not name as a secret."""
    source = {
        "active_provider": "openai",
        "providers": {
            "openai": {"api_key": CANARY},
            "bedrock": {"aws_access_key_id": CANARY, "aws_secret_access_key": CANARY, "aws_session_token": CANARY},
            "vertex": {"access_token": CANARY},
            "mine": {"kind": "extra", "auth_token": CANARY, "other": CANARY},
        },
        "http": {"proxy": f"http://user:{CANARY}@h"},
        "cost_tracking": {"database": f"postgresql://user:{CANARY}@h/d"},
    }
    settings = load(source, environ={}, extra_kinds=frozenset({"extra"}))
    assert CANARY not in repr(settings) + str(settings)
    open_key = settings.providers["mine"].own["other"]
    assert CANARY == open_key
    assert 1 == str(dataclasses.asdict(settings)).count(CANARY)
    assert CANARY == settings.providers["openai"].options()["api_key"].get_secret_value()
