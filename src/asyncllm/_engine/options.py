"""The keywords of ``send`` and ``stream`` -> a canonical `Request`.

Checked once, before any byte is sent; what is wrong raises `BadRequestError` naming the keyword.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, Union

from .._schema.messages import Message
from .._schema.request import ProviderTool, Request, ResponseFormat, Tool, ToolChoice
from .._transport.base import Timeouts
from ..errors import BadRequestError
from .call import Patience, Payer

ToolLike = Union[Tool, ProviderTool, Mapping[str, Any]]
_HEDGE_PERCENTILE = 95.0
_MODES = ("auto", "none", "required")


def build_request(
    messages: tuple[Message, ...],
    *,
    model: str,
    stream: bool,
    temperature: float | None,
    top_p: float | None,
    max_tokens: int | None,
    stop: str | Sequence[str] | None,
    seed: int | None,
    tools: Sequence[ToolLike] | None,
    tool_choice: str | ToolChoice | Mapping[str, Any] | None,
    parallel_tool_calls: bool | None,
    response_format: Any,
    reasoning: str | int | None,
    extra_body: Mapping[str, Any] | None,
    extra_headers: Mapping[str, str] | None,
) -> Request:
    """The request, for the first model of the call's chain."""
    offered = read_tools(tools)
    return Request(
        model=model,
        messages=messages,
        stream=stream,
        temperature=_number("temperature", temperature),
        top_p=_number("top_p", top_p),
        max_tokens=_positive("max_tokens", max_tokens),
        stop=_read_stop(stop) if stop else (),
        seed=seed,
        tools=offered,
        tool_choice=None if tool_choice is None else _read_choice(tool_choice, offered),
        parallel_tool_calls=parallel_tool_calls,
        response_format=None if response_format is None else read_format(response_format),
        reasoning=None if reasoning is None else _read_reasoning(reasoning),
        extra_body=_mapping("extra_body", extra_body),
        extra_headers=_read_headers(extra_headers) if extra_headers else None,
    )


class Hedging(Protocol):
    """When the configuration asks a second target; at most one of the two is set."""

    @property
    def after(self) -> float | None:
        """Seconds."""
        ...

    @property
    def percentile(self) -> float | None:
        """Of the latencies seen."""
        ...


def check_reasks(validation_retries: int, response_format: Any) -> int:
    """How often a model is asked again.

    Raises:
        BadRequestError: it is no number of times, or there is nothing to fit.
    """
    if isinstance(validation_retries, bool) or not isinstance(validation_retries, int) or validation_retries < 0:
        raise BadRequestError("validation_retries must be a whole number of at least 0")
    if validation_retries and response_format is None:
        raise BadRequestError("validation_retries needs a response_format for the answer to fit")
    return validation_retries


def build_payer(user: str | None, agent: str | None, tags: Mapping[str, str] | None) -> Payer | None:
    """For whom a call is made.

    Raises:
        BadRequestError: one of them is not what it must be.
    """
    if user is None and agent is None and tags is None:
        return None
    for keyword, name in (("user", user), ("agent", agent)):
        if name is not None and (not isinstance(name, str) or not name):
            raise BadRequestError(f"{keyword} must be a string that is not empty")
    if tags is not None and not (
        isinstance(tags, Mapping) and all(isinstance(word, str) and word for pair in tags.items() for word in pair)
    ):
        raise BadRequestError("tags must map strings to strings, none of them empty")
    return Payer(user=user, agent=agent, tags=None if tags is None else dict(tags))


def build_patience(
    timeouts: Timeouts, timeout: float | None, hedge: float | bool | None, priority: int, configured: Hedging
) -> Patience:
    """How the call waits.

    Raises:
        BadRequestError: a keyword is wrong.
    """
    if isinstance(priority, bool) or not isinstance(priority, int):
        raise BadRequestError(f"priority must be a whole number, not {type(priority).__name__}")
    if timeout is not None and (_number("timeout", timeout) or 0) <= 0:
        raise BadRequestError("timeout must be a number of seconds above 0")
    after, percentile = configured.after, configured.percentile
    if hedge is True and after is None and percentile is None:
        percentile = _HEDGE_PERCENTILE
    elif hedge is False:
        after = percentile = None
    elif hedge is not None and hedge is not True:
        if (_number("hedge", hedge) or 0) <= 0:
            raise BadRequestError("hedge must be a number of seconds above 0, or True or False")
        after, percentile = hedge, None
    return Patience(
        total=timeouts.total if timeout is None else timeout,
        whole=timeout,
        priority=priority,
        hedge=after,
        hedge_percentile=percentile,
    )


def check_on_interrupt(word: Literal["raise", "restart"]) -> Literal["raise", "restart"]:
    """The word itself, if it is one of the two."""
    if word not in ("raise", "restart"):
        raise BadRequestError(f"on_interrupt must be 'raise' or 'restart', not {word!r}")
    return word


def read_tools(tools: Sequence[ToolLike] | None) -> tuple[Tool | ProviderTool, ...]:
    """The tools of a call in canonical form.

    Raises:
        BadRequestError: one of them is not one; the sentence names its index.
    """
    return tuple([_read_tool(index, tool) for index, tool in enumerate(tools)]) if tools else ()


def _number(keyword: str, value: float | None) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise BadRequestError(f"{keyword} must be a number, not {type(value).__name__}")
    return value


