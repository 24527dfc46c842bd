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
* The first parameter is for the run's context, not for the model, if its type hint is `RunContext`.
* Arguments that do not fit never reach the function: the model is told what is wrong, and may call again.
* What a function raises is told to the model with the name of the exception. `ToolError` is told as it stands.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, is_dataclass
from decimal import Decimal
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    TypeVar,
    Union,
    get_origin,
    get_type_hints,
    overload,
)

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
    parse_arguments,
)
from ._schema.hosted import HostedTool
from ._schema.json_schema import JSONSchema, SchemaError
from ._schema.messages import Message
from ._schema.request import ProviderTool, Tool, Toolset
from ._schema.usage import UNKNOWN_USAGE, Usage
from .errors import BadRequestError, ToolArgumentsError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["FunctionTool", "RunContext", "ToolError", "tool"]

Deps = TypeVar("Deps")
_RESULTS = (Text, Json, Image, Document, Audio, Video, Unknown)
_FIRST_NAMES = ("self", "cls")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class RunContext(Generic[Deps]):
    """What a tool gets to know of the run that calls it. It is passed to a first parameter of this type.

    Attributes:
        deps: what the caller gave the run as ``deps``.
        call: the call that is answered.
        step: the number of the step, from 1.
        messages: the conversation up to this call.
        usage: the tokens of the run so far.
        cost: US dollars of the run so far, without what has no known cost.
    """

    deps: Deps
    _: KW_ONLY
    call: ToolCall
    step: int = 1
    messages: tuple[Message, ...] = ()
    usage: Usage = UNKNOWN_USAGE
    cost: Decimal = Decimal(0)


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
        written = _written(function)
        self.name: str = name or str(getattr(written, "__name__", type(function).__name__))
        self.timeout = timeout
        self._description = description
        self._parameters = parameters
        self._strict = strict
        self._read: _Signature | None = None
        self._awaited: bool | None = None

    @property
    def definition(self) -> Tool:
        """The definition that is sent: name, description and the JSON schema of its arguments."""
        return self._signature.definition

    @property
    def is_async(self) -> bool:
        """Whether a call returns something to await."""
        if self._awaited is None:
            called = inspect.unwrap(self.function)
            call = getattr(called, "__call__", None)  # noqa: B004
            self._awaited = inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(call)
        return self._awaited

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Calls the function itself, as if it were not decorated."""
        return self.function(*args, **keywords)

    def __get__(self, owner: Any, kind: type | None = None) -> FunctionTool:
        if owner is None:
            return self
        return FunctionTool(
            self.function.__get__(owner, kind),
            name=self.name,
            description=self._description,
            parameters=self._parameters,
            timeout=self.timeout,
            strict=self._strict,
        )

    def __repr__(self) -> str:
        return f"FunctionTool({self.name!r})"

    def bind(self, call: ToolCall, context: RunContext[Any]) -> Callable[[], Any]:
        """The call of the function with the arguments that the model wrote, checked and converted.

        Args:
            call: what the model asked for.
            context: for a function whose first parameter is a `RunContext`.

        Raises:
            ToolArgumentsError: the arguments do not fit.
        """
        signature = self._signature
        arguments = signature.read(call)
        if signature.takes_context:
            return functools.partial(self.function, context, **arguments)
        return functools.partial(self.function, **arguments)

    async def run(self, call: ToolCall, context: RunContext[Any]) -> tuple[ResultPart, ...]:
        """Runs the function and returns its result as parts. A sync function runs in a thread.

        Args:
            call: what the model asked for.
            context: for a function whose first parameter is a `RunContext`.

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

            found = await to_thread.run_sync(ready, abandon_on_cancel=True)
        if inspect.isawaitable(found):
            found = await found
        if isinstance(found, ToolResult) and found.is_error:
            raise ToolError(*found.content)
        return result_of(found)

    @property
    def _signature(self) -> _Signature:
        if self._read is None:
            read = (
                _read_signature if self._parameters is None else functools.partial(_given_signature, self._parameters)
            )
            self._read = read(self.function, self.name, self._description, self._strict)
        return self._read


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

    def make(found: Callable[..., Any]) -> FunctionTool:
        made = FunctionTool(found, name=name, description=description, timeout=timeout, strict=strict)
        if not _is_method(found):
            _ = made.definition  # a bad signature is told where the function is written
        return made

    return make if function is None else make(function)


