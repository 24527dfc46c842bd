"""The keywords of a call, each in one place: its type, what it means, how it is checked, and where it goes.

`CallOptions` is the list. A line of it says everything about one keyword:

* its type, for type checkers: ``send`` and ``stream`` of the client, of conversations and of their blocking twins
  take ``**options: Unpack[CallOptions]``, so a misspelt keyword or word is an error before the program runs;
* its meaning, for readers: `with_keywords` writes it into the signature and the docstring of those methods, and the
  page about calls has it as a table;
* its check: a function that returns the canonical value, or raises `BadRequestError` with the keyword's name;
* where it goes: a field of `Request` (what is sent to a model) or of `Arguments` (what the engine does with the call).

To add a keyword, add a line here and a field to `Request` or `Arguments`. None means "not given" for every keyword.
"""

# No `from __future__ import annotations` here: the annotations of CallOptions are read at run time.
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from typing_extensions import TypedDict

from . import _checks
from ._checks import Fallback, Interruption, ToolLike
from ._schema.advice import FallbackReason
from ._schema.request import ReasoningWord, Request, ToolChoice
from ._schema.response import Response


class Keyword(NamedTuple):
    """What is known of a keyword besides its name and type.

    Attributes:
        about: the group it is listed in.
        meaning: one or two sentences for the docstrings and the docs.
        read: checks a value and returns the canonical one; it gets the keyword's name for its sentence.
        sent: whether the value becomes a field of `Request`; else it is a field of `Arguments`.
    """

    about: str
    meaning: str
    read: Callable[[str, Any], Any]
    sent: bool = False


# The list.


