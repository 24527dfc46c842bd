"""What is used of botocore without a promise of its own is still there in the installed version."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import botocore.session
import pytest

from asyncllm._auth import botocore_internals as internals


class Sender:
    """In the place of botocore's session."""

    def send(self, request: Any) -> Any:
        raise AssertionError(request)


def test_the_private_parts_are_there() -> None:
    """The metadata sessions, the processes and the prompt can be replaced, and what is replaced is used."""
    session = botocore.session.Session()
    chain = session.get_component("credential_provider")
    names = ("_role_fetcher", "_fetcher", "_popen", "_prompter", "_profile_provider_builder")
    parts = (internals.INSTANCE, internals.CONTAINER, internals.PROCESS, internals.ROLE, internals.ROLE)
    for provider, name in zip(parts, names, strict=True):
        assert hasattr(chain.get_provider(provider), name), f"{provider}.{name}"
    assert hasattr(chain.get_provider(internals.INSTANCE)._role_fetcher, "_session")
    assert hasattr(chain.get_provider(internals.CONTAINER)._fetcher, "_session")
    assert hasattr(chain.get_provider(internals.ROLE)._profile_provider_builder, "_create_process_provider")
    sender = Sender()
    internals.replace_sessions(session, sender)
    internals.limit_processes(session)
    internals.refuse_prompts(session)
    with pytest.raises(AssertionError):
        chain.get_provider(internals.INSTANCE)._role_fetcher.retrieve_iam_role_credentials()


def test_a_process_that_never_ends_is_ended() -> None:
    """A credential_process has a limit of its own."""
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with pytest.raises(internals.ProcessTooSlowError):
        internals.LimitedProcess(process, 0.2).communicate()
    assert process.returncode is not None
