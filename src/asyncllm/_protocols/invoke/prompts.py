"""A conversation -> what an older text model is told: one prompt in the markup it was trained on, or its own list.

A conversation here is what the system says (joined) and turns of ``(role, text)`` that begin and end with the user; the
markup opens the assistant's next turn. Sources: Meta's and Mistral's prompt formats, AWS's pages on the inference
parameters of Titan, Command and Jurassic-2.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Conversation(NamedTuple):
    """What was said."""

    system: str
    turns: tuple[tuple[str, str], ...]


def _lines(said: Conversation, user: str, model: str) -> str:
    """Plain text for a single question; else a dialogue of named lines."""
    if len(said.turns) == 1:
        return "\n\n".join([text for text in (said.system, said.turns[0][1]) if text])
    names = {"user": user, "assistant": model}
    dialogue = "\n".join([f"{names[role]}: {text}" for role, text in said.turns]) + f"\n{model}:"
    return f"{said.system}\n\n{dialogue}" if said.system else dialogue


def titan(said: Conversation) -> dict[str, Any]:
    """``User:`` and ``Bot:``."""
    return {"inputText": _lines(said, "User", "Bot")}


def plain(said: Conversation) -> dict[str, Any]:
    """``User:`` and ``Assistant:``, for models without a markup of their own."""
    return {"prompt": _lines(said, "User", "Assistant")}


def _headers(said: Conversation, begin: str, end: str, stop: str) -> dict[str, Any]:
    turns = (("system", said.system), *said.turns) if said.system else said.turns
    text = "".join([f"{begin}{role}{end}\n\n{text}{stop}" for role, text in turns])
    return {"prompt": f"<|begin_of_text|>{text}{begin}assistant{end}\n\n"}


def llama_3(said: Conversation) -> dict[str, Any]:
    """Llama 3's headers."""
    return _headers(said, "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")


def llama_4(said: Conversation) -> dict[str, Any]:
    """Llama 4's headers."""
    return _headers(said, "<|header_start|>", "<|header_end|>", "<|eot|>")


def _instructed(said: Conversation, system: str) -> dict[str, Any]:
    written = ["<s>"]
    for index, (role, text) in enumerate(said.turns):
        if role == "user":
            written.append(f"[INST] {system if index == 0 else ''}{text} [/INST]")
        else:
            written.append(f" {text}</s>")
    return {"prompt": "".join(written)}


def llama_2(said: Conversation) -> dict[str, Any]:
    """Llama 2's ``[INST]`` with its ``<<SYS>>``."""
    return _instructed(said, f"<<SYS>>\n{said.system}\n<</SYS>>\n\n" if said.system else "")


def mistral(said: Conversation) -> dict[str, Any]:
    """Mistral's ``[INST]``, the system's words before the user's first."""
    return _instructed(said, f"{said.system}\n\n" if said.system else "")


def command_r(said: Conversation) -> dict[str, Any]:
    """Cohere's chat: the last message by itself, what came before as a list."""
    names = {"user": "USER", "assistant": "CHATBOT"}
    body: dict[str, Any] = {"message": said.turns[-1][1]}
    if len(said.turns) > 1:
        body["chat_history"] = [{"role": names[role], "message": text} for role, text in said.turns[:-1]]
    if said.system:
        body["preamble"] = said.system
    return body