class CallOptions(TypedDict, total=False):
    """Every keyword of ``send`` and ``stream`` besides ``response_format``; all may be left out, or be None."""

    provider: Annotated[
        str | None,
        Keyword(
            "where",
            "A configured provider; the active one by default.",
            _checks.name,
        ),
    ]
    model: Annotated[
        str | None,
        Keyword(
            "where",
            "A model of the provider; by default the configured one.",
            _checks.name,
        ),
    ]
    fallback: Annotated[
        Fallback | None,
        Keyword(
            "where",
            'The models to go on to when one fails: a list of "model" or ("provider", "model"). By default '
            "the provider's fallback_models; [] for none.",
            _checks.fallback,
        ),
    ]
    fallback_on: Annotated[
        Sequence[FallbackReason] | None,
        Keyword(
            "where",
            'What the call goes on to the next model for besides failures: "content_filter" (the answer or the prompt '
            'was blocked or refused), "budget" (a hard budget has no room). By default as the configuration says.',
            _checks.fallback_on,
        ),
    ]
    task: Annotated[
        str | None,
        Keyword(
            "where",
            'What the call is for, where the configuration routes by capability: a task such as "analytical", '
            '"code", "creative" or "speed", the name of a tier, or a task of your own.',
            _checks.name,
        ),
    ]
    sticky_key: Annotated[
        str | None,
        Keyword(
            "where",
            "Calls with the same key (a user, a conversation) go to the same target under load balancing.",
            _checks.name,
        ),
    ]
    temperature: Annotated[
        float | None,
        Keyword(
            "what",
            "The sampling temperature.",
            _checks.number,
            sent=True,
        ),
    ]
    top_p: Annotated[
        float | None,
        Keyword(
            "what",
            "Nucleus sampling: the share of the probability to sample from.",
            _checks.number,
            sent=True,
        ),
    ]
    max_tokens: Annotated[
        int | None,
        Keyword(
            "what",
            "The most tokens to generate, reasoning included.",
            _checks.positive,
            sent=True,
        ),
    ]
    stop: Annotated[
        Union[str, Sequence[str], None],
        Keyword(
            "what",
            "A sequence, or a list of sequences, that ends the answer.",
            _checks.stop,
            sent=True,
        ),
    ]
    seed: Annotated[
        int | None,
        Keyword(
            "what",
            "Makes sampling repeatable, where the provider can.",
            _checks.whole,
            sent=True,
        ),
    ]
    tools: Annotated[
        Sequence[ToolLike] | None,
        Keyword(
            "what",
            "What the model may call: functions, Tool values, or dicts in OpenAI's shape.",
            _checks.tools,
            sent=True,
        ),
    ]
    tool_choice: Annotated[
        Union[Literal["auto", "none", "required"], ToolChoice, Mapping[str, Any], None],
        Keyword(
            "what",
            'Whether tools are called: "auto", "none", "required" (at least one), or one tool by '
            'ToolChoice("tool", ("name",)) or its name.',
            _checks.tool_choice,
            sent=True,
        ),
    ]
    parallel_tool_calls: Annotated[
        bool | None,
        Keyword(
            "what",
            "Whether the model may call several tools at once.",
            _checks.flag,
            sent=True,
        ),
    ]
    validation_retries: Annotated[
        int | None,
        Keyword(
            "what",
            "How often a model whose answer does not fit response_format is told why and asked again; 0 by default.",
            _checks.count,
        ),
    ]
    reasoning: Annotated[
        Union[ReasoningWord, int, None],
        Keyword(
            "what",
            'How much the model thinks: "none", "minimal", "low", "medium", "high", "xhigh", "max", or a '
            "budget in tokens.",
            _checks.reasoning,
            sent=True,
        ),
    ]
    cache: Annotated[
        Union[Literal["auto"], None],
        Keyword(
            "what",
            '"auto" sets the marks of the prompt cache (tools, system prompt, last turns), where a provider caches '
            "only what is marked.",
            _checks.caching,
            sent=True,
        ),
    ]
    compact_at: Annotated[
        int | None,
        Keyword(
            "what",
            "Tokens of the prompt beyond which the provider sums up the older part of it, where it can (Anthropic, "
            "OpenAI's Responses API). The reply holds the summary; send it back with the history.",
            _checks.positive,
            sent=True,
        ),
    ]
    timeout: Annotated[
        float | None,
        Keyword(
            "how",
            "The total deadline in seconds: retries, waits and fallbacks included. For a stream it bounds the "
            "whole stream; without it the configured total bounds a stream until its first content.",
            _checks.seconds,
        ),
    ]
    on_interrupt: Annotated[
        Interruption | None,
        Keyword(
            "how",
            'For streams that are cut after their first content: "raise" (the default), or "restart" to begin '
            "again on the next target, told by a Restart event.",
            _checks.interruption,
        ),
    ]
    hedge: Annotated[
        float | bool | None,
        Keyword(
            "how",
            "Seconds without content after which the next target is asked as well, and the first content "
            "wins; True for the 95th percentile of the latencies seen, False for never.",
            _checks.hedge,
        ),
    ]
    priority: Annotated[
        int | None,
        Keyword(
            "how",
            "Where calls wait under a limit, a higher number goes first; 0 by default.",
            _checks.whole,
        ),
    ]
    cache_response: Annotated[
        bool | None,
        Keyword(
            "how",
            "Whether the reply may come from the response cache and go there. By default as the configuration says, "
            "and never with tools; True also with tools, False not at all.",
            _checks.flag,
        ),
    ]
    user: Annotated[
        str | None,
        Keyword(
            "for whom",
            "For whom the call is made. It goes to the ledger and is not sent.",
            _checks.name,
        ),
    ]
    agent: Annotated[
        str | None,
        Keyword(
            "for whom",
            "What made the call. It goes to the ledger and is not sent.",
            _checks.name,
        ),
    ]
    tags: Annotated[
        Mapping[str, str] | None,
        Keyword(
            "for whom",
            "Names and values to find the call by in reports and budgets. They go to the ledger and are not sent.",
            _checks.tags,
        ),
    ]
    extra_body: Annotated[
        Mapping[str, Any] | None,
        Keyword(
            "escape hatch",
            "Merged into the provider's JSON body last: anything a provider adds tomorrow.",
            _checks.mapping,
            sent=True,
        ),
    ]
    extra_headers: Annotated[
        Mapping[str, str] | None,
        Keyword(
            "escape hatch",
            "Added to the headers last; they cannot replace the credential.",
            _checks.headers,
            sent=True,
        ),
    ]