ToolOffer = Union[FunctionTool, Tool, ProviderTool, HostedTool, Toolset, Mapping[str, Any], Callable[..., Any]]
"""What ``tools=[...]`` of a run may hold."""


Offered = Union[FunctionTool, Tool, ProviderTool, HostedTool, Mapping[str, Any]]
"""The same, with every function made a `FunctionTool`."""


KINDS = (FunctionTool, Tool, ProviderTool, HostedTool, Mapping)
"""The classes of `Offered`. To ask whether a value is a `Toolset` takes long, so it is what is none of these."""


def offered(tools: Iterable[ToolOffer]) -> list[Offered | Toolset]:
    """Returns the tools of a call, with a `FunctionTool` for every plain function."""
    found: list[Any] = []
    for one in tools:
        ready = isinstance(one, KINDS) or callable(getattr(one, "tools", None))
        found.append(one if ready else FunctionTool(one))  # type: ignore[arg-type]  # what is left is a function
    return found


def result_of(value: Any) -> tuple[ResultPart, ...]:
    """Returns a function's return value as parts: text, media and parts as they are, everything else as JSON.

    Raises:
        BadRequestError: JSON cannot say it.
    """
    if isinstance(value, str):
        return (Text(value),)
    if isinstance(value, _RESULTS):
        return (value,)
    if isinstance(value, ToolResult):
        return value.content
    if isinstance(value, (list, tuple)) and value and any(isinstance(item, _RESULTS) for item in value):
        return tuple([part for item in value for part in result_of(item)])
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    if is_dataclass(value) and not isinstance(value, type):
        from pydantic import TypeAdapter

        value = TypeAdapter(type(value)).dump_python(value, mode="json")
    try:
        return (Json(to_jsonable_python(value)),)
    except PydanticSerializationError as error:
        raise BadRequestError(
            f"a tool returned a {type(value).__name__}, which JSON cannot say ({error}); "
            "return text, numbers, lists, dicts, dataclasses or pydantic models"
        ) from None


# From a signature to a schema.


Checked = tuple[dict[str, Any], Sequence[str]]
"""The arguments, and what is wrong with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signature:
    """What a function takes; ``check`` reads the text of the arguments."""

    definition: Tool
    check: Callable[[str], Checked]
    takes_context: bool

    def read(self, call: ToolCall) -> dict[str, Any]:
        read, problems = self.check(call.raw_arguments)
        if not problems:
            return read
        raise ToolArgumentsError(
            f"the arguments of {call.name} do not fit: {'; '.join(problems)}", problems=tuple(problems)
        )


def _by_adapter(adapter: TypeAdapter[Any], raw: str) -> Checked:
    """The arguments as values of the type hints."""
    from pydantic import ValidationError

    problems: list[str] = []
    try:
        return adapter.validate_json(raw.strip() or "{}"), ()
    except ValidationError as error:
        for found in error.errors(include_url=False, include_input=False, include_context=False):
            place = ".".join(map(str, found["loc"]))
            problems.append(f"{place}: {found['msg']}" if place else found["msg"])
    return {}, problems


def _by_schema(schema: JSONSchema | None, raw: str) -> Checked:
    """The arguments as the model wrote them; without a schema that can be read, only that they are an object."""
    arguments = parse_arguments(raw)
    if arguments is None:
        return {}, ("the arguments must be a JSON object",)
    return arguments, () if schema is None else schema.problems(arguments)


def _given_signature(
    parameters: Mapping[str, Any], function: Callable[..., Any], name: str, description: str | None, strict: bool | None
) -> _Signature:
    """A function that takes what a schema of its maker's own says."""
    _check_name(name)
    told = _docstring_of(function)[0] if description is None else description
    schema: JSONSchema | None = None
    try:
        schema = JSONSchema(parameters)
    except SchemaError:
        schema = None  # whoever runs the function checks what it is given
    return _Signature(
        definition=Tool(name, told, parameters, strict=strict),
        check=functools.partial(_by_schema, schema),
        takes_context=_takes_context(function, _hints(function, name)),
    )


def _takes_context(function: Callable[..., Any], hints: Mapping[str, Any]) -> bool:
    """Whether the first parameter is for the run's context and not for the model."""
    first = next(iter(inspect.signature(function).parameters), "")
    hint = hints.get(first)
    return hint is RunContext or get_origin(hint) is RunContext


