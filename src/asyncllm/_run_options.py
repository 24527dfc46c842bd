"""The keywords of runs and maps, each in one place: its type, its meaning, its check and its default.

`RunOptions` are the keywords of `Client.run` and `Client.run_stream` besides those of a call; `MapOptions` those of
`Client.map`. `RunRules` and `MapRules` are the checked values. A row says all about one keyword, as in
`asyncllm._options`.
"""

# No `from __future__ import annotations` here: the annotations are read at run time.
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar, Union

from . import _checks
from ._options import CallOptions, Keyword, with_keywords, wrapped
from .errors import BadRequestError


def _amount(keyword: str, value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)) or not 0 < value < 10**12:
        raise BadRequestError(f"{keyword} must be a number of US dollars above 0, not {value!r}")
    return Decimal(str(value))


def _one_of(*words: str) -> Callable[[str, Any], str]:
    def check(keyword: str, value: Any) -> str:
        if value not in words:
            raise BadRequestError(f"{keyword} must be {' or '.join(map(repr, words))}, not {value!r}")
        return str(value)

    return check


def _function(keyword: str, value: Any) -> Any:
    if not callable(value):
        raise BadRequestError(f"{keyword} must be a function, not {type(value).__name__}")
    return value


def _concurrency(keyword: str, value: Any) -> Union[int, str]:
    return value if value == "auto" else _checks.positive(keyword, value)


def _path(keyword: str, value: Any) -> str:
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise BadRequestError(f"{keyword} must be the path of a file, not {value!r}")
    return os.fspath(value)


def _progress(keyword: str, value: Any) -> Any:
    if not isinstance(value, bool) and not callable(value):
        raise BadRequestError(f"{keyword} must be True, False or a function, not {type(value).__name__}")
    return value


def _anything(_: str, value: Any) -> Any:
    return value


def check_offers(keyword: str, value: Any) -> Any:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
        raise BadRequestError(f"{keyword} must be a list of functions, tools or dicts, not {type(value).__name__}")
    return value


class RunOptions(CallOptions, total=False):
    """Every keyword of ``run`` and ``run_stream`` besides ``response_format``."""

    max_steps: Annotated[int, Keyword("run", "The most replies of the model; 10 by default.", _checks.positive)]
    max_total_tokens: Annotated[
        Union[int, None],
        Keyword("run", "No further step begins when the run has used so many tokens.", _checks.positive),
    ]
    max_cost: Annotated[
        Union[Decimal, float, None],
        Keyword("run", "No further step begins when the run has cost so many US dollars.", _amount),
    ]
    max_parallel_tools: Annotated[
        int, Keyword("run", "How many calls of tools run at the same time; 8 by default.", _checks.positive)
    ]
    tool_timeout: Annotated[
        Union[float, None],
        Keyword("run", "Seconds for each call of a tool; a tool's own timeout goes first.", _checks.seconds),
    ]
    on_tool_error: Annotated[
        Literal["tell", "raise"],
        Keyword(
            "run",
            '"tell" (the default): the model reads the error of a tool and goes on. "raise": the run stops with it.',
            _one_of("tell", "raise"),
        ),
    ]
    before_tool: Annotated[
        Union[Callable[..., Any], None],
        Keyword(
            "run",
            "(call, context) -> None to let the call run, or RefuseTool, AnswerTool or PostponeTool; sync or async.",
            _function,
        ),
    ]
    stop_when: Annotated[
        Union[Callable[..., Any], None],
        Keyword("run", "(the run so far) -> whether it ends after this step; sync or async.", _function),
    ]
    deps: Annotated[Any, Keyword("run", "What tools get as context.deps.", _anything)]
    decisions: Annotated[
        Union[Mapping[str, Any], None],
        Keyword("run", "Call id to decision, for the pending calls of a run that goes on.", _checks.mapping),
    ]


class MapOptions(RunOptions, total=False):
    """Every keyword of ``map`` and ``map_all`` besides ``response_format``."""

    concurrency: Annotated[
        Union[int, Literal["auto"]],
        Keyword(
            "map",
            'Calls at the same time; 16 by default. "auto" follows the rate limits and headers that come back.',
            _concurrency,
        ),
    ]
    order: Annotated[
        Literal["input", "completion"],
        Keyword(
            "map", 'The order of the items: "completion" (the default) or "input".', _one_of("input", "completion")
        ),
    ]
    on_error: Annotated[
        Literal["item", "raise"],
        Keyword(
            "map",
            'A failure is an item with its error ("item", the default), or is raised ("raise").',
            _one_of("item", "raise"),
        ),
    ]
    checkpoint: Annotated[
        Union[str, os.PathLike[str], None],
        Keyword("map", "An SQLite file that keeps the answers, so that none is asked for again.", _path),
    ]
    key: Annotated[
        Union[Callable[[Any], str], None],
        Keyword("map", "(input) -> its key in the checkpoint; by default its content counts.", _function),
    ]
    via: Annotated[
        Literal["calls", "batch"],
        Keyword(
            "map",
            '"batch" gives the inputs to the provider\'s batch endpoint: answers within a day, at a lower price.',
            _one_of("calls", "batch"),
        ),
    ]
    progress: Annotated[
        Union[bool, Callable[..., None]],
        Keyword("map", "True for a bar in the terminal, or a function that gets a MapProgress.", _progress),
    ]


def rows_of(options: type) -> dict[str, Keyword]:
    """The rows of a list of keywords, without those of the list it extends."""
    above = set(CallOptions.__annotations__) | (set(RunOptions.__annotations__) if options is MapOptions else set())
    return {
        name: annotation.__metadata__[0] for name, annotation in options.__annotations__.items() if name not in above
    }


def take(options: dict[str, Any], rows: Mapping[str, Keyword]) -> dict[str, Any]:
    """Removes the keywords of some rows from the options and returns them, checked. None means not given."""
    found = {name: options.pop(name) for name in rows if name in options}
    return {name: rows[name].read(name, value) for name, value in found.items() if value is not None}


RUN_KEYWORDS: Mapping[str, Keyword] = rows_of(RunOptions)
MAP_KEYWORDS: Mapping[str, Keyword] = rows_of(MapOptions)

Function = TypeVar("Function", bound=Callable[..., Any])
_LINE = "**options: every keyword of `CallOptions`."


def with_run_keywords(function: Function) -> Function:
    """Shows the keywords of a run and of a call in ``help()``."""
    return _with(function, RUN_KEYWORDS)


def with_map_keywords(function: Function) -> Function:
    """Shows the keywords of a map, of a run and of a call in ``help()``."""
    return _with(function, {**MAP_KEYWORDS, **RUN_KEYWORDS})


def _with(function: Function, rows: Mapping[str, Keyword]) -> Function:
    if function.__doc__ is not None:  # python -OO leaves none
        before, _, after = function.__doc__.partition(_LINE)
        indent = before.rpartition("\n")[2]
        told = "\n".join([wrapped(name, row.meaning) for name, row in rows.items()]).replace("\n", f"\n{indent}")
        function.__doc__ = f"{before}{told}\n{indent}{_LINE}{after}"
    made = with_keywords(function)
    signature = inspect.signature(made)
    named = [one for one in signature.parameters.values() if one.kind is not one.KEYWORD_ONLY]
    keywords = [one for one in signature.parameters.values() if one.kind is one.KEYWORD_ONLY]
    more = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in rows]
    made.__signature__ = signature.replace(parameters=[*named, *more, *keywords])  # type: ignore[attr-defined]
    return made
