"""Conversations that outlive their process, are cut to what fits, taken back, and carried to another provider."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from asyncllm import Keep, SyncClient, dump_messages, errors, load_messages
from asyncllm.testing import ModelRequest, Reply, Simulator, ToolUse
from clients import OpenClient

pytestmark = pytest.mark.anyio
PRICES = {"prices": {name: {"input": 1, "output": 10} for name in ("gpt-sim", "gpt-sim-mini", "claude-sim")}}
HOSTS = ("openai", "anthropic", "gemini", "bedrock", "vertex", "azure")


def said(body: Any) -> list[str]:
    """The texts of the messages in a chat request."""
    return [message["content"] for message in body["messages"]]


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def calling(request: ModelRequest) -> Reply | str:
    """A model that calls add once for each question, and thinks."""
    if request.tool_results:
        return Reply(text=f"it is {request.tool_results[-1]}", reasoning="easy")
    return Reply(reasoning="I should add.", tool_calls=(ToolUse("add", {"a": 1, "b": 2}),))


@pytest.mark.parametrize("host", HOSTS)
async def test_a_stored_conversation_goes_on_elsewhere(open_client: OpenClient, host: str) -> None:
    """History with tools and signed reasoning, provider, model and cost: another client takes all of it up."""
    async with Simulator(reply=calling) as sim:
        async with open_client(sim, catalog=PRICES) as client:
            talk = client.conversation(system="Be brief.", provider=host, tools=[add], reasoning="low")
            await talk.run("one")
            text = talk.to_json()
        async with open_client(sim, catalog=PRICES) as other:
            again = other.conversation(saved=text, tools=[add])
            assert (talk.messages, talk.provider, talk.cost) == (again.messages, again.provider, again.cost)
            assert talk.messages == load_messages(text) == load_messages(dump_messages(talk.messages))
            run = await again.run("two")
    assert "it is 3" == run.text
    assert 9 == len(again.messages)
    assert not [warning for step in run.steps for warning in step.reply.warnings if "left out" in warning]


async def test_defaults_hold_for_every_call(open_client: OpenClient) -> None:
    """What the conversation was made with goes with each call, and a call may say otherwise."""
    async with Simulator() as sim, open_client(sim) as client:
        talk = client.conversation(temperature=0.5, tools=[add], provider="openai")
        await talk.send("one")
        await talk.send("two", temperature=1)
        async for _ in talk.stream("three"):
            pass
    assert [0.5, 1, 0.5] == [request.body["temperature"] for request in sim.requests]
    assert {"add"} == {request.body["tools"][0]["function"]["name"] for request in sim.requests}


async def test_only_the_last_part_is_sent(open_client: OpenClient) -> None:
    """System messages and the last exchanges go out; the history itself stays whole."""
    async with Simulator(reply="ok") as sim, open_client(sim) as client:
        talk = client.conversation(system="sys", provider="openai", keep=Keep(turns=1))
        for number in range(4):
            await talk.send(f"q{number}")
        assert ["sys", "q2", "ok", "q3"] == said(sim.requests[-1].body)
        assert 9 == len(talk.messages)
        short = client.conversation(messages=talk.messages, provider="openai", keep=Keep(tokens=1))
        await short.send("last")
        assert ["sys", "q3", "ok", "last"] == said(sim.requests[-1].body)
        whole = client.conversation(messages=talk.messages, provider="openai", keep=Keep(tokens=100_000))
        await whole.send("last")
        assert 10 == len(said(sim.requests[-1].body))
    for wrong in ({"turns": 0}, {"tokens": True}):
        with pytest.raises(errors.BadRequestError):
            Keep(**wrong)


async def test_a_run_under_keep_leaves_the_history_whole(open_client: OpenClient) -> None:
    """What was not sent stays before what the run adds."""
    async with Simulator(reply=calling) as sim, open_client(sim) as client:
        talk = client.conversation(system="sys", provider="openai", tools=[add], keep=Keep(turns=1))
        for number in range(3):
            await talk.run(f"q{number}")
    texts = [message.text for message in talk.messages if message.role in ("system", "user")]
    assert ["sys", "q0", "q1", "q2"] == texts
    assert 13 == len(talk.messages)


async def test_exchanges_can_be_taken_back(open_client: OpenClient) -> None:
    """Rewind removes the last questions with all that followed them."""
    async with Simulator(reply="ok") as sim, open_client(sim) as client:
        talk = client.conversation(system="sys")
        for number in range(3):
            await talk.send(f"q{number}")
        taken = talk.rewind(2)
        assert ["q1", "ok", "q2", "ok"] == [message.text for message in taken]
        assert ["sys", "q0", "ok"] == [message.text for message in talk.messages]
        for wrong in (0, 2, True):
            with pytest.raises(errors.BadRequestError):
                talk.rewind(wrong)


async def test_a_long_history_is_summed_up(open_client: OpenClient) -> None:
    """The model sums up the older part; the last exchanges stay; the cost of it counts."""

    def model(request: ModelRequest) -> str:
        return "We spoke of numbers." if "Sum up" in request.prompt else "ok"

    async with Simulator(reply=model) as sim, open_client(sim, catalog=PRICES) as client:
        talk = client.conversation(system="sys", provider="openai")
        for number in range(4):
            await talk.send(f"q{number}")
        before = talk.cost
        assert await talk.compact(keep_turns=1)
        texts = [message.text for message in talk.messages]
        assert ("sys", "q3", "ok") == (texts[0], texts[3], texts[4])
        assert "We spoke of numbers." in texts[1]
        assert before < talk.cost
        assert not await talk.compact(keep_turns=5)
        await talk.send("go on")
        assert 6 == len(said(sim.requests[-1].body))


async def test_a_fork_tells_what_is_left_behind(open_client: OpenClient) -> None:
    """What is signed by one provider is named; on the same provider nothing is dropped."""
    async with Simulator(reply=calling) as sim, open_client(sim) as client:
        talk = client.conversation(provider="anthropic", tools=[add], reasoning="low")
        await talk.run("one")
        assert () == talk.fork().dropped
        other = talk.fork(provider="openai")
        assert ("signed or encrypted reasoning: 2",) == other.dropped
        assert "it is 3" == (await other.run("two")).text


async def test_a_streamed_run_becomes_part_of_the_conversation(open_client: OpenClient) -> None:
    """After its last event; one that is left adds nothing."""
    async with Simulator(reply=calling) as sim, open_client(sim) as client:
        talk = client.conversation(tools=[add])
        async with talk.run_stream("one") as events:
            await events.__anext__()
        assert () == talk.messages
        async for _ in talk.run_stream("two"):
            pass
        assert 4 == len(talk.messages)


async def test_what_is_no_stored_conversation_is_refused(open_client: OpenClient) -> None:
    """A sentence says what is expected."""
    async with Simulator() as sim, open_client(sim) as client:
        for text in ("", "{}", '{"asyncllm_conversation": 9}', '{"asyncllm_conversation": 1}'):
            with pytest.raises(errors.BadRequestError):
                client.conversation(saved=text)


def test_the_blocking_twin_does_the_same() -> None:
    """run, rewind, to_json and saved, without async."""
    with Simulator.in_thread(reply=calling) as sim, SyncClient(sim.config(), environ={}) as client:
        talk = client.conversation(tools=[add])
        assert "it is 3" == talk.run("one").text
        again = client.conversation(saved=talk.to_json(), tools=[add])
        assert talk.messages == again.messages
        assert Decimal(0) == again.cost
        events = again.run_stream("two")
        assert list(events)
        assert "it is 3" == events.result.text
        again.rewind(1)
        assert talk.messages == again.messages


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"keep": 3}, "keep must be Keep"),
        ({"compact": 3000}, "compact must be Compact"),
        ({"temperature": "hot"}, "temperature"),
        ({"tools": "add"}, "tools must be a list"),
        ({"max_steps": 0}, "max_steps"),
        ({"temprature": 1}, "did you mean 'temperature'"),
    ],
)
async def test_what_is_wrong_is_said_where_it_is_made(
    open_client: OpenClient, keywords: dict[str, Any], expected: str
) -> None:
    """Not in its first call."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises((errors.BadRequestError, TypeError), match=expected):
            client.conversation(**keywords)


