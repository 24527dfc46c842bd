"""The log: fields on every record, the one line of a call, and the switch that shows what is sent and received."""

from __future__ import annotations

import ast
import base64
import logging
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

import asyncllm
from asyncllm import Client, Image, Message, Text, errors
from asyncllm.testing import Fault, Reply, Simulator

pytestmark = pytest.mark.anyio
KEY = "canary-key-0123456789abcdefghij"
ROOT = Path(asyncllm.__file__).parent
PRICES = {"prices": {name: {"input": 1, "output": 10} for name in ("gpt-sim", "gpt-sim-mini")}}


def client_of(sim: Simulator, environ: dict[str, str] | None = None, **changes: object) -> Client:
    config = sim.config(**{"retry": {"max_attempts": 1}, "catalog": PRICES, **changes})
    for entry in config["providers"].values():
        if "api_key" in entry:
            entry["api_key"] = KEY
    return Client(config, environ=environ or {})


@pytest.mark.parametrize("stream", [False, True])
async def test_the_line_of_a_call_has_cost_and_user(caplog: pytest.LogCaptureFixture, stream: bool) -> None:
    """One INFO record a call, with the figures in its text and as fields."""
    caplog.set_level(logging.INFO, "asyncllm")
    reply = Reply(text="four", input_tokens=1000, output_tokens=100)
    async with Simulator(reply=reply) as sim, client_of(sim) as client:
        if stream:
            async with client.stream("2+2?", user="ann", tags={"team": "red"}) as opened:
                async for _ in opened:
                    pass
            answer = opened.response
        else:
            answer = await client.send("2+2?", user="ann", tags={"team": "red"})
        (line,) = [record for record in caplog.records if record.levelno == logging.INFO]
        assert "cost $0.002" in line.getMessage()
        assert line.getMessage().endswith("user ann")
        wanted = {
            "event": "call",
            "provider": "openai",
            "input_tokens": 1000,
            "output_tokens": 100,
            "cost": Decimal("0.002"),
            "user": "ann",
            "tags": {"team": "red"},
            "attempts": 1,
            "stream": stream,
            "finish_reason": "stop",
        }
        assert wanted == {name: getattr(line, name) for name in wanted}
        await client.ledger.flush()
        assert [answer.call_id] == [record.call async for record in client.ledger.records()] == [line.call_id]
        assert "2+2?" not in caplog.text
        assert "four" not in caplog.text


async def test_the_line_of_a_hop_has_fields(caplog: pytest.LogCaptureFixture) -> None:
    """From where to where, and why."""
    async with Simulator() as sim, client_of(sim) as client:
        sim.on("*", Fault(status=500, times=1))
        await client.send("x", fallback=["gpt-sim-mini"])
    (hop,) = [record for record in caplog.records if getattr(record, "event", "") == "fallback"]
    assert ("openai", "gpt-sim", "gpt-sim-mini", "ServerError", 500) == (
        hop.provider,
        hop.model,
        hop.to_model,
        hop.error,
        hop.status,
    )


def test_every_record_has_its_event() -> None:
    """Each place in the source that writes to the log names its kind in ``extra``."""
    without = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted(ROOT.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "_log"
        and node.func.attr in ("debug", "info", "warning", "error", "exception")
        and "extra" not in {keyword.arg for keyword in node.keywords}
    ]
    assert [] == without


async def test_debug_shows_what_is_sent_and_received_without_keys_and_media(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """``ASYNCLLM_LOG=debug`` shows prompt and answer; the key, also where it is echoed, and pictures are cut."""
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
    messages = [Message("user", (Text("what is this?"), Image(data=picture, media_type="image/png")))]
    try:
        async with Simulator(reply=f"you said {KEY}") as sim, client_of(sim, {"ASYNCLLM_LOG": "debug"}) as client:
            await client.send(messages, extra_headers={"x-gateway": "canary-of-the-caller"})
            async for _ in client.stream(f"hello {KEY}"):
                pass
            sim.on("*", Fault(status=401))
            with pytest.raises(errors.AuthenticationError):
                await client.send("x", extra_body={"metadata": {"api_key": "canary-in-a-field"}})
    finally:
        logger = logging.getLogger("asyncllm")
        logger.handlers = [handler for handler in logger.handlers if handler.name != "ASYNCLLM_LOG"]
        logger.setLevel(logging.NOTSET)
    for text in (caplog.text, capsys.readouterr().err):
        assert "what is this?" in text
        assert "you said" in text
        assert "status 401 for POST" in text
        assert "letters of base64]" in text
        for canary in (KEY, "canary-of-the-caller", "canary-in-a-field", base64.b64encode(picture).decode()[:80]):
            assert canary not in text


async def test_a_level_alone_logs_no_content(caplog: pytest.LogCaptureFixture) -> None:
    """A program that sets all loggers to DEBUG sees no prompt: only the variable does that."""
    caplog.set_level(logging.DEBUG)
    async with Simulator(reply="canary-answer") as sim, client_of(sim) as client:
        await client.send("canary-prompt")
        assert "canary" not in caplog.text
        with pytest.raises(errors.ConfigurationError, match="ASYNCLLM_LOG must be debug"):
            client_of(sim, {"ASYNCLLM_LOG": "loud"})


def test_the_variable_needs_no_set_up_of_logging() -> None:
    """In a program that never heard of logging, lines go to stderr, once each."""
    program = (
        "import asyncllm; from asyncllm.testing import Simulator\n"
        "with Simulator.in_thread() as sim:\n"
        "    for _ in range(2):\n"
        "        with asyncllm.SyncClient(sim.config()) as client: client.send('x')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"ASYNCLLM_LOG": "info", "PYTHONPATH": str(ROOT.parent), "PATH": ""},
    )
    assert 2 == done.stderr.count("answered")
    assert "sent:" not in done.stderr
