"""What every wire format needs to write content parts into a request, and to read what hosts send with care.

`PartWriter` has one vocabulary. What cannot go on the wire is told in one of five ways:

* ``leave_out(keyword, reason)``: a keyword of the request is not sent; it becomes a `LeftOut` of the wire request.
* ``warn(sentence)``: anything else is sent otherwise than it was given, or not at all.
* ``drop(what, origin)``: part of the history belongs to another host and is not sent; a warning says so.
* ``refuse(sentence)`` and ``refuse_keyword(keyword, sentence)``: the exception for what this host cannot carry, so that
  another one may be asked.
* ``bad(sentence)``: the exception for what no host could carry.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any, Generic, TypeVar

from .._schema.content import FILES, Origin, Part, ToolCall, parse_arguments
from .._schema.request import Request
from ..errors import BadRequestError, UnsupportedContentError, UnsupportedParameterError
from .codec import Context, LeftOut

D = TypeVar("D")


def as_dict(value: Any) -> dict[str, Any]:
    """Returns the value if it is a JSON object, or else an empty one."""
    return value if isinstance(value, dict) else {}


def as_text(value: Any) -> str | None:
    """Returns the value if it is a string, or else None."""
    return value if isinstance(value, str) else None


def objects(value: Any) -> list[dict[str, Any]]:
    """Returns the JSON objects of a list; nothing if the value is not a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def number_of(text: str | None) -> float | None:
    """Returns the number in a header; None if it is not a number or is below zero."""
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s|d)")
_UNITS: Mapping[str, float] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str | None) -> float | None:
    """Returns the seconds of a duration such as ``6m0s``, ``8.64s``, ``6ms`` or a bare number; None if it is not a
    duration.
    """
    if not text:
        return None
    value = number_of(text)
    if value is not None:
        return value
    found = _DURATION.findall(text)
    if not found or "".join(number + unit for number, unit in found) != text.strip():
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in found)


def seconds_until(text: str | None, now: Callable[[], float]) -> float | None:
    """Returns the seconds until a moment that a header names, 0 where it is past; None if it names none.

    Args:
        text: seconds, a duration such as ``6m0s``, a time since the epoch in seconds or milliseconds, a date in one of
            the three forms of HTTP, or a date of ISO 8601.
        now: the time, in seconds since the epoch.
    """
    text = (text or "").strip()
    found = parse_duration(text)
    if found is not None or not text:
        return found
    try:
        if text.isdecimal() and len(text) <= 15:
            moment = float(text) / (1000 if len(text) > 12 else 1)
        elif text[0].isdecimal():
            date = datetime.fromisoformat(text.replace("Z", "+00:00"))
            moment = (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).timestamp()
        else:
            moment = calendar.timegm(parsedate_to_datetime(text).utctimetuple())
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, moment - now())


def parse_count(text: str | None) -> int | None:
    """Returns the whole number in a header; None if it is not one."""
    value = number_of(text)
    return None if value is None else int(value)


INVALID_JSON = "INVALID_JSON"
"""The key under which argument text that is no JSON object is sent."""


def as_object(raw: str) -> dict[str, Any]:
    """Returns the arguments in a JSON text, or the text itself under `INVALID_JSON`."""
    parsed = parse_arguments(raw)
    return {INVALID_JSON: raw} if parsed is None else parsed


LONGEST = 64
"""Characters of ``tool_calls[].id`` and ``call_id`` at OpenAI: "string too long. Expected a string with maximum length
64" (chat completions took 40 until 2026; its own ids have 29)."""


