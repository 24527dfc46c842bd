"""A scenario as a caller of each vendor's own SDK would write it: built from the scenario alone, not from ours."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scenarios import PNG, Part, Scenario, Traits

Json = dict[str, Any]
KEY = "sk-sim-oracle"


def data_url(data: bytes, media_type: str) -> str:
    """Bytes as an address."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def as_text(result: Any, failed: bool) -> str:
    """A tool's result where only text can be said."""
    text = result if isinstance(result, str) else json.dumps(result, separators=(",", ":"), ensure_ascii=False)
    return f"Error: {text}" if failed else text


def compact(value: Any) -> str:
    """Arguments as the text that travels."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def present(**values: Any) -> Json:
    """What was given."""
    return {name: value for name, value in values.items() if value not in (None, "", (), [])}


# --- OpenAI, chat completions ----------------------------------------------------------------------------------------


def openai_chat(asked: Scenario, model: str, base_url: str) -> None:
    """``client.chat.completions.create``."""
    from openai import OpenAI

    messages: list[Any] = [{"role": "system", "content": asked.system}] if asked.system else []
    for turn in asked.turns:
        parts = [_chat_part(part) for part in turn.parts]
        messages.append({"role": "user", "content": turn.parts[0].text if len(parts) == 1 else parts})
        if turn.reply or turn.calls:
            calls = [
                {"id": it.id, "type": "function", "function": {"name": it.name, "arguments": compact(it.arguments)}}
                for it in turn.calls
            ]
            messages.append({"role": "assistant", "content": turn.reply or None, **present(tool_calls=calls)})
        messages += [
            {"role": "tool", "tool_call_id": it.id, "content": as_text(it.result, it.failed)} for it in turn.calls
        ]
    tools = [
        {"type": "function", "function": {"name": it.name, "description": it.description, "parameters": it.schema}}
        for it in asked.tools
    ]
    named = asked.choice not in ("", "auto", "none", "required")
    schema = {"type": "json_schema", "json_schema": {"name": "response", "schema": asked.schema}}
    given = present(
        max_completion_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        stop=list(asked.stop),
        seed=asked.seed,
        tools=tools,
        tool_choice={"type": "function", "function": {"name": asked.choice}} if named else asked.choice,
        parallel_tool_calls=asked.parallel,
        response_format=schema if asked.schema else None,
        reasoning_effort=asked.effort,
        stream=asked.stream or None,
        stream_options={"include_usage": True} if asked.stream else None,
    )
    client = OpenAI(api_key=KEY, base_url=base_url, max_retries=0)
    drain(client.chat.completions.create(model=model, messages=messages, **given))


def _chat_part(part: Part) -> Json:
    if part.kind == "text":
        return {"type": "text", "text": part.text}
    if part.kind == "pdf":
        return {"type": "file", "file": {"filename": part.text, "file_data": data_url(part.data, part.media_type)}}
    url = part.text if part.kind == "url" else data_url(part.data, part.media_type)
    return {"type": "image_url", "image_url": {"url": url}}


# --- OpenAI, responses -----------------------------------------------------------------------------------------------


def openai_responses(asked: Scenario, model: str, base_url: str) -> None:
    """``client.responses.create``."""
    from openai import OpenAI

    items: list[Any] = [{"role": "system", "content": asked.system}] if asked.system else []
    for turn in asked.turns:
        parts = [_response_part(part) for part in turn.parts]
        items.append({"role": "user", "content": turn.parts[0].text if len(parts) == 1 else parts})
        if turn.thought:
            summary = [{"type": "summary_text", "text": turn.thought}]
            items.append({"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": turn.signature})
        if turn.reply:
            items.append({"role": "assistant", "content": turn.reply})
        items += [
            {"type": "function_call", "call_id": it.id, "name": it.name, "arguments": compact(it.arguments)}
            for it in turn.calls
        ]
        items += [
            {"type": "function_call_output", "call_id": it.id, "output": _response_output(it.result, it.failed)}
            for it in turn.calls
        ]
    tools = [
        {"type": "function", "name": it.name, "description": it.description, "parameters": it.schema}
        for it in asked.tools
    ]
    named = asked.choice not in ("", "auto", "none", "required")
    given = present(
        max_output_tokens=asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        tools=tools,
        tool_choice={"type": "function", "name": asked.choice} if named else asked.choice,
        parallel_tool_calls=asked.parallel,
        text={"format": {"type": "json_schema", "name": "response", "schema": asked.schema}} if asked.schema else None,
        reasoning={"effort": asked.effort, "summary": "auto"} if asked.effort else None,
        stream=asked.stream or None,
    )
    client = OpenAI(api_key=KEY, base_url=base_url, max_retries=0)
    keep = {"store": False, "include": ["reasoning.encrypted_content"]}
    drain(client.responses.create(model=model, input=items, **keep, **given))


def _response_part(part: Part) -> Json:
    if part.kind == "text":
        return {"type": "input_text", "text": part.text}
    if part.kind == "pdf":
        return {"type": "input_file", "filename": part.text, "file_data": data_url(part.data, part.media_type)}
    url = part.text if part.kind == "url" else data_url(part.data, part.media_type)
    return {"type": "input_image", "image_url": url, "detail": "auto"}


def _response_output(result: Any, failed: bool) -> Any:
    if isinstance(result, bytes):
        return [{"type": "input_image", "image_url": data_url(result, "image/png"), "detail": "auto"}]
    return as_text(result, failed)


# --- Anthropic -------------------------------------------------------------------------------------------------------


def anthropic(asked: Scenario, model: str, base_url: str) -> None:
    """``client.messages.create``."""
    from anthropic import Anthropic

    messages: list[Any] = []
    waiting: list[Json] = []
    for turn in asked.turns:
        blocks = [*waiting, *[_claude_part(part) for part in turn.parts]]
        plain = len(blocks) == 1 and turn.parts[0].text
        messages.append({"role": "user", "content": plain or blocks})
        said: list[Json] = []
        if turn.thought:
            said.append({"type": "thinking", "thinking": turn.thought, "signature": turn.signature})
        if turn.reply:
            said.append({"type": "text", "text": turn.reply})
        said += [{"type": "tool_use", "id": it.id, "name": it.name, "input": it.arguments} for it in turn.calls]
        if said:
            messages.append(
                {
                    "role": "assistant",
                    "content": turn.reply if said[0].keys() == {"type", "text"} and len(said) == 1 else said,
                }
            )
        waiting = [
            {
                "type": "tool_result",
                "tool_use_id": it.id,
                "content": _claude_result(it.result),
                **present(is_error=it.failed or None),
            }
            for it in turn.calls
        ]
    choice: Json | None = {"type": {"required": "any"}.get(asked.choice, asked.choice)} if asked.choice else None
    if asked.choice not in ("", "auto", "none", "required"):
        choice = {"type": "tool", "name": asked.choice}
    if asked.parallel is False and asked.choice != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    output = present(
        effort=asked.effort, format={"type": "json_schema", "schema": asked.schema} if asked.schema else None
    )
    given = present(
        system=asked.system,
        max_tokens=asked.max_tokens or 8192,
        stop_sequences=list(asked.stop),
        tools=[{"name": it.name, "description": it.description, "input_schema": it.schema} for it in asked.tools],
        tool_choice=choice,
        thinking={"type": "adaptive"} if asked.effort else None,
        output_config=output or None,
        stream=asked.stream or None,
    )
    sampling = present(temperature=asked.temperature, top_p=asked.top_p)
    client = Anthropic(api_key=KEY, base_url=base_url, max_retries=0, default_headers=_old_version(sampling))
    drain(client.messages.create(model=model, messages=messages, extra_body=sampling or None, **given))


def _old_version(sampling: Json) -> Json:
    """The newest version has no sampling parameters, nor has the SDK any more."""
    return {"anthropic-version": "2023-06-01"} if sampling else {}


def _claude_part(part: Part) -> Json:
    if part.kind == "text":
        return {"type": "text", "text": part.text}
    if part.kind == "url":
        return {"type": "image", "source": {"type": "url", "url": part.text}}
    source = {"type": "base64", "media_type": part.media_type, "data": base64.b64encode(part.data).decode()}
    if part.kind == "pdf":
        return {"type": "document", "source": source, "title": part.text}
    return {"type": "image", "source": source}


def _claude_result(result: Any) -> Any:
    if isinstance(result, bytes):
        return [_claude_part(Part("image", data=result, media_type="image/png"))]
    return as_text(result, failed=False)


# --- Gemini ----------------------------------------------------------------------------------------------------------


def gemini(asked: Scenario, model: str, base_url: str) -> None:
    """``client.models.generate_content``."""
    from google import genai
    from google.genai import types

    contents: list[Any] = []
    waiting: list[Any] = []
    for turn in asked.turns:
        contents.append(types.Content(role="user", parts=[*waiting, *[_gemini_part(types, it) for it in turn.parts]]))
        said = [types.Part(text=turn.reply)] if turn.reply else []
        for number, call in enumerate(turn.calls):
            signature = base64.b64decode(turn.signature) if turn.signature and not number else None
            told = types.FunctionCall(id=call.id, name=call.name, args=call.arguments)
            said.append(types.Part(function_call=told, thought_signature=signature))
        if said:
            contents.append(types.Content(role="model", parts=said))
        waiting = [types.Part(function_response=_gemini_result(types, it)) for it in turn.calls]
    if waiting:
        contents.append(types.Content(role="user", parts=waiting))
    declared = [
        types.FunctionDeclaration(name=it.name, description=it.description, parameters_json_schema=it.schema)
        for it in asked.tools
    ]
    calling: Json = {"auto": {"mode": "AUTO"}, "none": {"mode": "NONE"}, "required": {"mode": "ANY"}}
    wanted = calling.get(asked.choice, {"mode": "ANY", "allowed_function_names": [asked.choice]})
    config = types.GenerateContentConfig(
        **present(
            system_instruction=asked.system,
            max_output_tokens=asked.max_tokens,
            temperature=asked.temperature,
            top_p=asked.top_p,
            stop_sequences=list(asked.stop),
            seed=asked.seed,
            tools=[types.Tool(function_declarations=declared)] if declared else None,
            tool_config=types.ToolConfig(function_calling_config=types.FunctionCallingConfig(**wanted))
            if asked.choice
            else None,
            response_mime_type="application/json" if asked.schema else None,
            response_json_schema=asked.schema,
            thinking_config=types.ThinkingConfig(thinking_level=asked.effort.upper(), include_thoughts=True)
            if asked.effort
            else None,
        )
    )
    client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=base_url))
    if asked.stream:
        drain(client.models.generate_content_stream(model=model, contents=contents, config=config))
    else:
        client.models.generate_content(model=model, contents=contents, config=config)


def _gemini_part(types: Any, part: Part) -> Any:
    if part.kind == "text":
        return types.Part(text=part.text)
    if part.kind == "url":
        return types.Part.from_uri(file_uri=part.text, mime_type=part.media_type)
    return types.Part.from_bytes(data=part.data, mime_type=part.media_type)


def _gemini_result(types: Any, call: Any) -> Any:
    if isinstance(call.result, bytes):
        blob = types.FunctionResponseBlob(mime_type="image/png", data=PNG)
        parts = [types.FunctionResponsePart(inline_data=blob)]
        return types.FunctionResponse(id=call.id, name=call.name, response={}, parts=parts)
    response = {"error" if call.failed else "output": call.result}
    return types.FunctionResponse(id=call.id, name=call.name, response=response)


# --- Bedrock ---------------------------------------------------------------------------------------------------------


def bedrock(asked: Scenario, model: str, base_url: str) -> None:
    """``client.converse`` and ``client.converse_stream``."""
    import boto3
    from botocore.config import Config

    messages: list[Json] = []
    waiting: list[Json] = []
    for turn in asked.turns:
        messages.append({"role": "user", "content": [*waiting, *[_bedrock_part(part) for part in turn.parts]]})
        said: list[Json] = []
        if turn.thought:
            text = {"text": turn.thought, "signature": turn.signature}
            said.append({"reasoningContent": {"reasoningText": text}})
        if turn.reply:
            said.append({"text": turn.reply})
        said += [{"toolUse": {"toolUseId": it.id, "name": it.name, "input": it.arguments}} for it in turn.calls]
        if said:
            messages.append({"role": "assistant", "content": said})
        waiting = [
            {
                "toolResult": {
                    "toolUseId": it.id,
                    "content": [_bedrock_result(it.result)],
                    **present(status="error" if it.failed else None),
                }
            }
            for it in turn.calls
        ]
    choice = {"auto": {"auto": {}}, "required": {"any": {}}}.get(asked.choice, {"tool": {"name": asked.choice}})
    specs = [
        {"toolSpec": {"name": it.name, "description": it.description, "inputSchema": {"json": it.schema}}}
        for it in asked.tools
    ]
    settings = present(
        maxTokens=asked.max_tokens, temperature=asked.temperature, topP=asked.top_p, stopSequences=list(asked.stop)
    )
    fields = {"thinking": {"type": "adaptive"}, "output_config": {"effort": asked.effort}}
    schema = {"schema": json.dumps(asked.schema), "name": "response"}
    given = present(
        system=[{"text": asked.system}] if asked.system else None,
        inferenceConfig=settings or None,
        toolConfig={"tools": specs, **({"toolChoice": choice} if asked.choice else {})} if specs else None,
        additionalModelRequestFields=fields if asked.effort else None,
        outputConfig={"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}
        if asked.schema
        else None,
    )
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=base_url,
        aws_access_key_id="sk-sim-access",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}),
    )
    if asked.stream:
        drain(client.converse_stream(modelId=model, messages=messages, **given)["stream"])
    else:
        client.converse(modelId=model, messages=messages, **given)


def _bedrock_part(part: Part) -> Json:
    if part.kind == "text":
        return {"text": part.text}
    if part.kind == "pdf":
        return {"document": {"format": "pdf", "name": part.text, "source": {"bytes": part.data}}}
    return {"image": {"format": part.media_type.partition("/")[2], "source": {"bytes": part.data}}}


def _bedrock_result(result: Any) -> Json:
    if isinstance(result, bytes):
        return {"image": {"format": "png", "source": {"bytes": result}}}
    return {"text": result} if isinstance(result, str) else {"json": result}


def drain(answer: Any) -> None:
    """Reads a stream to its end; a whole answer is left alone."""
    if not hasattr(answer, "model_dump"):
        for _ in answer:
            pass


# --- which SDK stands for which host ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vendor:
    """A host and its maker's SDK.

    Attributes:
        module: what must be installed.
        kind: the host's kind, here and in the simulator.
        protocol: the wire format, for the provenance of parts.
    """

    name: str
    module: str
    kind: str
    protocol: str
    model: str
    send: Callable[[Scenario, str, str], None]
    traits: Traits
    settings: tuple[tuple[str, str], ...] = ()


VENDORS = (
    Vendor("openai", "openai", "openai", "openai_chat", "gpt-5.4-mini", openai_chat, Traits(seed=True)),
    Vendor(
        *("responses", "openai", "openai", "openai_responses", "gpt-5.4-mini", openai_responses),
        Traits(stop=False, result_images=True, signed=True),
        (("api", "responses"),),
    ),
    Vendor(
        *("anthropic", "anthropic", "anthropic", "anthropic", "claude-sonnet-4-6", anthropic),
        Traits(result_images=True, signed=True),
    ),
    Vendor(
        *("gemini", "google.genai", "gemini", "gemini", "gemini-3.8-flash", gemini),
        Traits(
            result_images=True, signed=True, seed=True, parallel_switch=False, sampling=False
        ),  # this model ignores it
    ),
    Vendor(
        *("bedrock", "boto3", "bedrock", "converse", "us.anthropic.claude-sonnet-4-6", bedrock),
        Traits(result_images=True, signed=True, image_urls=False, parallel_switch=False, no_choice=False),
        (("region_name", "us-east-1"),),
    ),
)
