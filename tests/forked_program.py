"""A program that is started again and again, and killed, without importing anything anew.

A process imports the library once, makes one call to have everything loaded, and then forks a child for each run. A
start takes milliseconds in place of the second or two that the imports take on a busy machine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_PARENT = """
import os, signal, sys, traceback
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell without job control ignores it for its children
{program}
arguments = sys.argv[2:]
run(*arguments, warm=True)
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            print(f"process {{os.getpid()}}", flush=True)
            run(*arguments)
            code = 0
        except KeyboardInterrupt:
            code = 130
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(code)
    print(f"ended {{os.waitpid(child, 0)[1]}}", flush=True)
"""


class ForkedProgram:
    """Runs of one program.

    Attributes:
        ended: the exit status of the last run, as `os.waitpid` gives it.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.ended: int | None = None
        self._process = process
        self._pid = 0

    def run(self) -> Iterator[str]:
        """Starts the program and gives each line that it prints."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.ended = None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            first, _, rest = line.rstrip("\n").partition(" ")
            if first == "process":
                self._pid = int(rest)
            elif first == "ended":
                self.ended = int(rest)
                return
            else:
                yield line.rstrip("\n")
        raise AssertionError("the process that forks has ended")

    def kill(self) -> None:
        """Kills this run, as ``kill -9`` does."""
        os.kill(self._pid, signal.SIGKILL)

    def interrupt(self) -> None:
        """Interrupts this run, as Ctrl-C does."""
        os.kill(self._pid, signal.SIGINT)


@contextmanager
def forked(program: str, *arguments: str) -> Iterator[ForkedProgram]:
    """Loads a program.

    Args:
        program: Python code with a function ``run(*arguments, warm=False)``; with ``warm`` it makes one call of its
            own, to load everything.
        arguments: what it gets, as text.
    """
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    words = [sys.executable, "-c", _PARENT.format(program=program), "-", *arguments]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield ForkedProgram(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