def _is_method(function: Callable[..., Any]) -> bool:
    """Returns whether a function is defined inside a class, so that its first parameter is the object."""
    names = list(inspect.signature(function).parameters)
    return bool(names) and names[0] in _FIRST_NAMES and not inspect.ismethod(function)


def _read_signature(
    function: Callable[..., Any], name: str, description: str | None, strict: bool | None
) -> _Signature:
    from pydantic import ConfigDict, Field, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter
    from typing_extensions import NotRequired, TypedDict

    _check_name(name)
    told, explained = _docstring_of(function)
    hints = _hints(function, name)
    fields: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    takes_context = _takes_context(function, hints)
    for parameter, kind in list(inspect.signature(function).parameters.items())[takes_context:]:
        hint = hints.get(parameter, Any)
        if kind.kind in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD, kind.POSITIONAL_ONLY):
            raise BadRequestError(
                f"the tool {name} has the parameter {kind}: a model can only give named arguments; "
                "write the parameters by name"
            )
        text = _told_in_hint(hint) or explained.get(parameter)
        annotation = hint if text is None else Annotated[hint, Field(description=text)]
        if kind.default is not kind.empty:
            defaults[parameter] = kind.default
            annotation = NotRequired[annotation]
        fields[parameter] = annotation
    make: Any = TypedDict  # its fields are known at run time only
    shape = make(name, fields)
    shape.__pydantic_config__ = ConfigDict(extra="forbid")
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(shape)
        schema = _plain_schema(adapter, defaults)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        raise BadRequestError(
            f"the signature of the tool {name} has no JSON schema: {str(error).splitlines()[0]}"
        ) from None
    definition = Tool(name, told if description is None else description, schema, strict=strict)
    return _Signature(definition=definition, check=functools.partial(_by_adapter, adapter), takes_context=takes_context)


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    bare = inspect.unwrap(function)
    if isinstance(bare, functools.partial):
        bare = bare.func
    if not (inspect.isfunction(bare) or inspect.ismethod(bare)):
        bare = type(bare).__call__
    try:
        return get_type_hints(bare, include_extras=True)
    except NameError as error:
        raise BadRequestError(
            f"a type hint of the tool {name} cannot be read: {error}; the types must be defined at module level"
        ) from None


def _told_in_hint(hint: Any) -> str | None:
    """Returns the text in ``Annotated[int, "text"]``. pydantic itself reads ``Field(description=...)``."""
    extras = hint.__metadata__ if get_origin(hint) is Annotated else ()
    return next((extra for extra in extras if isinstance(extra, str)), None)


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Returns the description of a function and of each parameter, from its docstring."""
    if not text:
        return "", {}
    from docstring_parser import ParseError, parse

    try:
        found = parse(text)
    except ParseError:
        return text, {}
    parts = [part for part in (found.short_description, found.long_description) if part]
    return "\n\n".join(parts), {
        one.arg_name: " ".join(one.description.split()) for one in found.params if one.description
    }


def _written(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns what has a name and a docstring: of a partial the function, else what was given."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _docstring_of(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Returns the description of a function and of its parameters; an object that is called has them in `__call__`."""
    written = _written(function)
    told, explained = _read_docstring(inspect.getdoc(written) or "")
    if inspect.isroutine(written) or inspect.isclass(written):
        return told, explained
    own, of_call = _read_docstring(inspect.getdoc(type(written).__call__) or "")
    return own or told, {**explained, **of_call}


def _check_name(name: str) -> None:
    """Raises `BadRequestError` for a name that no provider takes, such as that of a lambda."""
    if not _NAME.fullmatch(name):
        raise BadRequestError(
            f"a tool cannot be called {name!r}: give it a name of up to 64 letters, digits, _ and - by name="
        )


def _plain_schema(adapter: TypeAdapter[Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the JSON schema without the titles that pydantic adds, and with the function's own defaults."""
    from pydantic.json_schema import GenerateJsonSchema
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    class Untitled(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    schema = adapter.json_schema(schema_generator=Untitled)
    schema.pop("title", None)
    schema.setdefault("properties", {})
    for parameter, default in defaults.items():
        try:
            schema["properties"][parameter].setdefault("default", to_jsonable_python(default))
        except PydanticSerializationError:
            continue  # the model need not know a default that JSON cannot say
    for inner in schema.get("$defs", {}).values():
        inner.pop("title", None)
    result: dict[str, Any] = json.loads(json.dumps(schema))
    return result
