"""CPU time of calls and chunks: asyncllm beside raw httpx, the vendors' SDKs, LiteLLM and pydantic-ai, on one server.

    nox -s bench                                   every peer, each in an environment of its own
    python benchmarks/peers.py --peers httpx,asyncllm --rounds 9

The peers take turns in each round, in processes of their own. A figure is the median over the rounds of the ratio to
raw httpx on the same wire in the same round; beside it stands the best of the rounds, in microseconds of CPU. Ratios
hardly depend on the machine. Everything of ours is on: the ledger is in a file, health, limits, prices.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-3-5-haiku-20241022", "gemini": "gemini-2.0-flash"}
SHORT = [{"role": "user", "content": "Say hi, briefly."}]
TURNS = [
    {"role": ("user", "assistant")[turn % 2], "content": f"message {turn}: " + "some words to fill it, " * 8}
    for turn in range(199)
]
LONG = [*TURNS, *SHORT]


class Peer(NamedTuple):
    """A library to compare with.

    Attributes:
        packages: what its environment holds.
        wires: the wire formats that it is measured with.
        modules: what a program imports to use it.
    """

    packages: tuple[str, ...]
    wires: tuple[str, ...]
    modules: str


OURS = (f"{ROOT}[aiohttp,httpx2]",)
PEERS = {
    "httpx": Peer(("httpx",), ("openai", "anthropic", "gemini"), "httpx"),
    "asyncllm": Peer(OURS, ("openai", "anthropic", "gemini"), "asyncllm"),
    "asyncllm:noledger": Peer(OURS, ("openai",), "asyncllm"),
    "asyncllm:httpx2": Peer(OURS, ("openai",), "asyncllm"),
    "asyncllm:aiohttp": Peer(OURS, ("openai", "anthropic", "gemini"), "asyncllm"),
    "openai": Peer(("openai",), ("openai",), "openai"),
    "anthropic": Peer(("anthropic",), ("anthropic",), "anthropic"),
    "google-genai": Peer(("google-genai",), ("gemini",), "google.genai"),
    "litellm": Peer(("litellm",), ("openai",), "litellm"),
    "pydantic-ai": Peer(("pydantic-ai-slim[openai]",), ("openai",), "pydantic_ai, pydantic_ai.models.openai"),
}
# title, verb, conversation, calls, at once
METRICS = (
    ("one call at a time", "send", "short", 100, 1),
    ("64 calls at once", "send", "short", 256, 64),
    ("a 200-message conversation", "send", "long", 32, 16),
    ("a chunk of a stream", "stream", "short", 2, 1),
)


# --- in the environment of a peer -------------------------------------------------------------------------------------


class RawHttpx:
    """What one writes by hand: no validation, no retries."""

    def __init__(self, url: str, wire: str, variant: str) -> None:
        import httpx

        self.client, self.url, self.wire = httpx.AsyncClient(timeout=60), url, wire

    def request(self, messages: list[dict[str, str]], *, stream: bool) -> dict[str, Any]:
        model, more = MODELS[self.wire], {"stream": True} if stream else {}
        if self.wire == "openai":
            headers = {"authorization": "Bearer sk-x"}
            body = {"model": model, "messages": messages, **more}
            return {"url": f"{self.url}/v1/chat/completions", "headers": headers, "json": body}
        if self.wire == "anthropic":
            body = {"model": model, "max_tokens": 1024, "messages": messages, **more}
            headers = {"x-api-key": "sk-x", "anthropic-version": "2023-06-01"}
            return {"url": f"{self.url}/v1/messages", "headers": headers, "json": body}
        contents = [
            {"role": "user" if one["role"] == "user" else "model", "parts": [{"text": one["content"]}]}
            for one in messages
        ]
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        url = f"{self.url}/v1beta/models/{model}:{verb}"
        return {"url": url, "headers": {"x-goog-api-key": "k"}, "json": {"contents": contents}}

    async def send(self, messages: list[dict[str, str]]) -> int:
        body = (await self.client.post(**self.request(messages, stream=False))).json()
        if self.wire == "openai":
            return len(body["choices"][0]["message"]["content"])
        if self.wire == "anthropic":
            return len(body["content"][0]["text"])
        return len(body["candidates"][0]["content"]["parts"][0]["text"])

    async def stream(self, messages: list[dict[str, str]]) -> int:
        chunks, rest = 0, b""
        async with self.client.stream("POST", **self.request(messages, stream=True)) as reply:
            async for data in reply.aiter_bytes():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: {"):
                        chunks += bool(self.text(json.loads(line[6:])))
        return chunks

    def text(self, event: Any) -> str | None:
        if self.wire == "openai":
            return event["choices"][0]["delta"].get("content") if event["choices"] else None
        if self.wire == "anthropic":
            return event["delta"].get("text") if event["type"] == "content_block_delta" else None
        return event["candidates"][0]["content"]["parts"][0]["text"]


class Asyncllm:
    """This library, with its ledger in a file."""

    def __init__(self, url: str, wire: str, variant: str) -> None:
        import asyncllm

        ledger = {"enabled": variant != "noledger", "database": f"sqlite:///{tempfile.mkdtemp()}/ledger.db"}
        entry = {"api_key": "sk-x", "base_url": f"{url}/v1" if wire == "openai" else url}
        config = {
            "active_provider": wire,
            "active_model": MODELS[wire],
            "providers": {wire: entry},
            "cost_tracking": ledger,
            "http": {"library": variant if variant in ("httpx2", "aiohttp") else "httpx"},
        }
        self.client = asyncllm.Client(config)

    async def send(self, messages: list[dict[str, str]]) -> int:
        return len((await self.client.send(messages)).text)

    async def stream(self, messages: list[dict[str, str]]) -> int:
        chunks = 0
        async with self.client.stream(messages) as events:
            async for event in events:
                if event.text:
                    chunks += 1
        return chunks


class OpenAI:
    def __init__(self, url: str, wire: str, variant: str) -> None:
        import openai

        self.client = openai.AsyncOpenAI(api_key="sk-x", base_url=f"{url}/v1")

    async def send(self, messages: Any) -> int:
        reply = await self.client.chat.completions.create(model=MODELS["openai"], messages=messages)
        return len(reply.choices[0].message.content or "")

    async def stream(self, messages: Any) -> int:
        stream = await self.client.chat.completions.create(model=MODELS["openai"], messages=messages, stream=True)
        return sum([1 async for chunk in stream if chunk.choices and chunk.choices[0].delta.content])


class Anthropic:
    def __init__(self, url: str, wire: str, variant: str) -> None:
        import anthropic

        self.client = anthropic.AsyncAnthropic(api_key="sk-x", base_url=url)

    async def send(self, messages: Any) -> int:
        reply = await self.client.messages.create(model=MODELS["anthropic"], max_tokens=1024, messages=messages)
        return len(reply.content[0].text)

    async def stream(self, messages: Any) -> int:
        stream = await self.client.messages.create(
            model=MODELS["anthropic"], max_tokens=1024, messages=messages, stream=True
        )
        return sum([1 async for event in stream if event.type == "content_block_delta" and event.delta.text])


class GoogleGenAI:
    def __init__(self, url: str, wire: str, variant: str) -> None:
        from google import genai

        self.client = genai.Client(api_key="k", http_options={"base_url": url}).aio.models

    def contents(self, messages: Any) -> Any:
        roles = {"user": "user", "assistant": "model"}
        return [{"role": roles[one["role"]], "parts": [{"text": one["content"]}]} for one in messages]

    async def send(self, messages: Any) -> int:
        reply = await self.client.generate_content(model=MODELS["gemini"], contents=self.contents(messages))
        return len(reply.text or "")

    async def stream(self, messages: Any) -> int:
        stream = await self.client.generate_content_stream(model=MODELS["gemini"], contents=self.contents(messages))
        return sum([1 async for chunk in stream if chunk.text])


class LiteLLM:
    def __init__(self, url: str, wire: str, variant: str) -> None:
        import litellm

        base = f"{url}/v1" if wire == "openai" else url
        self.ask = litellm.acompletion
        self.options = {"model": f"{wire}/{MODELS[wire]}", "api_key": "sk-x", "api_base": base, "max_tokens": 1024}

    async def send(self, messages: Any) -> int:
        reply = await self.ask(messages=messages, **self.options)
        return len(reply.choices[0].message.content)

    async def stream(self, messages: Any) -> int:
        stream = await self.ask(messages=messages, stream=True, **self.options)
        return sum([1 async for chunk in stream if chunk.choices and chunk.choices[0].delta.content])


class PydanticAI:
    """An agent without tools, which is what its documentation begins with."""

    def __init__(self, url: str, wire: str, variant: str) -> None:
        from pydantic_ai import Agent
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        provider = OpenAIProvider(api_key="sk-x", base_url=f"{url}/v1")
        self.agent = Agent(OpenAIChatModel(MODELS["openai"], provider=provider))

    def history(self, messages: Any) -> Any:
        from pydantic_ai import ModelRequest, ModelResponse, TextPart

        return [
            ModelRequest.user_text_prompt(one["content"])
            if one["role"] == "user"
            else ModelResponse(parts=[TextPart(one["content"])])
            for one in messages[:-1]
        ]

    async def send(self, messages: Any) -> int:
        reply = await self.agent.run(messages[-1]["content"], message_history=self.history(messages))
        return len(reply.output)

    async def stream(self, messages: Any) -> int:
        async with self.agent.run_stream(messages[-1]["content"], message_history=self.history(messages)) as stream:
            return sum([1 async for text in stream.stream_text(delta=True, debounce_by=None) if text])


LIBRARIES: dict[str, Callable[[str, str, str], Any]] = {
    "httpx": RawHttpx,
    "asyncllm": Asyncllm,
    "openai": OpenAI,
    "anthropic": Anthropic,
    "google-genai": GoogleGenAI,
    "litellm": LiteLLM,
    "pydantic-ai": PydanticAI,
}


async def work(peer: str, url: str, wire: str) -> None:
    """Measures what the lines of standard input ask for: microseconds of CPU for a call, or for a chunk."""
    answers = os.fdopen(os.dup(1), "w")  # what libraries print goes to the other stream
    os.dup2(2, 1)
    library, _, variant = peer.partition(":")
    made = LIBRARIES[library](url, wire, variant)
    for line in sys.stdin:
        verb, talk, calls, at_once = line.split()
        messages = SHORT if talk == "short" else LONG
        call = getattr(made, verb)

        async def share(count: int, call: Callable[[Any], Any] = call, messages: Any = messages) -> int:
            return sum([await call(messages) for _ in range(count)])

        each = int(calls) // int(at_once)
        await asyncio.gather(*(share(1) for _ in range(int(at_once))))
        began = time.process_time()
        got = await asyncio.gather(*(share(each) for _ in range(int(at_once))))
        spent = time.process_time() - began
        units = sum(got) if verb == "stream" else each * int(at_once)
        expected = units * 1 if verb == "stream" else units * 300
        assert sum(got) == expected, f"{peer} read {sum(got)}"
        print(spent / units * 1e6, file=answers, flush=True)


# --- the comparison ---------------------------------------------------------------------------------------------------


def environment(folder: Path, packages: tuple[str, ...]) -> Path:
    """The Python of an environment with these packages; made where it is missing, ours anew."""
    name = packages[0].partition("[")[0].rpartition("/")[2] if packages != OURS else "asyncllm"
    python = folder / name / "bin" / "python"
    if not python.exists():
        venv.create(folder / name, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    elif packages == OURS:
        command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", str(ROOT)]
        subprocess.run(command, check=True)
    return python


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("peer_server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


class Worker:
    """A peer in a process of its own."""

    def __init__(self, python: Path, peer: str, url: str, wire: str) -> None:
        self.name = peer
        command = [str(python), __file__, "--work", peer, url, wire]
        environ = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}  # it would fetch its prices
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environ)

    def ask(self, *question: object) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(*question, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        return float(answer) if answer else float("nan")  # what it failed with stands above


def compare(pythons: dict[str, Path], url: str, wire: str, rounds: int) -> list[tuple[str, str, str, float, float]]:
    """Wire, metric, peer, best microseconds and median ratio to the first peer."""
    workers = [Worker(python, name, url, wire) for name, python in pythons.items() if wire in PEERS[name].wires]
    rows = []
    for title, *question in METRICS:
        found: dict[str, list[float]] = {worker.name: [] for worker in workers}
        for number in range(rounds + 1):  # the first is for warming up
            for worker in workers if number % 2 else reversed(workers):
                found[worker.name].append(worker.ask(*question))
        floor = found[workers[0].name][1:]
        for worker in workers:
            measured = found[worker.name][1:]
            ratio = statistics.median(one / least for one, least in zip(measured, floor, strict=True))
            rows.append((wire, title, worker.name, min(measured), ratio))
    for worker in workers:
        worker.process.terminate()
        worker.process.wait()
    return rows


def starts(pythons: dict[str, Path], rounds: int) -> list[tuple[str, str, str, float, float]]:
    """The same for importing each peer, in microseconds of CPU without the interpreter's own start."""

    def spent(python: Path, program: str) -> float:
        measure = f"import time; began = time.process_time(); {program}; print(time.process_time() - began)"
        done = subprocess.run([python, "-c", measure], capture_output=True, text=True, check=True)
        return float(done.stdout) * 1e6

    rows = []
    floor = min(spent(pythons["httpx"], "import httpx") for _ in range(rounds + 1))
    for name, python in pythons.items():
        if ":" not in name:
            best = min(spent(python, f"import {PEERS[name].modules}") for _ in range(rounds + 1))
            rows.append(("", "import", name, best, best / floor))
    return rows