def bounded(ident: str) -> str:
    """Returns the id, or an id of 45 characters in its place if it is too long."""
    if len(ident) <= LONGEST:
        return ident
    return "call_" + sha256(ident.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def unique_calls(parts: list[Part], context: Context) -> list[Part]:
    """Returns the parts of one reply. If two calls have the same id, the later one gets a new id."""
    seen: set[str] = set()
    for at, part in enumerate(parts):
        if type(part) is ToolCall:
            if part.id in seen:
                parts[at] = part = renamed(part, context.new_id("call_"))
            seen.add(part.id)
    return parts


class CallIds:
    """Keeps the ids of the calls of one stream apart. If two calls have the same id, the later one gets a new id."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def unique(self, ident: str, context: Context) -> str:
        """Returns the id, or a new one if another call has it already."""
        if ident in self._seen:
            ident = context.new_id("call_")
        self._seen.add(ident)
        return ident


def renamed(call: ToolCall, ident: str) -> ToolCall:
    """Returns the call with another id."""
    return ToolCall(
        ident,
        call.name,
        raw_arguments=call.raw_arguments,
        kind=call.kind,
        signature=call.signature,
        origin=call.origin,
        extra=call.extra,
        cache=call.cache,
    )


class PartWriter(Generic[D]):
    """Holds what is needed to write one request: the call, the dialect of the host, and the warnings that are
    collected.

    Args:
        context: of the call.
        dialect: of the host.
        api: what refusals call the format.

    Attributes:
        warnings: what was changed so far, each sentence once, in order.
        left_out: the keywords that were left out so far.
    """

    __slots__ = ("api", "context", "dialect", "left_out", "warnings")

    def __init__(self, context: Context, dialect: D, api: str) -> None:
        self.context = context
        self.dialect = dialect
        self.api = api
        self.left_out: tuple[LeftOut, ...] = ()
        self.warnings: tuple[str, ...] = ()

    def warn(self, sentence: str) -> None:
        """Adds a sentence to the response's warnings."""
        if sentence not in self.warnings:
            self.warnings += (sentence,)

    def leave_out(self, keyword: str, reason: str) -> None:
        """Says that a keyword of the request is not sent, and why."""
        found = LeftOut(keyword, reason)
        if found not in self.left_out:
            self.left_out += (found,)

    def drop(self, what: str, origin: Origin | None) -> None:
        """Warns that part of the history is not sent, because only its own host understands it."""
        source = f"from {origin}" if origin else "of no known origin"
        self.warn(f"{what} {source} was left out: {self.context.provider} would not recognise it")

    def refuse(self, sentence: str) -> UnsupportedContentError:
        """Returns the exception for a part that the host cannot take."""
        return UnsupportedContentError(sentence, provider=self.context.provider, model=self.context.model)

    def refuse_keyword(self, keyword: str, sentence: str) -> UnsupportedParameterError:
        """Returns the exception for a keyword that the host cannot take. The sentence follows the keyword."""
        context = self.context
        return UnsupportedParameterError(f"{keyword}: {sentence}", provider=context.provider, model=context.model)

    def bad(self, sentence: str) -> BadRequestError:
        """Returns the exception for a value that no host can take."""
        return BadRequestError(sentence, provider=self.context.provider, model=self.context.model)

    def check_stored(self, part: Any) -> None:
        """Refuses a part that names a file which another host or account stores.

        Raises:
            UnsupportedContentError: it does.
        """
        if part.file_id is not None and self.is_foreign(part.origin):
            raise self.refuse(
                f"{self.maker(part.origin)} stores this file: upload it to {self.context.provider}, or give its data"
            )

    def is_own(self, origin: Origin | None) -> bool:
        """Returns whether a part came from this host in this format."""
        return origin is not None and origin == self.context.origin

    def is_foreign(self, origin: Origin | None) -> bool:
        """Returns whether a part came from another host or format. A part that the caller made is not foreign."""
        here = self.context.origin
        if origin is None or origin == here:
            return False
        # A file that the host stores can be named on any of its wires.
        return origin.protocol != FILES or (origin.provider, origin.account) != (here.provider, here.account)

    def maker(self, origin: Origin | None) -> str:
        """Returns the name of the host that a foreign part came from, for a warning."""
        if origin is not None and origin.account and origin.provider == self.context.origin.provider:
            return f"another account ({origin.account})"
        return "another provider"

    def json(self, value: Any) -> str:
        """Returns a value as JSON text."""
        return self.context.json.dumps(value).decode()


def refuse_compaction(writer: PartWriter[Any]) -> UnsupportedParameterError:
    """Returns the exception for a host that cannot compact a long history by itself."""
    return writer.refuse_keyword(
        "compact_at",
        f"{writer.context.provider} ({writer.api}) does not sum up a long history itself; leave it out, or let "
        "the model do it: Compact(tokens=...) of a conversation",
    )


def settings_without_tools(request: Request, writer: PartWriter[Any]) -> None:
    """Checks the keywords about tools in a request without tools: it refuses a demand and leaves out a preference.

    Raises:
        UnsupportedParameterError: a call is demanded.
    """
    if request.tool_choice is not None:
        if request.tool_choice.mode in ("required", "tool"):
            raise writer.refuse_keyword("tool_choice", "there are no tools to call; give tools=[...]")
        writer.leave_out("tool_choice", "the request has no tools")
    if request.parallel_tool_calls is not None:
        writer.leave_out("parallel_tool_calls", "the request has no tools")
