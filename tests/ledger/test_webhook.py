"""Alerts of budgets as signed, repeated requests to a real server."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from asyncllm import SyncClient, errors
from asyncllm.ledger import AlertWebhook
from asyncllm.testing import Reply, Simulator

SECRET = "canary-secret-of-the-hook"


class Receiver:
    """Notes what it is sent, and answers with the statuses that it was given, then 204."""

    def __init__(self, *statuses: int) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        left = list(statuses)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the server's own name
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(left.pop(0) if left else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receivers() -> Iterator[Any]:
    made: list[Receiver] = []

    def make(*statuses: int) -> Receiver:
        made.append(Receiver(*statuses))
        return made[-1]

    yield make
    for one in made:
        one.close()


def spend(hook: AlertWebhook) -> None:
    """Spends 95% of a budget of a dollar in one call."""
    with Simulator.in_thread(reply=Reply(text="x", input_tokens=950_000, output_tokens=0)) as sim:
        config = sim.config(
            budgets=[{"name": "daily", "limit": 1, "on_exceed": "warn"}],
            catalog={"prices": {"gpt-sim": {"input": 1, "output": 1}}},
        )
        with SyncClient(config, environ={}, on_alert=hook) as client:
            client.send("x")
            client.ledger.flush()
    assert hook.close(30)


def hook_of(url: str, **options: Any) -> AlertWebhook:
    hook = AlertWebhook(url, secret=SECRET, **options)
    hook._pause = 0.01
    return hook


def test_an_alert_is_signed(receivers: Any) -> None:
    """The body says which budget; the signature proves body and time; the secret is not in it."""
    receiver = receivers()
    spend(hook_of(receiver.url, headers={"x-team": "red"}))
    ((headers, body),) = receiver.got
    told = json.loads(body)
    assert ("budget_alert", "daily", 90) == (told["event"], told["budget"], told["level"])
    assert "has reached 90%" in told["message"]
    moment, signature = headers["x-asyncllm-signature"].split(",")
    signed = f"{moment.removeprefix('t=')}.".encode() + body
    assert signature == "v1=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert "red" == headers["x-team"]
    assert SECRET not in f"{headers}{body!r}"


def test_what_may_succeed_later_is_tried_again(receivers: Any) -> None:
    """A 503 and a 429 are repeated as the same delivery."""
    receiver = receivers(503, 429)
    spend(hook_of(receiver.url))
    assert 3 == len(receiver.got)
    assert 1 == len({headers["x-asyncllm-delivery"] for headers, _ in receiver.got})


def test_what_cannot_be_delivered_is_told(receivers: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal is not repeated; silence is, as often as allowed; both end in the log, without the secret."""
    receiver = receivers(410)
    with caplog.at_level(logging.ERROR, "asyncllm.ledger"):
        spend(hook_of(receiver.url))
        assert 1 == len(receiver.got)
        spend(hook_of("http://127.0.0.1:9/", attempts=2))
    told = [record.getMessage() for record in caplog.records if getattr(record, "event", "") == "webhook"]
    assert ["refused", "ConnectError"] == [message.partition("(")[2].partition(")")[0] for message in told]
    assert SECRET not in caplog.text


def test_a_webhook_that_cannot_be() -> None:
    """An address that is none and a short secret are told at once, and no repr holds the secret."""
    for url, secret in (("ftp://x", SECRET), ("https://x", "short")):
        with pytest.raises(errors.ConfigurationError):
            AlertWebhook(url, secret=secret)
    hook = AlertWebhook("https://x", secret=SECRET)
    assert SECRET not in f"{hook!r} {vars(hook)}"


def test_a_webhook_of_the_configuration(receivers: Any) -> None:
    """An alert goes there and to the application's callback; neither the address nor the secret is shown."""
    receiver, told = receivers(), []
    with Simulator.in_thread(reply=Reply(text="x", input_tokens=950_000, output_tokens=0)) as sim:
        config = sim.config(
            budgets=[{"name": "daily", "limit": 1, "on_exceed": "warn"}],
            catalog={"prices": {"gpt-sim": {"input": 1, "output": 1}}},
            cost_tracking={"alert_webhook": {"url": receiver.url, "secret": SECRET}},
        )
        with SyncClient(config, environ={}, on_alert=told.append) as client:
            client.send("x", max_tokens=10)
            client.ledger.flush()
            assert receiver.url not in repr(client.settings)
            assert SECRET not in repr(client.settings)
        deadline = time.monotonic() + 5
        while not receiver.got and time.monotonic() < deadline:
            time.sleep(0.01)
        assert [90] == [alert.level for alert in told]
        assert [90] == [json.loads(body)["level"] for _, body in receiver.got]
        config["cost_tracking"]["alert_webhook"]["secret"] = "short"
        with pytest.raises(errors.ConfigurationError, match="at least 16 characters"):
            SyncClient(config, environ={})