def _positive(keyword: str, value: int | None) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise BadRequestError(f"{keyword} must be a whole number of at least 1, not {value!r}")
    return value


def _read_stop(stop: str | Sequence[str]) -> tuple[str, ...]:
    words = (stop,) if isinstance(stop, str) else tuple(stop)
    if not all(isinstance(word, str) and word for word in words):
        raise BadRequestError("stop must be a string or a list of strings, none of them empty")
    return words


def _mapping(keyword: str, value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if value is not None and not isinstance(value, Mapping):
        raise BadRequestError(f"{keyword} must be a dict, not {type(value).__name__}")
    return value


def _read_headers(headers: Mapping[str, str]) -> dict[str, str]:
    read = {}
    for name, value in headers.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise BadRequestError("extra_headers must map strings to strings")
        if not (name.isascii() and name.isprintable() and name and not set(name) & set(' :()<>@,;"/[]?={}')):
            raise BadRequestError(f"extra_headers: {name!r} is not a header name")
        if not value.isprintable() or not value.isascii():
            raise BadRequestError(f"extra_headers[{name!r}] holds characters that no header can carry")
        read[name.lower()] = value
    return read


def _read_reasoning(reasoning: str | int) -> str | int:
    if isinstance(reasoning, bool) or not isinstance(reasoning, (str, int)) or reasoning == "":
        raise BadRequestError("reasoning must be an effort word such as 'low', or a budget in tokens")
    if isinstance(reasoning, int) and reasoning < 0:
        raise BadRequestError("reasoning must not be a negative number of tokens")
    return reasoning


def _read_tool(index: int, tool: ToolLike) -> Tool | ProviderTool:
    at = f"tools[{index}]"
    if isinstance(tool, Tool):
        if not tool.name:
            raise BadRequestError(f"{at}.name must not be empty")
        return tool
    if isinstance(tool, ProviderTool):
        return tool
    if not isinstance(tool, Mapping):
        raise BadRequestError(f"{at} is a {type(tool).__name__}; give a Tool or a dict in OpenAI's shape")
    function = tool.get("function")
    if tool.get("type", "function") != "function" or function is None:
        return ProviderTool(dict(tool))
    if not isinstance(function, Mapping):
        raise BadRequestError(f"{at}.function must be a dict with name, description and parameters")
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise BadRequestError(f"{at}.function.name must be a string that is not empty")
    parameters = function.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise BadRequestError(f"{at}.function.parameters must be a JSON schema as a dict")
    return Tool(name, function.get("description") or "", parameters, strict=function.get("strict"))


def _read_choice(choice: str | ToolChoice | Mapping[str, Any], tools: tuple[Tool | ProviderTool, ...]) -> ToolChoice:
    read = _parse_choice(choice)
    offered = {tool.name for tool in tools if isinstance(tool, Tool)}
    missing = [name for name in read.names if name not in offered]
    if missing and not any(isinstance(tool, ProviderTool) for tool in tools):
        raise BadRequestError(f"tool_choice names {missing[0]!r}, which is not among the tools of this call")
    return read


def _parse_choice(choice: str | ToolChoice | Mapping[str, Any]) -> ToolChoice:
    if isinstance(choice, ToolChoice):
        return choice
    if isinstance(choice, str):
        return ToolChoice(choice) if choice in _MODES else ToolChoice("tool", (choice,))  # type: ignore[arg-type]
    if isinstance(choice, Mapping):
        kind = choice.get("type")
        inner = choice.get(kind) if isinstance(kind, str) else None
        if kind in ("function", "custom") and isinstance(inner, Mapping) and isinstance(inner.get("name"), str):
            return ToolChoice("tool", (inner["name"],))
        if kind == "allowed_tools" and isinstance(inner, Mapping):
            names = tuple([tool.get(tool.get("type", ""), {}).get("name", "") for tool in inner.get("tools", ())])
            return ToolChoice("required" if inner.get("mode") == "required" else "auto", names)
    raise BadRequestError(
        "tool_choice must be 'auto', 'none', 'required', the name of a tool, or OpenAI's dict for one"
    )


def read_format(response_format: Any) -> ResponseFormat:
    """What ``response_format`` means: ``"json"``, a JSON schema, OpenAI's dict, or a pydantic model class."""
    if isinstance(response_format, ResponseFormat):
        return response_format
    if response_format in ("json", "json_object"):
        return ResponseFormat()
    if isinstance(response_format, type) and hasattr(response_format, "model_json_schema"):
        return ResponseFormat(schema=response_format.model_json_schema(), name=_schema_name(response_format.__name__))
    if isinstance(response_format, Mapping):
        if response_format.get("type") == "json_object":
            return ResponseFormat()
        inner = response_format.get("json_schema")
        if response_format.get("type") == "json_schema" and isinstance(inner, Mapping):
            return ResponseFormat(
                schema=inner.get("schema"),
                name=_schema_name(str(inner.get("name") or "response")),
                description=inner.get("description"),
                strict=inner.get("strict"),
            )
        return ResponseFormat(schema=dict(response_format), name=_schema_name(str(response_format.get("title", ""))))
    raise BadRequestError("response_format must be 'json', a JSON schema as a dict, or a pydantic model class")


def _schema_name(title: str) -> str:
    name = "".join([letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "_" for letter in title])
    return name[:64] or "response"
