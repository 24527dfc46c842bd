"""Recordings: real traffic stored once, without secrets, and replayed byte for byte."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import asyncllm
from asyncllm._testing.scrub import Scrubber
from asyncllm.testing import Fault, Recording, Simulator, UnrecordedRequestError

pytestmark = pytest.mark.anyio
KEY = "sk-sim-0123456789abcdef0123"


def options(sim: Simulator, kind: str = "openai", model: str = "gpt-sim") -> dict[str, Any]:
    return {
        "provider": kind,
        "model": model,
        "base_url": sim.url(kind),
        "api_key": KEY,
        "environ": {"AWS_REGION": "us-east-1"},
    }


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("openai", "gpt-sim"),
        ("anthropic", "claude-sim"),
        ("gemini", "gemini-sim"),
        ("bedrock", "us.amazon.nova:0"),
    ],
)
async def test_a_reply_and_a_stream_come_back_as_they_were(kind: str, model: str, tmp_path: Path) -> None:
    """On each wire, server-sent events and AWS's frames included, a replay without a server gives equal values."""
    path = tmp_path / "made" / "here.json"
    async with Simulator() as sim:
        where = options(sim, kind, model)
        with Recording(path, mode="new") as recording:
            async with recording.client(**where) as client:
                sent = await client.send("What is 2+2?")
                streamed = [event async for event in client.stream("Count to 5")]
        asked = sim.count()
    assert 2 == asked
    with Recording(path) as recording:
        async with recording.client(**where) as client:
            again = await client.send("What is 2+2?")
            assert (sent.text, sent.usage, sent.id) == (again.text, again.usage, again.id)
            assert [str(event) for event in streamed] == [str(event) async for event in client.stream("Count to 5")]
        assert 0 == recording.unused


async def test_the_pieces_of_a_body_are_those_that_came(tmp_path: Path) -> None:
    """Each piece of the body is replayed by itself, byte for byte."""
    path = tmp_path / "it.json"
    request = {"model": "m", "messages": [{"role": "user", "content": "Count to 9"}], "stream": True}
    pieces: list[list[bytes]] = []
    async with Simulator(chunk_delay=0.01) as sim:
        url = f"{sim.url('openai')}/chat/completions"
        for mode in ("new", "replay"):
            with Recording(path, mode=mode) as recording:  # type: ignore[arg-type]
                async with recording.http_client() as http, http.stream("POST", url, json=request) as answer:
                    pieces.append([piece async for piece in answer.aiter_raw()])
    assert len(pieces[0]) > 3
    assert pieces[0] == pieces[1]


async def test_the_pauses_are_kept_where_asked_for(tmp_path: Path) -> None:
    """With timing 1 a replay takes as long as the real answer, and without it no time."""
    path = tmp_path / "it.json"
    took = {}
    async with Simulator(latency=0.3) as sim:
        where = options(sim)
        with Recording(path, mode="new") as recording:
            async with recording.client(**where) as client:
                await client.send("Hi")
    for timing in (0.0, 1.0):
        async with Recording(path, timing=timing).client(**where) as client:
            begun = time.monotonic()
            await client.send("Hi")
            took[timing] = time.monotonic() - begun
    assert took[1.0] >= 0.28
    assert took[1.0] - took[0.0] >= 0.2


async def test_errors_and_retries_are_recorded_too(tmp_path: Path) -> None:
    """Equal requests are replayed in the order in which they were answered, a failure first."""
    path = tmp_path / "it.json"
    async with Simulator() as sim:
        where = options(sim)
        sim.on("*", Fault.status(503, retry_after=0.01, times=1))
        with Recording(path, mode="new") as recording:
            async with recording.client(**where) as client:
                await client.send("Hi")
    async with Recording(path).client(**where) as client:
        assert [503, 200] == [attempt.status for attempt in (await client.send("Hi")).attempts]


async def test_a_request_that_is_not_there_fails_clearly(tmp_path: Path) -> None:
    """The error is not retried, asks nobody, and names the difference, the file and the flag; a second time too."""
    path = tmp_path / "it.json"
    async with Simulator() as sim:
        where = options(sim)
        with Recording(path, mode="new") as recording:
            async with recording.client(**where) as client:
                await client.send("Hi", temperature=0.5)
        before = sim.count()
        async with Recording(path).client(**where) as client:
            with pytest.raises(UnrecordedRequestError) as caught:
                await client.send("Hello", temperature=0.5, max_tokens=7)
            await client.send("Hi", temperature=0.5)
            with pytest.raises(UnrecordedRequestError, match=r"has the request .* once, and it was made once more"):
                await client.send("Hi", temperature=0.5)
        assert before == sim.count()
    told = str(caught.value)
    assert 'messages[0].content is "Hello" (recorded: "Hi")' in told
    assert "is new: 7" in told
    assert str(path) in told
    assert "--llm-record=new" in told


async def test_new_adds_and_all_asks_everything_anew(tmp_path: Path) -> None:
    """`new` asks only what the file lacks; `all` asks everything and drops the rest."""
    path = tmp_path / "it.json"
    async with Simulator() as sim:
        where = options(sim)
        for mode, prompts, asked in (("new", ["a"], 1), ("new", ["a", "b"], 1), ("all", ["b"], 1)):
            before = sim.count()
            with Recording(path, mode=mode) as recording:  # type: ignore[arg-type]
                async with recording.client(**where) as client:
                    for prompt in prompts:
                        await client.send(prompt)
            assert asked == sim.count() - before
    assert 1 == len(Recording(path))


