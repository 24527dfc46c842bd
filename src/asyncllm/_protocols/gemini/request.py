"""Request -> ``generateContent`` body.

What the wire has no word for is refused before anything is sent (`UnsupportedParameterError`, so that another model
of the chain may be tried) when leaving it out would change the answer, and left out with a warning when it would
not.

Thinking: a word is a ``thinkingLevel`` on Gemini 3 and later and a ``thinkingBudget`` on 2.5 (the budgets are those of
Google's own OpenAI-compatible endpoint); a number is a budget, which only 2.5 takes. Thoughts are asked for whenever
thinking is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..._schema.request import Request, Tool, ToolChoice
from ...errors import UnsupportedParameterError
from ..codec import Context, WireRequest, deep_merge
from ..parts import settings_without_tools
from .dialect import GeminiDialect, ModelFamily
from .messages import ContentsWriter

_WORD_BUDGETS: Mapping[str, int] = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}
_BEYOND_HIGH = frozenset({"xhigh", "max"})


def write_request(request: Request, context: Context, dialect: GeminiDialect) -> WireRequest:
    """The whole HTTP request but for its credential; raises as `WireProtocol.encode` says."""
    family = dialect.family(request.model)
    path = dialect.path(request.model, "streamGenerateContent" if request.stream else "generateContent")
    writer = ContentsWriter(context, dialect, family)
    writer.write(request.messages)
    body: dict[str, Any] = {}
    if writer.system:
        body["systemInstruction"] = {"parts": writer.system}
    body["contents"] = writer.contents
    _add_tools(body, request, dialect, writer)
    config = _generation_config(request, family, dialect, writer)
    if config:
        body["generationConfig"] = config
    if dialect.safety_settings:
        body["safetySettings"] = [dict(setting) for setting in dialect.safety_settings]
    if dialect.labels:
        body["labels"] = dict(dialect.labels)
    if dialect.service_tier:
        body["serviceTier"] = dialect.service_tier
    if request.extra_body:
        body = deep_merge(body, request.extra_body)
    headers = {"content-type": "application/json"}
    headers.update({name.lower(): value for name, value in (request.extra_headers or {}).items()})
    return WireRequest(
        method="POST",
        path=path,
        query="alt=sse" if request.stream else "",
        headers=tuple(headers.items()),
        body=context.json.dumps(body),
        left_out=writer.left_out,
        warnings=writer.warnings,
    )


def _generation_config(
    request: Request, family: ModelFamily, dialect: GeminiDialect, writer: ContentsWriter
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "temperature": request.temperature,
        "topP": request.top_p,
        "maxOutputTokens": request.max_tokens,
        "stopSequences": list(request.stop) or None,
        "seed": request.seed,
    }
    config = {key: value for key, value in values.items() if value is not None}
    if not family.sampling and ("temperature" in config or "topP" in config):
        writer.warn(f"{request.model} ignores temperature and top_p")
    _add_format(config, request, family)
    thinking = _thinking(request, family, dialect, writer)
    if thinking:
        config["thinkingConfig"] = thinking
    return config


def _add_format(config: dict[str, Any], request: Request, family: ModelFamily) -> None:
    wanted = request.response_format
    if wanted is None:
        return
    if 0 < family.generation < 3 and any(isinstance(tool, Tool) for tool in request.tools):
        raise UnsupportedParameterError(
            f"{request.model} cannot be held to a response_format while it has tools: "
            "leave one of them out, or use Gemini 3 or later"
        )
    config["responseMimeType"] = "application/json"
    if wanted.schema is not None:
        schema = dict(wanted.schema)
        if wanted.description:
            schema.setdefault("description", wanted.description)
        config["responseJsonSchema"] = schema


# -- thinking -------------------------------------------------------------------------------------------------------


def _thinking(
    request: Request, family: ModelFamily, dialect: GeminiDialect, writer: ContentsWriter
) -> dict[str, Any] | None:
    wanted = request.reasoning
    if wanted is None:
        return None
    if isinstance(wanted, str):
        wanted = wanted.lower()
    if wanted in ("none", 0):
        return _no_thinking(request.model, family, writer)
    if family.thinking == "none":
        raise UnsupportedParameterError(f"{request.model} does not reason: leave reasoning out")
    if isinstance(wanted, int):
        return _by_budget(wanted, request.model, family, writer)
    if family.thinking == "budget":
        if wanted not in _WORD_BUDGETS and wanted not in _BEYOND_HIGH:
            raise _bad_word(wanted)
        return _by_budget(_WORD_BUDGETS.get(wanted, family.budgets[1]), request.model, family, writer)
    return {"thinkingLevel": _level(wanted, request.model, family, writer), "includeThoughts": True}


def _no_thinking(model: str, family: ModelFamily, writer: ContentsWriter) -> dict[str, Any] | None:
    if family.thinking == "none":
        return None
    if family.budget_zero or family.thinking == "any":
        return {"thinkingBudget": 0}
    if family.levels[:1] == ("MINIMAL",):
        writer.warn(f"{model} cannot be kept from reasoning altogether; it was asked for the least")
        return {"thinkingLevel": "MINIMAL"}
    raise UnsupportedParameterError(f"{model} cannot be kept from reasoning: ask for reasoning='low' instead")


def _by_budget(budget: int, model: str, family: ModelFamily, writer: ContentsWriter) -> dict[str, Any]:
    if family.thinking == "level":
        raise UnsupportedParameterError(
            f"{model} takes no budget of reasoning tokens: ask for reasoning='low', 'medium' or 'high' instead"
        )
    if family.thinking == "budget" and budget != -1:  # -1: the model decides
        smallest, largest = family.budgets
        bounded = min(max(budget, smallest), largest)
        if bounded != budget:
            writer.warn(f"{model} takes {smallest} to {largest} reasoning tokens; {bounded} were asked for")
            budget = bounded
    return {"thinkingBudget": budget, "includeThoughts": True}


def _level(word: str, model: str, family: ModelFamily, writer: ContentsWriter) -> str:
    level = "HIGH" if word in _BEYOND_HIGH else word.upper()
    if level not in ("MINIMAL", "LOW", "MEDIUM", "HIGH"):
        raise _bad_word(word)
    if not family.levels or level in family.levels:
        chosen = level
    else:
        chosen = family.levels[0] if level in ("MINIMAL", "LOW") else family.levels[-1]
    if chosen != word.upper():
        writer.warn(f"{model} has no reasoning level {word!r}; {chosen.lower()!r} was asked for")
    return chosen


def _bad_word(word: str) -> UnsupportedParameterError:
    return UnsupportedParameterError(
        f"reasoning={word!r} is no level of Gemini: use 'none', 'minimal', 'low', 'medium' or 'high'"
    )


# -- tools ----------------------------------------------------------------------------------------------------------


def _add_tools(body: dict[str, Any], request: Request, dialect: GeminiDialect, writer: ContentsWriter) -> None:
    if not request.tools:
        settings_without_tools(request, writer)
        return
    tools: list[dict[str, Any]] = []
    declarations: list[dict[str, Any]] = []
    for tool in request.tools:
        if not isinstance(tool, Tool):
            tools.append(dict(tool.definition))
            continue
        if not declarations:
            tools.append({"functionDeclarations": declarations})
        if tool.cache is not None:
            writer.warn("the prompt-cache marks of tools were left out: this wire has none")
        declarations.append(_declaration(tool))
    if tools:
        body["tools"] = tools
    if declarations and request.parallel_tool_calls is False:
        raise UnsupportedParameterError(
            f"{dialect.host} has no way to forbid parallel tool calls: "
            "leave parallel_tool_calls out and answer every call"
        )
    calling = _function_calling(request.tool_choice, request.tools)
    if dialect.stream_arguments and request.stream and declarations:
        calling["streamFunctionCallArguments"] = True
    if calling:
        body["toolConfig"] = {"functionCallingConfig": calling}


def _declaration(tool: Tool) -> dict[str, Any]:
    declaration: dict[str, Any] = {"name": tool.name}
    if tool.description:
        declaration["description"] = tool.description
    if tool.parameters:
        declaration["parametersJsonSchema"] = tool.parameters
    return deep_merge(declaration, tool.extra) if tool.extra else declaration


def _function_calling(choice: ToolChoice | None, tools: tuple[Any, ...]) -> dict[str, Any]:
    strict = any(isinstance(tool, Tool) and tool.strict for tool in tools)
    if choice is None:
        return {"mode": "VALIDATED"} if strict else {}
    if choice.mode == "none":
        return {"mode": "NONE"}
    if choice.mode == "auto":
        # The wire takes names with ANY and VALIDATED only; ANY would force a call.
        config: dict[str, Any] = {"mode": "VALIDATED" if strict or choice.names else "AUTO"}
    else:
        config = {"mode": "ANY"}
    if choice.names:
        config["allowedFunctionNames"] = list(choice.names)
    return config
