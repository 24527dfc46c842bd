"""Alerts of budgets as signed HTTP requests to a server of yours.

::

    Client("config.yaml", on_alert=AlertWebhook("https://ops.example/hooks/budgets", secret=os.environ["HOOK_SECRET"]))

In a configuration it is ``cost_tracking: {alert_webhook: {url: ..., secret: ...}}``. The rules:

* The ledger's thread hands an alert over and goes on; a thread of the webhook's own sends it, one alert at a time.
* The body is JSON. The header ``x-asyncllm-signature`` is ``t=SECONDS,v1=HEX``, where HEX is the HMAC-SHA256 of
  ``SECONDS.BODY`` with the secret: a receiver that checks it, and how old it is, knows who sent it.
* No connection, 408, 429 and 5xx are tried again, after pauses that double, with the same ``x-asyncllm-delivery``. What
  cannot be delivered is told in the log.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from .._config.rules import SecretStr
from .._config.sections import LEAST_SIGNING_SECRET
from .._transport.blocking import BlockingClient
from ..errors import ConfigurationError, TransportError
from .budgets import Alert

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_AGAIN = frozenset({408, 429})
_log = logging.getLogger("asyncllm.ledger")


class _Delivery(NamedTuple):
    id: str
    body: bytes


class AlertWebhook:
    """Sends alerts to an address; give it to a client as ``on_alert``.

    Args:
        url: where alerts are sent, by POST.
        secret: what requests are signed with; at least 16 characters.
        attempts: how often one alert is tried.
        timeout: seconds for each attempt.
        headers: sent along.

    Raises:
        ConfigurationError: the address is none, or the secret is too short.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: str | SecretStr,
        attempts: int = 6,
        timeout: float = 10.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        key = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError("the address of a webhook must begin with https:// or http://")
        if len(key) < LEAST_SIGNING_SECRET:
            raise ConfigurationError(f"the secret of a webhook must have at least {LEAST_SIGNING_SECRET} characters")
        self._url = url
        self._key = SecretStr(key)
        self._attempts = attempts
        self._timeout = timeout
        self._headers = dict(headers or {})
        self._waiting: queue.SimpleQueue[_Delivery | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pause = _FIRST_PAUSE

    def __call__(self, alert: Alert) -> None:
        """Takes an alert to be sent; returns at once."""
        told = {"event": "budget_alert", "message": str(alert), "time": int(time.time()), **alert.facts()}
        self._waiting.put(_Delivery(uuid.uuid4().hex, json.dumps(told).encode()))
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="asyncllm webhook", daemon=True)
                self._thread.start()

    def close(self, seconds: float = 5.0) -> bool:
        """Waits for what is still to be sent, for at most so many seconds; tells whether everything was."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return True
        self._waiting.put(None)
        thread.join(seconds)
        return not thread.is_alive()

    def sign(self, body: bytes, moment: int) -> str:
        """The value of the signature's header, for a body sent at a moment in seconds since 1970."""
        signed = hmac.new(self._key.get_secret_value().encode(), f"{moment}.".encode() + body, hashlib.sha256)
        return f"t={moment},v1={signed.hexdigest()}"

    def _run(self) -> None:
        while (delivery := self._waiting.get()) is not None:
            self._deliver(delivery)

    def _deliver(self, delivery: _Delivery) -> None:
        pause, why = self._pause, ""
        for number in range(self._attempts):
            if number:
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            why = self._attempt(delivery)
            if not why or why == "refused":
                break
        if why:
            _log.error(
                "an alert could not be delivered to its webhook (%s): %s",
                why,
                json.loads(delivery.body)["message"],
                extra={"event": "webhook"},
            )

    def _attempt(self, delivery: _Delivery) -> str:
        """What went wrong; empty where nothing did, and ``refused`` where trying again is no use."""
        headers: dict[str, Any] = {
            **self._headers,
            "content-type": "application/json",
            "x-asyncllm-delivery": delivery.id,
            "x-asyncllm-signature": self.sign(delivery.body, int(time.time())),
        }
        try:
            answer = BlockingClient(None, {}).send(
                self._url, "POST", body=delivery.body, headers=headers, timeout=self._timeout
            )
        except TransportError as error:
            return type(error).__name__
        if 200 <= answer.status < 300:
            return ""
        return f"status {answer.status}" if answer.status in _AGAIN or answer.status >= 500 else "refused"