async def test_no_secret_is_stored(tmp_path: Path) -> None:
    """Keys, e-mail addresses, accounts and what own patterns find are not in the file, and a replay still works."""
    path = tmp_path / "it.json"
    prompt = 'Write to ada@example.com about patient 4711 in arn:aws:bedrock:us-east-1:123456789012:x, key \u00e9 "q"'
    async with Simulator(reply=lambda request: f"{request.prompt} {KEY}") as sim:
        where = options(sim)
        with Recording(path, mode="new", scrub=[r"patient \d+"]) as recording:
            async with recording.client(**where) as client:
                reply = await client.send(prompt)
                assert "ada@example.com" in reply.text
    stored = path.read_text(encoding="utf-8")
    for secret in ("ada@example.com", "123456789012", "4711", KEY, "authorization", "set-cookie"):
        assert secret not in stored
    with Recording(path, scrub=[r"patient \d+"]) as recording:
        other = {**where, "api_key": "sk-another-key-00000000"}
        async with recording.client(**other) as client:
            replayed = await client.send(prompt)
    assert len(reply.text) == len(replayed.text)
    assert "xxx@xxxxxxx.xxx" in replayed.text


def test_words_that_look_like_keys_are_left_alone() -> None:
    """Names of members such as ``key_points`` are no keys, so an answer still fits its schema."""
    text = '{"key_points": ["sk-learn"], "user_name": "x", "org_chart": 1, "project_id": 2}'
    assert text == Scrubber().text(text)


def test_a_scrubbed_text_stays_json_of_the_same_length() -> None:
    """Escapes inside of what is taken out are kept."""
    text = json.dumps({"a": 'secret \n \u00e9 " 12 end'})
    scrubbed = Scrubber([r"secret.*end"]).text(text)
    assert len(text) == len(scrubbed)
    assert {"a": 'xxxxxx \n \u00e9 " 00 xxx'} == json.loads(scrubbed)


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("https://h/v1beta/models/m:generateContent?key=AIzaSyA-1234567890123&alt=sse", "https://h/v1beta/models/m:generateContent?alt=sse"),
        ("https://h/v1/projects/my-project/locations/l", "https://h/v1/projects/x/locations/l"),
        ("https://my-company.openai.azure.com/openai/v1/responses", "https://x.openai.azure.com/openai/v1/responses"),
        ("https://h/model/arn%3Aaws%3Abedrock%3Aus%3A123456789012%3Ap/converse", "https://h/model/arn%3Aaws%3Abedrock%3Aus%3A000000000000%3Ap/converse"),
    ],
)  # fmt: skip
def test_urls_are_stored_without_accounts(url: str, stored: str) -> None:
    """A URL keeps what the wire needs and no key, project, resource or account."""
    assert stored == Scrubber().url(url)


async def test_replaying_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without keys the configuration's variables have stand-ins while a recording replays."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    config = {
        "active_provider": "openai",
        "active_model": "gpt-sim",
        "providers": {"openai": {"api_key": "${OPENAI_API_KEY}", "fallback_models": ["gpt-sim"]}},
    }
    path = tmp_path / "it.json"
    async with Simulator() as sim:
        config["providers"]["openai"]["base_url"] = sim.url("openai")  # type: ignore[index]
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        with Recording(path, mode="new") as recording:
            async with recording.client(config) as client:
                await client.send("Hi")
    monkeypatch.delenv("OPENAI_API_KEY")
    async with Recording(path).client(config) as client:
        assert (await client.send("Hi")).text


def test_it_serves_blocking_code(tmp_path: Path) -> None:
    """`SyncClient` records and replays as well."""
    path = tmp_path / "it.json"
    with Simulator.in_thread() as sim:
        where = options(sim)
        with Recording(path, mode="new") as recording, recording.sync_client(**where) as client:
            assert "4" == client.send("What is 2+2?").text
    with Recording(path).sync_client(**where) as client:
        assert "4" == client.send("What is 2+2?").text


@pytest.mark.parametrize("text", ["", "{}", '{"format": "other", "exchanges": []}', "[1]"])
def test_a_file_that_is_no_recording(text: str, tmp_path: Path) -> None:
    """Something else than a recording is said to be that, with its path."""
    path = tmp_path / "it.json"
    path.write_text(text)
    with pytest.raises(asyncllm.ConfigurationError, match=re.escape(str(path))):
        Recording(path)


async def test_members_that_vary_can_be_left_out(tmp_path: Path) -> None:
    """A member named in `ignore` is not compared."""
    path = tmp_path / "it.json"
    async with Simulator() as sim:
        where = options(sim)
        with Recording(path, mode="new") as recording:
            async with recording.client(**where) as client:
                await client.send("Hi", extra_body={"metadata": {"run": "1"}})
    async with Recording(path, ignore=["metadata"]).client(**where) as client:
        await client.send("Hi", extra_body={"metadata": {"run": "2"}})


async def test_anything_on_httpx_can_be_recorded(tmp_path: Path) -> None:
    """A client of httpx that this library has nothing to do with goes through a recording too."""
    path = tmp_path / "it.json"
    async with Simulator() as sim:
        url = f"{sim.url('openai')}/models"
        with Recording(path, mode="new") as recording:
            async with recording.http_client(headers={"authorization": f"Bearer {KEY}"}) as http:
                first = await http.get(url)
    async with Recording(path).http_client() as http:
        second = await http.get(url)
    assert isinstance(second, httpx.Response)
    assert first.json() == second.json()
