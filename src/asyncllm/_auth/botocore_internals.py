"""The non-public parts of botocore that we use: its HTTP sessions for metadata servers, and how it starts processes.

Seen in botocore 1.40 to 1.44.8. A test runs against the installed version and fails when one of these is gone.
"""

# ruff: noqa: SLF001  # this file is the one that knows what is private there

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any, Protocol

INSTANCE, CONTAINER, PROCESS, ROLE = "iam-role", "container-role", "custom-process", "assume-role"
"""botocore's names of the links of its chain."""
PROCESS_LIMIT = 30.0
"""Seconds that a ``credential_process`` may take."""


class Sends(Protocol):
    """Describes botocore's HTTP session, as far as it is used."""

    def send(self, request: Any) -> Any:
        """Sends a request and returns the answer."""
        ...


class ProcessTooSlowError(Exception):
    """Tells that a ``credential_process`` was ended because it took too long."""


def replace_sessions(session: Any, metadata: Sends) -> None:
    """Replaces the HTTP sessions with which botocore asks the metadata servers of instances and containers."""
    chain = session.get_component("credential_provider")
    chain.get_provider(INSTANCE)._role_fetcher._session = metadata
    chain.get_provider(CONTAINER)._fetcher._session = metadata


def limit_processes(session: Any, limit: float = PROCESS_LIMIT) -> None:
    """Ends every ``credential_process`` that takes longer, also that of a role's source profile."""
    chain = session.get_component("credential_provider")

    def popen(*arguments: Any, **options: Any) -> LimitedProcess:
        return LimitedProcess(subprocess.Popen(*arguments, **options), limit)  # noqa: S603  # the command of the user's own profile

    chain.get_provider(PROCESS)._popen = popen
    builder = chain.get_provider(ROLE)._profile_provider_builder
    made: Callable[[str], Any] = builder._create_process_provider

    def create(profile_name: str) -> Any:
        provider = made(profile_name)
        provider._popen = popen
        return provider

    builder._create_process_provider = create


class CodeNeededError(Exception):
    """Tells that a role needs a second-factor code, and that there is no terminal to type it in."""


def refuse_prompts(session: Any) -> None:
    """Makes botocore raise an error where it would ask for a code at the terminal."""

    def refuse(*_: Any, **__: Any) -> str:
        raise CodeNeededError

    session.get_component("credential_provider").get_provider(ROLE)._prompter = refuse


class LimitedProcess:
    """Wraps a process as botocore uses it, and ends it at the limit."""

    def __init__(self, process: subprocess.Popen[bytes], limit: float) -> None:
        self._process = process
        self._limit = limit

    @property
    def returncode(self) -> int | None:
        """Returns the exit code of the process; None while it runs."""
        return self._process.returncode

    def communicate(self) -> tuple[bytes, bytes]:
        """Waits for the end of the process and returns what it wrote to stdout and stderr.

        Raises:
            ProcessTooSlowError: it did not end in time.
        """
        try:
            return self._process.communicate(timeout=self._limit)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        raise ProcessTooSlowError
