"""Reads a whole ``response`` object, and a message that is streamed, up to its end.

Hosts number the texts of a streamed message in their own ways, from one number for the whole answer to one for each
delta. So a text that is told whole is matched with what was streamed by its words, and each text is told once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..._schema.content import Refusal, Text, ToolCall
from ..._schema.events import Event, TextDelta
from ..._schema.messages import Message
from ..._schema.response import Response
from ...errors import AsyncLLMError, ProtocolError
from ..classify import snippet
from ..codec import Context
from ..finish import check_reply, said_by
from ..openai_api import failure_error, rate_limits, read_failure, read_whole, request_id
from ..parts import objects, unique_calls
from .dialect import ResponsesDialect
from .parts import Tally, begun, empty_message, head_of, missing, read_content, read_items, type_of
from .usage import read_finish, read_usage


def read_response(
    status: int, headers: Mapping[str, str], body: bytes, context: Context, dialect: ResponsesDialect
) -> Response:
    """Reads a successful body; see `asyncllm._protocols.codec.WireProtocol.decode`."""
    whole, warnings = read_whole(status, headers, body, context, "a response")
    if whole.get("error") or whole.get("status") == "failed":
        raise failure_of(whole, status, headers, context, dialect)
    if not isinstance(whole.get("output"), list):
        raise ProtocolError(
            f"the provider's answer holds no output: {snippet(body, 100)}",
            provider=context.provider,
            model=context.model,
            status=status,
            request_id=request_id(headers),
        )
    parts = unique_calls(read_items(whole["output"], context, dialect), context)
    reason, word = read_finish(
        whole,
        calls=any(type(part) is ToolCall for part in parts),
        refused=any(type(part) is Refusal for part in parts),
    )
    usage = read_usage(whole)
    check_reply(word, said=said_by(parts), context=context, request_id=request_id(headers), status=status, usage=usage)
    if word in ("queued", "in_progress"):
        warnings = (
            *warnings,
            f"the answer is not there yet (status {word}): get it later by its id, {whole.get('id')}",
        )
    model, ident = whole.get("model"), whole.get("id")
    return Response(
        message=Message("assistant", tuple(parts)),
        finish_reason=reason,
        raw_finish_reason=word,
        usage=usage,
        warnings=warnings,
        provider=context.provider,
        model=model if isinstance(model, str) else "",
        requested_model=context.model,
        id=ident if isinstance(ident, str) and ident else None,
        request_id=request_id(headers),
        rate_limits=rate_limits(headers),
        raw=whole,
    )


def failure_of(
    response: Mapping[str, Any],
    status: int | None,
    headers: Mapping[str, str],
    context: Context,
    dialect: ResponsesDialect,
) -> AsyncLLMError:
    """Returns the exception for a failed ``response`` object, or for an error that came instead of one."""
    failure = read_failure(response)
    if not failure.message:
        failure = failure._replace(message="the provider reported that the response failed, and not why")
    return failure_error(failure, status, headers, context, dialect)


class OpenText:
    """Holds a text or refusal of a message while it is streamed."""

    __slots__ = ("annotations", "index", "kind", "taken", "told")

    def __init__(self, kind: str, index: int) -> None:
        self.kind = kind
        self.index = index
        self.taken: list[str] = []
        self.annotations: list[Any] = []
        self.told = False  # it was told whole

    def content(self) -> dict[str, Any]:
        """Returns the content part as far as it was streamed."""
        text = "".join(self.taken)
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": self.annotations}


class OpenMessage:
    """Tells a message while it is streamed; its parts start with their content."""

    __slots__ = ("_all", "_beginnings", "_tally", "_texts", "wire")

    def __init__(self, wire: dict[str, Any], tally: Tally) -> None:
        self.wire = wire
        self._beginnings = {at: content for at, content in enumerate(objects(wire.get("content"))) if text_of(content)}
        self._tally = tally
        self._all: list[OpenText] = []
        self._texts: dict[int, OpenText] = {}

    def text(self, at: int, kind: str, events: list[Event]) -> OpenText:
        """Returns the text or refusal with this number; starts a new one if there is none or it is complete."""
        found = self._texts.get(at)
        if found is None or found.told:
            origin = self._tally.context.origin
            part = Refusal("", origin=origin) if kind == "refusal" else Text("", origin=origin)
            found = self._texts[at] = OpenText(kind, self._tally.start(part, events))
            self._all.append(found)
        return found

    def part(self, at: int, content: dict[str, Any]) -> None:
        """Starts a text or refusal, with or without its beginning."""
        if text_of(content):
            self._beginnings[at] = content

    def take(self, at: int, said: OpenText, delta: str) -> str:
        """Adds a delta to a text or refusal. Before the first delta comes the text that the message began with."""
        if self._beginnings and not said.taken:
            known = at if at in self._beginnings or len(self._all) > 1 else min(self._beginnings)
            beginning = self._beginnings.pop(known, {})
            if type_of(beginning) == said.kind:
                delta = begun(text_of(beginning), delta)
        said.taken.append(delta)
        return delta

    def said(self) -> str:
        """Returns everything that was streamed of it."""
        return "".join([piece for text in self._all for piece in text.taken])

    def done(self, at: int, kind: str, text: str, events: list[Event]) -> None:
        """Takes a whole text, and streams what was not streamed of it."""
        known = self._texts.get(at)
        if known is not None and known.kind == kind and "".join(known.taken) == text:
            known.told = True
            return
        run = _streamed_as(text, [said for said in self._all if said.kind == kind and not said.told])
        if not run and any(said.kind == kind and "".join(said.taken) == text for said in self._all):
            return  # streamed under another number
        if not run:
            fresh = known is None or known.told or known.kind != kind
            run = [self.text(-1 - len(self._all) if known is not None else at, kind, events) if fresh else known]  # type: ignore[list-item]  # known is there where it is not fresh
        self._complete(text, run, events)
        for said in run:
            said.told = True

    def _complete(self, text: str, run: list[OpenText], events: list[Event]) -> None:
        """Streams the part of a whole text that was not streamed yet."""
        rest, last = missing(text, [piece for said in run for piece in said.taken]), run[-1]
        if rest:
            last.taken.append(rest)
            if last.kind == "output_text":
                events.append(TextDelta(rest, last.index))

    def end(self, wire: dict[str, Any], events: list[Event]) -> None:
        """Ends all parts as the whole item has them. Kind, text and order tell which of them were streamed."""
        head, contents = head_of(wire), objects(wire.get("content"))
        if not contents and not self._all:
            contents = [self._beginnings[at] for at in sorted(self._beginnings)]
        waiting = list(self._all)
        for content in contents:
            kind, text = type_of(content), text_of(content)
            fitting = [said for said in waiting if said.kind == kind]
            run = _streamed_as(text, fitting) or fitting[:1]
            for said in run:
                waiting.remove(said)
            if len(run) < 2:
                self._finish(content, run[0] if run else None, head, events)
                continue
            self._complete(text, run, events)  # one text in the item, several on the way
            run[-1].annotations = content.get("annotations") or run[-1].annotations
            for said in run:
                self._finish(said.content(), said, head, events)
        for said in waiting:
            self._finish(said.content(), said, head, events)
        if not contents and not self._all:
            part = empty_message(wire, self._tally.context)
            self._tally.end(self._tally.start(part, events), part, events)

    def _finish(
        self, content: dict[str, Any], said: OpenText | None, head: dict[str, Any], events: list[Event]
    ) -> None:
        tally = self._tally
        part = read_content(head, content, tally.context)
        if not isinstance(part, (Text, Refusal)):
            tally.end(tally.start(part, events), part, events)
            return
        said = said or self.text(-1 - len(self._all), type_of(content), events)
        self._complete(part.text, [said], events)
        streamed = "".join(said.taken)
        tally.end(said.index, part if part.text == streamed else replace(part, text=streamed), events)


def text_of(content: Mapping[str, Any]) -> str:
    """Returns the text or the refusal of a content part; an empty text if it has none."""
    text = content.get("refusal" if type_of(content) == "refusal" else "text")
    return text if isinstance(text, str) else ""


_MOST_STARTS = 16  # of runs that are looked at: a host that numbers every piece has thousands


def _streamed_as(text: str, waiting: list[OpenText]) -> list[OpenText]:
    """Returns the streamed texts that together are the whole one, or its longest beginning; empty if there are none.

    Hosts number texts in their own ways, from one for a whole answer to one for each delta, so what was said counts.
    """
    best: list[OpenText] = []
    longest = -1
    for start in range(min(len(waiting), _MOST_STARTS)):
        run: list[OpenText] = []
        length = 0
        for said in waiting[start:]:
            piece = "".join(said.taken)
            if not text.startswith(piece, length):
                break
            run.append(said)
            length += len(piece)
            if length == len(text):
                return run
        if run and length > longest:
            best, longest = run, length
    return best
