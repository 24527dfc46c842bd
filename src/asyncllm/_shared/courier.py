"""Carries what the attempts of a process ask and tell of the store, in as few round trips as there can be.

One round trip is under way at a time. What comes meanwhile travels with the next one. What is only told (an attempt is
over) waits up to `PATIENCE` seconds for a question to travel with, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import anyio

from .redis_connection import StoreGoneError

PATIENCE = 0.004
MOST_AT_ONCE = 256
Told = Mapping[str, Any]
Carry = Callable[[Sequence[Told], Sequence[Told]], Awaitable[Sequence[Told]]]
"""(questions, news) -> a reply for each question. Raises `StoreGoneError`."""


class StoreQuestion:
    """What one attempt asks."""

    __slots__ = ("abandoned", "answered", "reply", "text")

    def __init__(self, text: Told) -> None:
        self.text = text
        self.reply: Told | None = None
        self.abandoned = False
        self.answered = anyio.Event()


class Courier:
    """The courier of one process.

    Args:
        carry: makes a round trip.
        spawn: starts a background task.
        undo: what to tell of a reply that nobody waits for any more; None for nothing.
    """

    def __init__(
        self,
        carry: Carry,
        spawn: Callable[[Callable[[], Coroutine[Any, Any, None]]], None],
        undo: Callable[[Told, Told], Told | None],
    ) -> None:
        self._carry = carry
        self._spawn = spawn
        self._undo = undo
        self._questions: list[StoreQuestion] = []
        self._news: list[Told] = []
        self._under_way: list[StoreQuestion] = []
        self._flying = False
        self._landed = anyio.Event()

    async def ask(self, text: Told) -> Told | None:
        """The reply of the store; None where the store is gone."""
        question = StoreQuestion(text)
        self._questions.append(question)
        self._start()
        try:
            await question.answered.wait()
        except BaseException:
            question.abandoned = True
            if question.answered.is_set():
                self._give_up(question)
            raise
        return question.reply

    def tell(self, text: Told) -> None:
        """News that travel when they can."""
        self._news.append(text)
        self._start()

    async def flush(self) -> None:
        """Waits until everything has been told."""
        if self._flying:
            await self._landed.wait()

    def _start(self) -> None:
        if not self._flying:
            self._flying = True
            self._landed = anyio.Event()
            self._spawn(self._fly)

    def _give_up(self, question: StoreQuestion) -> None:
        undone = None if question.reply is None else self._undo(question.text, question.reply)
        if undone is not None:
            self.tell(undone)

    async def _fly(self) -> None:
        try:
            while self._questions or self._news:
                if not self._questions:
                    await anyio.sleep(PATIENCE)
                questions = self._under_way = self._questions[:MOST_AT_ONCE]
                news, self._news = self._news, []
                del self._questions[: len(questions)]
                replies: Sequence[Told | None]
                try:
                    replies = await self._carry([question.text for question in questions], news)
                except StoreGoneError:
                    replies = [None] * len(questions)
                for question, reply in zip(questions, replies, strict=True):
                    self._answer(question, reply)
                self._under_way = []
        finally:
            self._flying = False
            self._landed.set()
            for question in (*self._under_way, *self._questions):  # the client is being closed
                self._answer(question, None)
            self._under_way, self._questions = [], []

    def _answer(self, question: StoreQuestion, reply: Told | None) -> None:
        question.reply = reply
        question.answered.set()
        if question.abandoned:
            self._give_up(question)