_RESPONSE_FORMAT = (
    "The type or format of the answer, which is then in `parsed`: a type (pydantic model, dataclass, TypedDict, "
    'list[T], union, Literal, enum), a JSON schema, "json", or a dict in OpenAI\'s shape.'
)


class Described(NamedTuple):
    """A keyword as readers see it; ``type`` is the text of its type."""

    name: str
    type: str
    about: str
    meaning: str


def _type_text(kind: Any) -> str:
    """A type as one writes it today, without the names of modules; the same on every Python."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is None:
        return "None" if kind is type(None) else getattr(kind, "__name__", "Any")
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, inner))}]"
    if origin is Union or origin is UnionType:
        return " | ".join(map(_type_text, inner))
    if origin is Callable:
        return f"Callable[..., {_type_text(inner[-1])}]"
    return f"{origin.__name__}[{', '.join(map(_type_text, inner))}]"


def _read_list() -> "tuple[Mapping[str, Keyword], tuple[Described, ...]]":
    rows, described = {}, []
    for name, annotation in CallOptions.__annotations__.items():
        kind, row = annotation.__origin__, annotation.__metadata__[0]
        if name == "validation_retries":
            described.append(
                Described("response_format", "type | str | Mapping[str, Any] | None", row.about, _RESPONSE_FORMAT)
            )
        rows[name] = row
        described.append(Described(name, _type_text(kind), row.about, row.meaning))
    return rows, tuple(described)


KEYWORDS, DESCRIBED = _read_list()


# What a call says, read.


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The arguments of one call, checked; what is sent to a model is in ``request``.

    Attributes:
        request: for no model yet: routing gives it one.
        parse: reads the answer as the type that was asked for; None where no format was asked for.
        on_interrupt: what a stream does when it is cut after its first content.
        validation_retries: how often an answer that does not fit is asked for again.
    """

    request: Request
    parse: "Callable[[Response[Any]], Any] | None" = None
    provider: "str | None" = None
    model: "str | None" = None
    fallback: "Fallback | None" = None
    fallback_on: "tuple[FallbackReason, ...] | None" = None
    task: "str | None" = None
    sticky_key: "str | None" = None
    timeout: "float | None" = None
    on_interrupt: Interruption = "raise"
    hedge: "float | bool | None" = None
    priority: int = 0
    validation_retries: int = 0
    cache_response: "bool | None" = None
    user: "str | None" = None
    agent: "str | None" = None
    tags: "Mapping[str, str] | None" = None


_DEFAULTS: Mapping[str, Any] = {
    field.name: field.default for field in fields(Arguments) if field.default is not MISSING
}


# The signature and the docstring of the methods that take the keywords.

Function = TypeVar("Function", bound=Callable[..., Any])
_LINE = "**options: every keyword of `CallOptions`."
_PARAMETERS = tuple(
    [
        inspect.Parameter(
            row.name, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS.get(row.name), annotation=row.type
        )
        for row in DESCRIBED
    ]
)


def with_keywords(function: Function) -> Function:
    """Shows every keyword in ``help()``: the signature gets them, and the docstring's Args list them.

    The docstring's own Args must end with the line of ``_LINE``, which is what a reader of the source sees.
    """
    signature = inspect.signature(function)
    named = [one for one in signature.parameters.values() if one.name not in ("options", "response_format")]
    function.__signature__ = signature.replace(parameters=[*named, *_PARAMETERS])  # type: ignore[attr-defined]
    if function.__doc__ is not None:  # python -OO leaves none
        before, line, after = function.__doc__.partition(_LINE)
        indent = before.rpartition("\n")[2]
        function.__doc__ = before + _ARGS.replace("\n", f"\n{indent}") + after if line else before
    return function


def wrapped(name: str, meaning: str) -> str:
    """An entry of Args, in lines of 100 letters at most; ``textwrap`` would cost a millisecond at every start."""
    lines = [f"{name}:"]
    for word in meaning.split():
        if len(lines[-1]) + len(word) < 100:
            lines[-1] += f" {word}"
        else:
            lines.append(f"    {word}")
    return "\n".join(lines)


_ARGS = "\n".join([wrapped(row.name, row.meaning) for row in DESCRIBED])
