"""Tools from functions: the schema comes from the signature and the docstring, the arguments are checked, the result
is written as parts.

::

    @asyncllm.tool
    async def get_weather(city: str, unit: Literal["C", "F"] = "C") -> Weather:
        '''Gets the weather now.

Args:
            city: The name of the city.
        '''

A plain function in ``tools=[...]`` is made a tool in the same way. `FunctionTool` holds what a request needs
(`FunctionTool.definition`) and what a run needs (`FunctionTool.run`). The decorated function can still be called as
before.

Rules:

* A parameter is a property of the schema: its type hint says the type, ``Annotated[..., "text"]`` or the docstring says
  what it means, its default says that it may be left out.
* A parameter whose type hint is `RunContext`, usually the first one, is for the run's context and not for the model.
* Arguments that do not fit never reach the function: the model is told what is wrong, and may call again.
* What a function raises is told to the model with the name of the exception. `ToolError` is told as it stands.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import Any, Union, overload

from ._schema.content import (
    Audio,
    Document,
    Image,
    Json,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
    Unknown,
    Video,
)
from ._schema.hosted import HostedTool
from ._schema.request import ProviderTool, Tool, Toolset
from ._schema.sniffing import sniffed
from ._tool_signatures import (
    RunContext,
    ToolSignature,
    given_signature,
    is_method,
    local_names,
    read_signature,
    written,
)
from .errors import BadRequestError

__all__ = ["FunctionTool", "RunContext", "ToolError", "tool"]

_RESULTS = (Text, Json, Image, Document, Audio, Video, Unknown)
_UNBOUND = (classmethod, staticmethod)


class ToolError(Exception):
    """Raise it in a tool to tell the model that the tool failed, in your own words.

    The model reads ``content`` as it stands, without the name of an exception.

    Args:
        *content: what the model is told: text, images, or anything else that a tool may return.
    """

    def __init__(self, *content: Any) -> None:
        super().__init__(*content)
        self.content: tuple[ResultPart, ...] = tuple([part for value in content for part in result_of(value)])

    def __str__(self) -> str:
        """The text of it; other parts by their kind."""
        return " ".join([part.text if isinstance(part, Text) else f"[{type(part).__name__}]" for part in self.content])


class FunctionTool:
    """A function that a model may call.

    Make it with `tool`; a plain function in ``tools=[...]`` becomes one by itself.

    Args:
        function: what is called; sync or async, a method too.
        name: what the model calls it; by default the function's name.
        description: when and how to use it; by default the docstring without its list of arguments.
        parameters: a JSON schema of the arguments, instead of the signature; the function then gets them by name, as
            the model wrote them.
        timeout: seconds that one call may take; None leaves it to the run.
        strict: hold the model to the schema, where the host can; None leaves it to the host.

    Raises:
        BadRequestError: the signature cannot be said as a schema; the sentence names the parameter.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        strict: bool | None = None,
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        bare = written(function)
        self.name: str = name or str(getattr(bare, "__name__", type(function).__name__))
        self.timeout = timeout
        self._description = description
        self._parameters = parameters
        self._strict = strict
        self._names: Mapping[str, Any] = {}
        self._read: ToolSignature | None = None
        self._of: FunctionTool | None = None  # of a method: the tool of the class, which keeps what was read
        self._read_bound: ToolSignature | None = None
        self._awaited: bool | None = None

    @property
    def definition(self) -> Tool:
        """The definition that is sent: name, description and the JSON schema of its arguments."""
        return self._signature.definition

    @property
    def is_async(self) -> bool:
        """Whether a call returns something to await or to iterate, and does not block."""
        if self._awaited is None:
            call = getattr(self.function, "__call__", None)  # noqa: B004
            awaited = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
            self._awaited = any(kind(one) for kind in awaited for one in (self.function, call))
        return self._awaited

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Calls the function itself, as if it were not decorated."""
        return self.function(*args, **keywords)

    def __get__(self, owner: Any, kind: type | None = None) -> FunctionTool:
        if owner is None and not isinstance(self.function, _UNBOUND):
            return self
        made = FunctionTool(
            self.function.__get__(owner, kind),
            name=self.name,
            description=self._description,
            parameters=self._parameters,
            timeout=self.timeout,
            strict=self._strict,
        )
        made._names = self._names
        made._of = self
        return made

    def __repr__(self) -> str:
        return f"FunctionTool({self.name!r})"

    def bind(self, call: ToolCall, context: RunContext[Any]) -> Callable[[], Any]:
        """The call of the function with the arguments that the model wrote, checked and converted.

        Args:
            call: what the model asked for.
            context: for a function that has a parameter of type `RunContext`.

        Raises:
            ToolArgumentsError: the arguments do not fit.
        """
        return self._signature.bind(self.function, call, context)

    async def run(self, call: ToolCall, context: RunContext[Any]) -> tuple[ResultPart, ...]:
        """Runs the function and returns its result as parts. A sync function runs in a thread; of a generator all
        items are the result.

        Args:
            call: what the model asked for.
            context: for a function that has a parameter of type `RunContext`.

        Raises:
            ToolArgumentsError: the arguments do not fit.
            ToolError: the function says that it failed.
            Exception: whatever else the function raises.
        """
        ready = self.bind(call, context)
        if self.is_async:
            found = ready()
        else:
            from anyio import to_thread

            (found,) = await to_thread.run_sync(_to_its_end, ready, abandon_on_cancel=True)
        if inspect.isawaitable(found):
            found = await found
        if inspect.isasyncgen(found):
            found = [item async for item in found]
        if isinstance(found, ToolResult) and found.is_error:
            raise ToolError(*found.content)
        if isinstance(found, Exception):
            raise found
        return result_of(found)

    @property
    def _signature(self) -> ToolSignature:
        if self._read is None and self._of is not None:
            self._read = self._of._read_bound  # noqa: SLF001  # the same class
        if self._read is None:
            about = (self.function, self.name, self._description, self._strict)
            given = self._parameters
            self._read = read_signature(*about, self._names) if given is None else given_signature(given, *about)
            if self._of is not None:
                self._of._read_bound = self._read  # noqa: SLF001  # the same class
        return self._read


def _to_its_end(ready: Callable[[], Any]) -> tuple[Any]:
    """Makes a call; a generator works while it is read, so it is read here, in the thread.

    Returns:
        The result in a tuple, as trio takes no coroutine from a thread.
    """
    try:
        found = ready()
        return (list(found) if inspect.isgenerator(found) else found,)
    except (StopIteration, SystemExit) as error:  # no coroutine can pass on the first; sys.exit() ends a thread only
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


@overload
def tool(function: Callable[..., Any], /) -> FunctionTool: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    strict: bool | None = None,
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout: float | None = None,
    strict: bool | None = None,
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """Makes a function a tool that a model may call: ``@tool`` or ``@tool(name=...)``.

    Args:
        function: sync or async; a method too.
        name: what the model calls it; by default the function's name.
        description: when and how to use it; by default the docstring without its list of arguments.
        timeout: seconds that one call may take; None leaves it to the run.
        strict: hold the model to the schema, where the host can; None leaves it to the host.

    Returns:
        The tool. It can be called as the function could.

    Raises:
        BadRequestError: the signature cannot be said as a schema; the sentence names the parameter.
    """
    frame = inspect.currentframe()
    around = None if frame is None else frame.f_back

    def make(found: Callable[..., Any]) -> FunctionTool:
        made = FunctionTool(found, name=name, description=description, timeout=timeout, strict=strict)
        made._names = local_names(found, around)  # noqa: SLF001  # made here
        if not isinstance(found, _UNBOUND) and not is_method(found):
            _ = made.definition  # a bad signature is told where the function is written
        return made

    return make if function is None else make(function)


ToolOffer = Union[FunctionTool, Tool, ProviderTool, HostedTool, Toolset, Mapping[str, Any], Callable[..., Any]]
"""What ``tools=[...]`` of a run may hold."""


Offered = Union[FunctionTool, Tool, ProviderTool, HostedTool, Mapping[str, Any]]
"""The same, with every function made a `FunctionTool`."""


KINDS = (FunctionTool, Tool, ProviderTool, HostedTool, Mapping)
"""The classes of `Offered`. To ask whether a value is a `Toolset` takes long, so it is what is none of these."""


Signatures = MutableMapping[Callable[..., Any], dict[bool, ToolSignature]]
"""What was read of plain functions, as functions and as methods: to read one takes longer than a call."""


def function_tool(function: Callable[..., Any], kept: Signatures | None = None) -> FunctionTool:
    """Returns the tool of a plain function.

    Args:
        function: a function, a method, or anything that can be called.
        kept: what was read before, and is kept for the next time.
    """
    bare = getattr(function, "__func__", function)
    if isinstance(bare, FunctionTool):  # what @classmethod made of a tool, from Python 3.13 on
        return bare.__get__(function.__self__)  # type: ignore[attr-defined]  # a method has it
    made = FunctionTool(function)
    if kept is None or not inspect.isfunction(bare):
        return made
    of_function = kept.setdefault(bare, {})
    bound = bare is not function
    if bound in of_function:
        made._read = of_function[bound]  # noqa: SLF001  # made here
    else:
        of_function[bound] = made._signature  # noqa: SLF001  # made here
    return made


def offered(tools: Iterable[ToolOffer], kept: Signatures | None = None) -> list[Offered | Toolset]:
    """Returns the tools of a call, with a `FunctionTool` for every plain function.

    Args:
        tools: what the caller gave.
        kept: what was read of plain functions before.
    """
    found: list[Any] = []
    for one in tools:
        ready = isinstance(one, KINDS) or callable(getattr(one, "tools", None))
        found.append(one if ready else function_tool(one, kept))  # type: ignore[arg-type]  # what is left is a function
    return found


# Results.


def result_of(value: Any) -> tuple[ResultPart, ...]:
    """Returns a function's return value as parts: text, media and parts as they are, everything else as JSON.

    Bytes are the picture, the PDF or the sound that they begin as, else text in UTF-8. NaN and the infinities become
    their names, half a surrogate pair becomes U+FFFD, as JSON has neither.

    Raises:
        BadRequestError: JSON cannot say it.
    """
    if isinstance(value, str):
        return (Text(whole_text(value)),)
    if isinstance(value, Text):
        return (value if value.text.isascii() else replace(value, text=whole_text(value.text)),)
    if isinstance(value, _RESULTS):
        return (value,)
    if isinstance(value, ToolResult):
        return value.content
    if isinstance(value, (bytes, bytearray)):
        return (_part_of(bytes(value)),)
    if isinstance(value, (list, tuple)) and value and any(isinstance(item, _RESULTS) for item in value):
        return tuple([part for item in value for part in result_of(item)])
    return (Json(_as_json(value)),)


def whole_text(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair, which no request can say."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _part_of(data: bytes) -> ResultPart:
    shown = sniffed(data) or ""
    kinds: dict[str, type[Image | Document | Audio]] = {
        "image": Image,
        "application": Document,
        "audio": Audio,
    }
    kind = kinds.get(shown.partition("/")[0])
    if kind is not None:
        return kind(data=data, media_type=shown)
    try:
        return Text(data.decode())
    except UnicodeDecodeError:
        raise BadRequestError(
            f"a tool returned {len(data)} bytes of an unknown kind; return Image(data=...), Document(data=...) or text"
        ) from None


_PLAIN = (int, bool, type(None))


def _as_json(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    from pydantic_core import PydanticSerializationError, from_json, to_json

    try:
        try:
            return from_json(to_json(value, inf_nan_mode="strings", fallback=_as_list))
        except PydanticSerializationError as error:
            if "surrogates" not in str(error):
                raise
            return from_json(to_json(_mended(value), inf_nan_mode="strings", fallback=_as_list))
    except (PydanticSerializationError, RecursionError) as error:
        said = str(error).removeprefix("Error serializing to JSON: ").removeprefix("ValueError: ")
        raise BadRequestError(
            f"a tool returned a {type(value).__name__}, which JSON cannot say ({said}); return text, numbers, lists, "
            "dicts, dataclasses or pydantic models, and images or documents by themselves or in a list"
        ) from None


def _as_list(value: Any) -> Any:
    """What JSON has no word for: every sequence is a list, every mapping a dict."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, memoryview):
        return list(value)
    raise ValueError(f"it has no word for {type(value).__name__}")


def _mended(value: Any) -> Any:
    """The value with whole text in it."""
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, dict):
        return {_mended(key): _mended(one) for key, one in value.items()}
    return [_mended(one) for one in value] if isinstance(value, (list, tuple, set, frozenset)) else value