def sizes(pythons: dict[str, Path]) -> Iterator[str]:
    """A line for each peer: how many distributions it brings besides pip and setuptools, and how large they are."""
    for name, python in pythons.items():
        if ":" not in name:
            installed = next((python.parent.parent / "lib").glob("python3*/site-packages"))
            of_pip = ("pip", "setuptools", "_distutils_hack", "distutils-precedence")
            found = [path for path in installed.iterdir() if not path.name.startswith(of_pip)]
            files = [file for path in found for file in (path.rglob("*") if path.is_dir() else [path])]
            size = sum(file.stat().st_size for file in files if file.is_file() and file.suffix != ".pyc")
            distributions = sum(path.suffix == ".dist-info" for path in found)
            yield f"{name:18} {distributions:14} {size / 1e6:10.1f}"


def main(chosen: list[str], folder: Path, rounds: int) -> None:
    """Prints the tables."""
    pythons = {name: environment(folder, PEERS[name].packages) for name in chosen}
    print(f"{'installed':18} {'distributions':>14} {'MB':>10}", *sizes(pythons), sep="\n")
    rows = starts(pythons, rounds)
    with server() as url:
        for wire in MODELS:
            if any(wire in PEERS[name].wires for name in chosen):
                rows += compare(pythons, url, wire, rounds)
    print(f"\n{'wire':10} {'what':27} {'library':18} {'CPU, µs':>10} {'x httpx':>8}")
    for wire, title, name, best, ratio in rows:
        print(f"{wire:10} {title:27} {name:18} {best:10.1f} {ratio:8.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--environments", type=Path, default=ROOT / ".bench")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--work", nargs=3, metavar=("PEER", "URL", "WIRE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        asyncio.run(work(*arguments.work))
    else:
        main(arguments.peers.split(","), arguments.environments, arguments.rounds)
