"""The checks of a call's keywords: each returns the canonical value, or raises `BadRequestError` naming the keyword.

They run before anything is sent. A plain string where a list is expected is refused and never split into letters.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Union, get_args

from ._schema.advice import FallbackReason
from ._schema.content import CacheMark
from ._schema.hosted import FileSearch, HostedTool, MCPServer, WebSearch
from ._schema.request import ProviderTool, ReasoningWord, ResponseFormat, Tool, ToolChoice, Toolset
from .errors import BadRequestError

ToolLike = Union[Tool, ProviderTool, HostedTool, Toolset, Mapping[str, Any], Callable[..., Any]]
Fallback = Sequence[Union[str, tuple[str, str]]]
Interruption = Literal["raise", "restart"]
JSONFormat = Union[Literal["json", "json_object"], ResponseFormat, Mapping[str, Any]]

_REASONING_WORDS: tuple[str, ...] = get_args(ReasoningWord)
_REASONS: tuple[str, ...] = get_args(FallbackReason)
_INTERRUPTIONS: tuple[str, ...] = get_args(Interruption)
_MODES = ("auto", "none", "required")
_FUNCTION_KEYS = frozenset({"name", "description", "parameters", "strict"})
_LONGEST_SHOWN = 40
_NOT_IN_A_HEADER_NAME = frozenset(' :()<>@,;"/[]?={}')


def name(keyword: str, value: Any) -> str:
    """Returns a string that is not empty."""
    if not isinstance(value, str) or not value:
        raise BadRequestError(f"{keyword} must be a string that is not empty, not {_shown(value)}")
    return value


def _native(value: Any) -> Any:
    """Returns a number of another library, such as numpy's, as a number of Python; any other value as it is."""
    if type(value) in (int, float, bool) or not isinstance(value, numbers.Real):
        return value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def number(keyword: str, value: Any) -> float:
    """Returns a finite number."""
    value = _native(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise BadRequestError(f"{keyword} must be a number, not {_shown(value)}")
    return value


def seconds(keyword: str, value: Any) -> float:
    """Returns a time in seconds above 0. Infinity is allowed."""
    value = _native(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise BadRequestError(f"{keyword} must be a number of seconds above 0, not {_shown(value)}")
    return value


def whole(keyword: str, value: Any) -> int:
    """Returns a whole number."""
    value = _native(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadRequestError(f"{keyword} must be a whole number, not {_shown(value)}")
    return value


def positive(keyword: str, value: Any) -> int:
    """Returns a whole number of at least 1."""
    value = _native(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadRequestError(f"{keyword} must be a whole number of at least 1, not {_shown(value)}")
    return value


def count(keyword: str, value: Any) -> int:
    """Returns a whole number of at least 0."""
    value = _native(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadRequestError(f"{keyword} must be a whole number of at least 0, not {_shown(value)}")
    return value


def flag(keyword: str, value: Any) -> bool:
    """Returns True or False."""
    if not isinstance(value, bool):
        raise BadRequestError(f"{keyword} must be True or False, not {_shown(value)}")
    return value


def hedge(keyword: str, value: Any) -> float | bool:
    """Returns a time in seconds, True or False."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, (int, float)) or not value > 0:
        raise BadRequestError(f"{keyword} must be a number of seconds above 0, or True or False")
    return value


def interruption(keyword: str, value: Any) -> str:
    """Returns what a stream does when it is interrupted."""
    if value not in _INTERRUPTIONS:
        raise BadRequestError(f"{keyword} must be 'raise' or 'restart', not {_word(value)}")
    return str(value)


def fallback(keyword: str, value: Any) -> tuple[str | tuple[str, str], ...]:
    """Returns a fallback chain: models, or pairs of provider and model."""
    sentence = f'{keyword} must be a list of "model" or ("provider", "model")'
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
        raise BadRequestError(f"{sentence}, not {_shown(value)}")
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(one, str) for one in value):
        raise BadRequestError(f"{sentence}; write [{value!r}] for one hop, or {list(value)!r} for two models")
    hops: list[Any] = []
    for hop in value:
        pair = isinstance(hop, (tuple, list)) and len(hop) == 2 and all(isinstance(one, str) and one for one in hop)
        if not pair and not (isinstance(hop, str) and hop):
            raise BadRequestError(f"{sentence}; {_shown(hop)} is neither")
        hops.append(hop if isinstance(hop, str) else tuple(hop))
    return tuple(hops)


def fallback_on(keyword: str, value: Any) -> tuple[FallbackReason, ...]:
    """Returns the further reasons to try the next target."""
    if isinstance(value, (list, tuple)) and all(isinstance(one, str) and one in _REASONS for one in value):
        return tuple(value)
    raise BadRequestError(f"{keyword} must be a list of {' and '.join(map(repr, _REASONS))}")


def stop(keyword: str, value: Any) -> tuple[str, ...]:
    """Returns one or more stop sequences."""
    words = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, (list, tuple)) else (None,)
    if not all(isinstance(word, str) and word for word in words):
        raise BadRequestError(f"{keyword} must be a string or a list of strings, none of them empty")
    return words


def reasoning(keyword: str, value: Any) -> str | int:
    """Returns a word of the reasoning vocabulary, or a budget in tokens."""
    if isinstance(value, str) and value in _REASONING_WORDS:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise BadRequestError(f"{keyword} must not be a negative number of tokens")
        return value
    raise BadRequestError(
        f"{keyword} must be one of {', '.join(map(repr, _REASONING_WORDS))}, or a budget in tokens, not "
        f"{_word(value)}; a word of the provider's own goes into extra_body"
    )


def caching(keyword: str, value: Any) -> str:
    """Returns ``"auto"``, the only allowed word."""
    if value != "auto":
        raise BadRequestError(f'{keyword} must be "auto", or left out, not {_shown(value)}')
    return "auto"


def mapping(keyword: str, value: Any) -> Mapping[str, Any]:
    """A dict with strings as keys."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise BadRequestError(f"{keyword} must be a dict with strings as keys, not {_shown(value)}")
    return value


def headers(keyword: str, value: Any) -> dict[str, str]:
    """Headers with their names in lower case."""
    if not isinstance(value, Mapping):
        raise BadRequestError(f"{keyword} must be a dict of names and values, not {_shown(value)}")
    read = {}
    for name, text in value.items():
        if not (isinstance(name, str) and isinstance(text, str)):
            raise BadRequestError(f"{keyword} must map strings to strings")
        if not (name.isascii() and name.isprintable() and name and not set(name) & _NOT_IN_A_HEADER_NAME):
            raise BadRequestError(f"{keyword}: {name!r} is not a header name")
        if not text.isprintable() or not text.isascii():
            raise BadRequestError(f"{keyword}[{name!r}] holds characters that no header can carry")
        read[name.lower()] = text
    return read


def tags(keyword: str, value: Any) -> dict[str, str]:
    """Names and values, none of them empty."""
    if not (
        isinstance(value, Mapping) and all(isinstance(word, str) and word for pair in value.items() for word in pair)
    ):
        raise BadRequestError(f"{keyword} must map strings to strings, none of them empty")
    return dict(value)


def read_tools(
    tools: Sequence[ToolLike] | None, keyword: str = "tools"
) -> tuple[Tool | ProviderTool | HostedTool, ...]:
    """The tools of a call in canonical form.

    Args:
        tools: `Tool` values, or dicts in the shape of OpenAI's APIs or of Anthropic's; any other dict is a tool of
            the provider and is sent as it is.
        keyword: how the caller calls them, for the sentence about what is wrong.

    Raises:
        BadRequestError: one of them is not a tool; the sentence names its index.
    """
    if tools is None:
        return ()
    if isinstance(tools, (str, bytes, Mapping)) or not isinstance(tools, Sequence):
        raise BadRequestError(f"{keyword} must be a list of tools, not {_shown(tools)}")
    read = tuple([_read_tool(f"{keyword}[{index}]", tool) for index, tool in enumerate(tools)])
    names = [tool.name for tool in read if isinstance(tool, Tool)]
    if len(set(names)) < len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise BadRequestError(f"{keyword}: two of them are called {twice!r}; give each a name of its own")
    return read


def _read_tool(at: str, tool: Any) -> Tool | ProviderTool | HostedTool:
    if isinstance(tool, Tool):
        if not tool.name:
            raise BadRequestError(f"{at}.name must not be empty")
        return tool
    if isinstance(tool, ProviderTool):
        return tool
    if isinstance(tool, HostedTool):
        return _hosted(at, tool)
    if callable(tool):
        from .tools import FunctionTool, function_tool

        made = tool if isinstance(tool, FunctionTool) else function_tool(tool)
        return made.definition
    if isinstance(tool, Toolset):
        raise BadRequestError(f"{at} is a set of tools that run and run_stream open; here give *(await it.tools())")
    if not isinstance(tool, Mapping):
        raise BadRequestError(f"{at} is a {type(tool).__name__}; give a function, a Tool or a dict in OpenAI's shape")
    if not tool:
        raise BadRequestError(f"{at} is an empty dict; give a function, a Tool or a dict in OpenAI's shape")
    rest = dict(tool)
    kind = rest.pop("type", "function")
    if kind == "function" and "function" in rest:
        function = rest.pop("function")
        if not isinstance(function, Mapping):
            raise BadRequestError(f"{at}.function must be a dict with name, description and parameters")
        unknown = [key for key in function if key not in _FUNCTION_KEYS]
        if unknown:
            raise BadRequestError(
                f"{at}.function has no key {unknown[0]!r}; it has {', '.join(sorted(_FUNCTION_KEYS))}. "
                "Fields of the provider's own go beside 'function', or into Tool(extra=...)"
            )
        return _function(f"{at}.function", function, rest)
    if kind == "function" and "name" in rest and "input_schema" not in rest:  # the flat form of OpenAI's Responses
        function = {key: rest.pop(key) for key in _FUNCTION_KEYS if key in rest}
        return _function(at, function, rest)
    if "input_schema" in rest and ("type" not in tool or kind == "custom"):  # Anthropic's form
        function = {key: rest.pop(key) for key in ("name", "description", "strict") if key in rest}
        return _function(at, {**function, "parameters": rest.pop("input_schema")}, rest)
    return ProviderTool(dict(tool))


def _hosted(at: str, tool: HostedTool) -> HostedTool:
    """A tool of the provider's, with its lists as tuples."""
    for bound in ("max_uses", "max_results"):
        if getattr(tool, bound, None) is not None:
            positive(f"{at}.{bound}", getattr(tool, bound))
    if isinstance(tool, WebSearch):
        if tool.domains and tool.blocked_domains:
            raise BadRequestError(f"{at} has domains and blocked_domains; give one of them")
        if tool.country is not None and not (isinstance(tool.country, str) and len(tool.country) == 2):
            raise BadRequestError(f"{at}.country must be two letters, such as 'NO'")
        domains, blocked = (_words(f"{at}.{one}", getattr(tool, one)) for one in ("domains", "blocked_domains"))
        return replace(tool, domains=domains, blocked_domains=blocked)
    if isinstance(tool, FileSearch):
        stores = (tool.stores,) if isinstance(tool.stores, str) else _words(f"{at}.stores", tool.stores)
        if not stores:
            raise BadRequestError(f"{at}.stores must name at least one collection of files at the provider")
        return replace(tool, stores=stores)
    if isinstance(tool, MCPServer):
        if not isinstance(tool.url, str) or not tool.url.startswith(("https://", "http://")):
            raise BadRequestError(f"{at}.url must be the address of an MCP server, https://...")
        if tool.token is not None:
            name(f"{at}.token", tool.token)
        return replace(tool, tools=_words(f"{at}.tools", tool.tools), headers=mapping(f"{at}.headers", tool.headers))
    return tool


def _words(keyword: str, value: Any) -> tuple[str, ...]:
    """A list of strings that say something."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(word, str) and word for word in value):
        raise BadRequestError(f"{keyword} must be a list of strings, none of them empty, not {_shown(value)}")
    return tuple(value)


def _function(at: str, function: Mapping[str, Any], rest: dict[str, Any]) -> Tool:
    """Returns a tool made from a dict. Keys that we do not know belong to the provider and are sent as they are."""
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise BadRequestError(f"{at}.name must be a string that is not empty")
    description = function.get("description") or ""
    if not isinstance(description, str):
        raise BadRequestError(f"{at}.description must be a string, not {_shown(description)}")
    parameters = function.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise BadRequestError(f"{at}.parameters must be a JSON schema as a dict")
    strict = function.get("strict")
    if strict is not None and not isinstance(strict, bool):
        raise BadRequestError(f"{at}.strict must be True or False, not {_shown(strict)}")
    mark = rest.pop("cache_control", None)
    if mark is not None and not isinstance(mark, Mapping):
        raise BadRequestError(f"{at}.cache_control must be a dict such as {{'type': 'ephemeral'}}")
    cache = None if mark is None else CacheMark(mark.get("ttl"))
    return Tool(name, description, parameters, strict=strict, extra=rest or None, cache=cache)


def tools(keyword: str, value: Any) -> tuple[Tool | ProviderTool | HostedTool, ...]:
    """As `read_tools`."""
    return read_tools(value, keyword)


def tool_choice(keyword: str, value: Any) -> ToolChoice:
    """Returns a tool choice, from any of the forms that vendors use."""
    if isinstance(value, ToolChoice):
        return value
    if isinstance(value, str) and value:
        return ToolChoice(value) if value in _MODES else ToolChoice("tool", (value,))  # type: ignore[arg-type]
    if isinstance(value, Mapping):
        read = _choice_of_dict(value)
        if read is not None:
            return read
    raise BadRequestError(f"{keyword} must be 'auto', 'none', 'required', the name of a tool, or OpenAI's dict for one")


def _choice_of_dict(choice: Mapping[str, Any]) -> ToolChoice | None:
    """Reads a tool choice from the dicts of OpenAI's two APIs and of Anthropic's."""
    kind = choice.get("type")
    inner = choice.get(kind) if isinstance(kind, str) else None
    if kind in ("function", "custom", "tool"):
        name = (inner if isinstance(inner, Mapping) else choice).get("name")
        return ToolChoice("tool", (name,)) if isinstance(name, str) and name else None
    if kind == "allowed_tools":
        allowed = inner if isinstance(inner, Mapping) else choice
        mode: Literal["required", "auto"] = "required" if allowed.get("mode") == "required" else "auto"
        names = [_name_in(tool) for tool in allowed.get("tools") or ()]
        return ToolChoice(mode, tuple([name for name in names if name])) if all(names) else None
    return None


def _name_in(tool: Any) -> str | None:
    """The name in one of the dicts of ``allowed_tools``."""
    if not isinstance(tool, Mapping):
        return None
    inner = tool.get(str(tool.get("type")))
    name = (inner if isinstance(inner, Mapping) else tool).get("name")
    return name if isinstance(name, str) else None


def _shown(value: Any) -> str:
    """Returns a wrong value for an error message: numbers as they are, others by their type, as a text may be a
    secret.
    """
    if value == "":
        return "an empty one"
    plain = value is None or isinstance(value, (bool, int, float))
    return repr(value) if plain and len(repr(value)) < _LONGEST_SHOWN else f"a {type(value).__name__}"


def _word(value: Any) -> str:
    """Returns a wrong word for an error message, where the allowed words form a list."""
    return repr(value) if isinstance(value, str) and len(value) < _LONGEST_SHOWN else _shown(value)
