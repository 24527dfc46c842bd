"""What blocking code gets when it uses an async object, and the other way round: a sentence with the right words.

Type checkers do not see these methods, so they still report the mistake.
"""

from __future__ import annotations

import asyncio
import builtins
import sys
from typing import TYPE_CHECKING, Any

from .errors import ClientStateError


class AsyncOnly:
    """A base of objects that ``async with`` opens."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __enter__(self) -> None:
            name = type(self).__name__
            raise TypeError(
                f"a {name} is used with 'async with' inside an async function; in blocking code use asyncllm.SyncClient"
            )

        def __exit__(self, *_: Any) -> None:
            return None


class AsyncIterationOnly(AsyncOnly):
    """A base of objects that ``async for`` reads."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __iter__(self) -> None:
            name = type(self).__name__
            raise TypeError(
                f"a {name} is read with 'async for' inside an async function; "
                "in blocking code use asyncllm.SyncClient, whose streams are read with 'for'"
            )

        def __await__(self) -> None:
            name = type(self).__name__
            raise TypeError(
                f"a {name} is not awaited: read it with 'async for', or open it with 'async with'. "
                "For the whole reply at once: await client.send(...)"
            )


class BlockingOnly:
    """A base of objects that ``with`` opens and ``for`` reads."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __aenter__(self) -> None:
            raise TypeError(f"a {type(self).__name__} is used with 'with'; in async code use asyncllm.Client")

        def __aexit__(self, *_: Any) -> None:
            return None

        def __aiter__(self) -> None:
            raise TypeError(f"a {type(self).__name__} is read with 'for'; in async code use asyncllm.Client")


def refuse_to_block_a_loop() -> None:
    """Raises where blocking would stop an event loop that runs in this thread. Notebooks may: they run cells in one.

    Raises:
        ClientStateError: an event loop of asyncio or trio runs in this thread.
    """
    if not _loop_runs() or hasattr(builtins, "__IPYTHON__") or "marimo" in sys.modules:
        return
    raise ClientStateError(
        "a SyncClient blocks its thread, and an event loop runs in this one, which would stand still. "
        "In async code use asyncllm.Client and await client.send(...); or run the blocking code in a thread: "
        "await asyncio.to_thread(function)"
    )


def _loop_runs() -> bool:
    if asyncio._get_running_loop() is not None:  # noqa: SLF001  # documented, and cheaper than an error
        return True
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())