async def test_new_instructions_take_the_place_of_the_stored_ones(open_client: OpenClient) -> None:
    """An application that says its instructions each time does not say them twice."""
    async with Simulator() as sim, open_client(sim) as client:
        talk = client.conversation(system="Be brief.")
        await talk.send("one")
        for system in ("Be brief.", "Be long."):
            again = client.conversation(system=system, saved=talk.to_json())
            assert ["system", "user", "assistant"] == [message.role for message in again.messages]
            assert system == again.messages[0].text


TAKER = """
import json, sys
import asyncllm

def add(a: int, b: int) -> int:
    return a + b

given = json.loads(sys.stdin.read())
found = {}
with asyncllm.SyncClient(given["config"], environ={}) as client:
    for host, text in given["talks"].items():
        talk = client.conversation(saved=text, tools=[add])
        same = talk.to_json() == text
        run = talk.run("and now?")
        left = [said for step in run.steps for said in step.reply.warnings if "left out" in said]
        found[host] = [same, run.text, talk.provider, len(talk.messages), left, talk.to_json()]
print(json.dumps(found))
"""


@pytest.mark.slow
def test_another_process_takes_up_the_conversation_of_each_host() -> None:
    """One process stores a talk with signed reasoning, calls and results on each host; another goes on with them.

    The text that the other one writes of what it read is the same byte for byte, nothing is left out when it is sent,
    and the first process goes on with what the other one stored. The simulator refuses signatures that are not its own.
    """
    with Simulator.in_thread(reply=calling) as sim, SyncClient(sim.config(), environ={}) as client:
        talks = {host: client.conversation(provider=host, tools=[add], reasoning="low") for host in HOSTS}
        for talk in talks.values():
            assert "it is 3" == talk.run("one").text
        given = {"config": sim.config(), "talks": {host: talk.to_json() for host, talk in talks.items()}}
        arguments = [sys.executable, "-c", TAKER]
        done = subprocess.run(
            arguments, input=json.dumps(given), capture_output=True, text=True, check=True, timeout=60
        )
        found = json.loads(done.stdout)
        assert {host: [True, "it is 3", host, 8, []] for host in HOSTS} == {
            host: told[:5] for host, told in found.items()
        }
        for told in found.values():
            again = client.conversation(saved=told[5], tools=[add])
            assert told[5] == again.to_json()
            assert "it is 3" == again.run("and then?").text
