"""What the model said -> items: its own items as they came, everything else as plain messages and calls.

A part of this origin goes back as the item it was: with its id, status and phase, reasoning before what it led to.
What another host or wire said, and what the caller wrote, has no ids here: texts become one message without an id,
calls carry only their ``call_id``, and reasoning is left out, since only its maker can read it.

Reasoning of this origin without its encrypted or readable content can only be found by its id, and only where the
provider keeps it. Elsewhere it is left out, and with it the ids of what it led to: the API refuses a call whose id
tells that its reasoning is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.content import (
    Audio,
    Part,
    ProviderToolCall,
    ProviderToolResult,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    Unknown,
)
from ..._schema.messages import Message
from ..call_ids import bounded
from .content import Writer
from .output import CALL_FIELDS

Item = dict[str, Any]


def write_assistant(message: Message, writer: Writer, *, stored: bool) -> list[Item]:
    """The items of an assistant message; none when nothing of it can go to this host (a warning says what)."""
    draft = _Draft(writer, stored=stored)
    for part in message.content:
        draft.put(part)
    if not message.content:
        draft.items.append({"role": "assistant", "content": ""})
    return draft.items


class _Draft:
    """The items of one message."""

    __slots__ = ("_nameless", "_open", "_stored", "_writer", "items")

    def __init__(self, writer: Writer, *, stored: bool) -> None:
        self.items: list[Item] = []
        self._writer = writer
        self._stored = stored
        self._open: object = None
        """The id of the message item being filled, ``""`` for one without an id; None when none is."""
        self._nameless = False
        """Reasoning was left out, so that ids that would tell of it must not be sent."""

    def put(self, part: Part) -> None:
        """Adds a part."""
        writer = self._writer
        if not isinstance(part, (Text, Refusal)) and not (isinstance(part, Unknown) and part.type != "message"):
            self._open = None
        writer.unmarked(part.cache)
        if isinstance(part, (Text, Refusal)):
            self._say(part)
        elif isinstance(part, ToolCall):
            self.items.append(self._call(part))
        elif isinstance(part, Reasoning):
            self._reasoning(part)
        elif isinstance(part, (ProviderToolCall, ProviderToolResult)):
            if writer.is_own(part.origin):
                self.items.append(dict(part.raw))
            else:
                writer.warn(f"what another provider's tool {part.name!r} did was left out: it cannot be told here")
        elif isinstance(part, Unknown):
            self._unknown(part)
        elif isinstance(part, Audio) and part.transcript:
            writer.warn("what the model said in audio was sent back as its transcript")
            self._say(Text(part.transcript))
        else:
            raise writer.unsupported(
                f"a {type(part).__name__} part in an assistant message", "put it into a user message"
            )

    def _say(self, part: Text | Refusal) -> None:
        head = (part.extra or {}).get("item") if self._writer.is_own(part.origin) else None
        if isinstance(head, Mapping):
            self._fill(head, _said(part))
        else:
            self._plainly(part)

    def _fill(self, head: Mapping[str, Any], content: Item) -> None:
        """Puts a content part into its message, which other parts of it may have begun."""
        ident = head.get("id")
        if ident is not None and ident == self._open:
            self.items[-1]["content"].append(content)
            return
        item: Item = {"type": "message", "role": "assistant", **head, "content": [content]}
        if self._nameless:
            item.pop("id", None)
        self.items.append(item)
        self._open = ident

    def _plainly(self, part: Text | Refusal) -> None:
        """A message without an id; texts of one are joined, as they were streamed."""
        self._writer.drop_extra(part)
        if isinstance(part, Text):
            self._writer.drop_foreign(part)
        last = self.items[-1] if self._open == "" else None
        if isinstance(part, Text) and (last is None or isinstance(last["content"], str)):
            if last is None:
                self.items.append({"role": "assistant", "content": part.text})
            else:
                last["content"] += part.text
        elif last is None:
            self.items.append({"role": "assistant", "content": [_said(part)]})
        else:
            if isinstance(last["content"], str):
                last["content"] = [_said(Text(last["content"]))]
            last["content"].append(_said(part))
        self._open = ""

    def _call(self, part: ToolCall) -> Item:
        writer = self._writer
        own = writer.is_own(part.origin)
        if part.signature is not None and not own:
            writer.warn("a signature of another provider on a tool call was left out")
        writer.drop_extra(part)
        found = (part.extra or {}).get("item") if own else None
        head = dict(found) if isinstance(found, Mapping) else {}
        if self._nameless:
            head.pop("id", None)
        raw = part.raw_arguments
        if "type" in head:  # a tool with a form of its own
            fields = writer.context.json.loads(raw) if raw.strip() else {}
            return {**head, "call_id": part.id, **(fields if isinstance(fields, dict) else {})}
        kind = "custom_tool_call" if part.kind == "custom" else "function_call"
        if kind == "function_call" and not raw.strip() and not own:
            raw = "{}"
        return {"type": kind, **head, "call_id": bounded(part.id), "name": part.name, CALL_FIELDS[kind]: raw}

    def _reasoning(self, part: Reasoning) -> None:
        writer = self._writer
        if not writer.is_own(part.origin):
            writer.warn("reasoning of another provider was left out: only its maker can read it")
            return
        found = (part.extra or {}).get("item")
        if isinstance(found, Mapping):
            item = {"type": "reasoning", **found}
        else:
            summary = [{"type": "summary_text", "text": part.text}] if part.text else []
            item = {"type": "reasoning", "summary": summary}
            if part.id is not None:
                item["id"] = part.id
        if part.encrypted is not None:
            item["encrypted_content"] = part.encrypted
        if not (self._stored or item.get("encrypted_content") or item.get("content")):
            writer.warn(
                "reasoning without its encrypted content was left out: the provider keeps nothing to find it by"
            )
            self._nameless = True
            return
        self.items.append(item)

    def _unknown(self, part: Unknown) -> None:
        if self._writer.is_foreign(part.origin) or not isinstance(part.raw, Mapping):
            self._writer.warn(f"content of type {part.type!r} from another provider was left out")
            self._open = None
            return
        content = part.raw.get("content")
        if part.type != "message" and part.raw.get("type") == "message" and isinstance(content, list):
            head = {name: value for name, value in part.raw.items() if name != "content"}
            for piece in content:
                self._fill(head, piece)
        else:
            self._open = None
            self.items.append(dict(part.raw))


def _said(part: Text | Refusal) -> Item:
    """The content part of an output message."""
    rest = (part.extra or {}).get("content")
    rest = rest if isinstance(rest, Mapping) else {}
    if isinstance(part, Refusal):
        return {"type": "refusal", "refusal": part.text, **rest}
    annotations = [citation.raw for citation in part.citations if citation.raw is not None]
    return {"type": "output_text", "text": part.text, "annotations": annotations, **rest}
