"""Hooks: personal data is taken out of prompts, calls are written to a file, and a used-up budget tells the team."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import asyncllm
from asyncllm import Hook, HookCall, Message, Request, Response, Text
from asyncllm.testing import Simulator

try:  # a library that knows names, addresses and numbers: python -m pip install presidio-analyzer presidio-anonymizer
    from presidio_analyzer import AnalyzerEngine
    from presidio_anonymizer import AnonymizerEngine

    analyzer, anonymizer = AnalyzerEngine(), AnonymizerEngine()

    def redacted(text: str) -> str:
        return str(anonymizer.anonymize(text, analyzer.analyze(text, language="en")).text)

except ImportError:  # without it, what a pattern finds

    def redacted(text: str) -> str:
        return re.sub(r"[\w.+-]+@[\w-]+\.[\w.]+", "<EMAIL_ADDRESS>", text)


LOG = Path("requests.jsonl")


class Redaction(Hook):
    """Sends prompts without personal data. If it fails, nothing is sent: that is the usual policy before a call."""

    def before_call(self, call: HookCall) -> Request:
        messages = [
            Message(
                message.role,
                tuple(
                    [
                        replace(part, text=redacted(part.text)) if type(part) is Text else part
                        for part in message.content
                    ]
                ),
                name=message.name,
            )
            for message in call.request.messages
        ]
        return replace(call.request, messages=tuple(messages))


class RequestLog(Hook):
    """Writes one JSON line for each call. It stands behind `Redaction`, so it sees redacted prompts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def after_call(self, call: HookCall, reply: Response | None, error: BaseException | None) -> None:
        line = {
            "call": call.id,
            "user": call.user,
            "prompt": call.request.messages[-1].text,
            "reply": None if reply is None else redacted(reply.text),
            "error": None if error is None else type(error).__name__,
        }
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


class TellTheTeam(Hook):
    """Posts a message where a budget refuses a call; `post` sends it to Slack's incoming webhook, say."""

    async def after_call(self, call: HookCall, reply: Response | None, error: BaseException | None) -> None:
        if isinstance(error, asyncllm.BudgetExceededError):
            await self.post({"text": f"A call of {call.user} was refused: {error.message}"})

    async def post(self, message: dict[str, str]) -> None:
        print(
            "to Slack:", message["text"]
        )  # async with httpx.AsyncClient() as http: await http.post(URL, json=message)


async def main() -> None:
    hooks = [Redaction(), RequestLog(LOG), TellTheTeam()]
    budgets = [{"name": "tiny", "limit": 0.000001, "per": "day", "scope": {"user": "bob"}}]
    prices = {"prices": {"gpt-sim": {"input": 1, "output": 10}}}
    async with Simulator() as simulator:
        config = simulator.config(budgets=budgets, catalog=prices)
        async with asyncllm.Client(config, hooks=hooks) as client:
            await client.send("Write to ann@example.com, please.", user="ann")
            try:
                await client.send("And to bob@example.com.", user="bob")
            except asyncllm.BudgetExceededError:
                print("refused")


asyncio.run(main())
print(LOG.read_text())
