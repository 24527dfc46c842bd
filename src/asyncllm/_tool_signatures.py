"""From the signature of a function to the JSON schema that a model reads, and from the model's arguments to a call.

Theory. A function's named parameters are the fields of a TypedDict that is made for it, and pydantic does the rest: the
schema, the checks, the conversion. So a type hint means what it means in a pydantic model.

Rules.

* What the model need not know is no property: the run's context (a parameter whose type hint is `RunContext`, wherever
  it stands), and what a `functools.partial` has bound already, which may be a key or a connection.
* A default that is a pydantic ``Field(...)`` counts as if it stood in ``Annotated``.
* A description in the type hint goes before one in the docstring.
* A type hint may name what is local to the function in which ``@tool`` stands.
* ``*args`` and ``**kwargs`` are refused: a model gives named arguments, those of the schema.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, is_dataclass
from decimal import Decimal
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from ._schema.content import ToolCall, parse_arguments
from ._schema.json_schema import JSONSchema, SchemaError
from ._schema.messages import Message
from ._schema.request import Tool
from ._schema.usage import UNKNOWN_USAGE, Usage
from .errors import BadRequestError, ToolArgumentsError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Deps = TypeVar("Deps")
_FIRST_NAMES = ("self", "cls")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_WORD = re.compile(r"[^\W\d]\w*")
_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_SEVERAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_AROUND = (Annotated, Union, types.UnionType)
_NO_NAMES: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RunContext(Generic[Deps]):
    """What a tool gets to know of the run that calls it. It is passed to a parameter of this type.

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


Checked = tuple[dict[str, Any], Sequence[str]]
"""The arguments, and what is wrong with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSignature:
    """What a function takes.

    Attributes:
        definition: the name, the description and the schema that are sent.
        check: reads the text of the arguments.
        context: the parameter that gets the run's context; None where there is none.
        context_first: whether it is the first one, so that it can be given without its name.
        by_place: the parameters that cannot be given by name, with their defaults.
    """

    definition: Tool
    check: Callable[[str], Checked]
    context: str | None = None
    context_first: bool = False
    by_place: tuple[tuple[str, Any], ...] = ()

    def bind(self, function: Callable[..., Any], call: ToolCall, context: RunContext[Any]) -> Callable[[], Any]:
        """The call of the function, ready to be made.

        Args:
            function: whose signature this is.
            call: with the arguments that the model wrote.
            context: of the run.

        Raises:
            ToolArgumentsError: the arguments do not fit.
        """
        arguments, problems = self.check(call.raw_arguments)
        if problems:
            raise ToolArgumentsError(
                f"the arguments of {call.name} do not fit: {'; '.join(problems)}", problems=tuple(problems)
            )
        if self.by_place:
            if self.context is not None:
                arguments[self.context] = context
            places = [arguments.pop(name, default) for name, default in self.by_place]
            return functools.partial(function, *places, **arguments)
        if self.context_first:
            return functools.partial(function, context, **arguments)
        if self.context is not None:
            arguments[self.context] = context
        return functools.partial(function, **arguments)


def read_signature(
    function: Callable[..., Any],
    name: str,
    description: str | None,
    strict: bool | None,
    names: Mapping[str, Any] = _NO_NAMES,
) -> ToolSignature:
    """Reads what a function takes.

    Args:
        function: the function.
        name: what the model calls it.
        description: instead of the docstring's.
        strict: as in `Tool`.
        names: what type hints may name besides what is in the function's module.

    Raises:
        BadRequestError: the signature cannot be said as a schema.
    """
    from pydantic import ConfigDict, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter
    from typing_extensions import TypedDict

    _check_name(name)
    told, explained = _docstring_of(function)
    hints = _hints(function, name, names)
    fields: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    by_place: dict[str, Any] = {}
    context, context_first = None, False
    bound = _bound(function)
    for place, (parameter, kind) in enumerate(inspect.signature(function).parameters.items()):
        hint = hints.get(parameter, Any)
        if kind.kind is kind.POSITIONAL_ONLY:
            by_place[parameter] = kind.default
        if _is_context(hint):
            context, context_first = parameter, place == 0 and kind.kind in _BY_PLACE
        elif kind.kind in _SEVERAL:
            stars = "*" if kind.kind is kind.VAR_POSITIONAL else "**"
            raise BadRequestError(
                f"the tool {name} has the parameter {stars}{parameter}: a model can only give named arguments; "
                "write the parameters by name"
            )
        elif parameter not in bound:
            fields[parameter] = _field(hint, kind.default, explained.get(parameter))
            if kind.default is not kind.empty and not _is_field(kind.default):
                defaults[parameter] = kind.default
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
    return ToolSignature(
        definition=Tool(name, told if description is None else description, schema, strict=strict),
        check=functools.partial(_by_adapter, adapter),
        context=context,
        context_first=context_first,
        by_place=tuple(by_place.items()),
    )


def given_signature(
    parameters: Mapping[str, Any], function: Callable[..., Any], name: str, description: str | None, strict: bool | None
) -> ToolSignature:
    """A function that takes what a schema of its maker's own says.

    Args:
        parameters: the schema.
        function: the function; it gets the arguments by name.
        name: what the model calls it.
        description: instead of the docstring's.
        strict: as in `Tool`.
    """
    _check_name(name)
    told = _docstring_of(function)[0] if description is None else description
    schema: JSONSchema | None = None
    try:
        schema = JSONSchema(parameters)
    except SchemaError:
        schema = None  # whoever runs the function checks what it is given
    hints = _hints(function, name, _NO_NAMES)
    found = [parameter for parameter in inspect.signature(function).parameters if _is_context(hints.get(parameter))]
    return ToolSignature(
        definition=Tool(name, told, parameters, strict=strict),
        check=functools.partial(_by_schema, schema),
        context=found[0] if found else None,
        context_first=bool(found) and found[0] == next(iter(inspect.signature(function).parameters)),
    )


# Arguments.


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
    return dict(arguments), () if schema is None else schema.problems(arguments)


# Parameters.


def is_method(function: Callable[..., Any]) -> bool:
    """Returns whether a function is defined inside a class, so that its first parameter is the object."""
    names = list(inspect.signature(function).parameters)
    return bool(names) and names[0] in _FIRST_NAMES and not inspect.ismethod(function)


def _is_context(hint: Any) -> bool:
    origin = get_origin(hint)
    if origin in _AROUND:
        return any(map(_is_context, get_args(hint)))
    return hint is RunContext or origin is RunContext


def _is_field(default: Any) -> bool:
    from pydantic.fields import FieldInfo

    return isinstance(default, FieldInfo)


def _field(hint: Any, default: Any, explained: str | None) -> Any:
    """The annotation of a property: the type hint with its description, and whether it may be left out."""
    from pydantic import Field
    from typing_extensions import NotRequired

    extras = list(_extras(hint))
    if _is_field(default):
        hint = Annotated[hint, default]
        extras.append(default)
    # pydantic itself reads Field(description=...), but not the text in Annotated[int, "text"].
    text = next((extra for extra in extras if isinstance(extra, str)), None)
    if text is None and not any(_is_field(extra) and extra.description for extra in extras):
        text = explained
    if text is not None:
        hint = Annotated[hint, Field(description=text)]
    return hint if default is inspect.Parameter.empty or _is_field(default) else NotRequired[hint]


def _extras(hint: Any) -> Iterator[Any]:
    """What stands beside the type in ``Annotated``, also inside an ``Optional``, where Python 3.10 may put it."""
    if get_origin(hint) is Annotated:
        yield from hint.__metadata__
    elif get_origin(hint) in _AROUND:
        for inner in get_args(hint):
            yield from _extras(inner)


def _bound(function: Callable[..., Any]) -> set[str]:
    """The parameters that a `functools.partial` has bound by name."""
    found: set[str] = set()
    while isinstance(function, functools.partial):
        found.update(function.keywords)
        function = function.func
    return found


def _hints(function: Callable[..., Any], name: str, names: Mapping[str, Any]) -> dict[str, Any]:
    bare = inspect.unwrap(written(function))
    sources = [bare, bare.__init__] if inspect.isclass(bare) else [bare]
    if not (inspect.isclass(bare) or inspect.isfunction(bare) or inspect.ismethod(bare)):
        sources = [type(bare).__call__]
    try:
        found: dict[str, Any] = {}
        for one in sources:
            found.update(get_type_hints(one, localns=dict(names) or None, include_extras=True))
    except NameError as error:
        raise BadRequestError(
            f"a type hint of the tool {name} cannot be read: {error}; the types must be defined at module level, "
            "or before @tool in the same function"
        ) from None
    return found


def local_names(function: Callable[..., Any], frame: FrameType | None) -> dict[str, Any]:
    """What the hints of a function name and its surroundings define, where these are no module.

    Args:
        function: whose hints may be text.
        frame: where the function is defined.
    """
    try:
        hints = getattr(inspect.unwrap(function), "__annotations__", {})
    except NameError:  # Python 3.14 reads them only now
        return {}
    words = {word for hint in hints.values() if isinstance(hint, str) for word in _WORD.findall(hint)}
    found: dict[str, Any] = {}
    while words and frame is not None and frame.f_code.co_name != "<module>":
        for word in words.intersection(frame.f_locals):  # a view of its own from Python 3.13 on
            found.setdefault(word, frame.f_locals[word])
        frame = frame.f_back if frame.f_code.co_flags & inspect.CO_NEWLOCALS == 0 else None  # out of a class body
    return found


# Docstrings.


def written(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns what has a name and a docstring: of a partial the function, else what was given."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _docstring_of(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Returns the description of a function and of its parameters; an object that is called has them in `__call__`."""
    bare = written(function)
    if inspect.isclass(bare):
        own = bare.__dict__.get("__doc__") or ""
        made = is_dataclass(bare) and own.startswith(f"{bare.__name__}(")  # dataclass writes the signature there
        return _read_docstring("" if made else inspect.cleandoc(own))
    told, explained = _read_docstring(inspect.getdoc(bare) or "")
    if inspect.isroutine(bare):
        return told, explained
    of_call, explained_there = _read_docstring(inspect.getdoc(type(bare).__call__) or "")
    return of_call or told, {**explained, **explained_there}


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Returns the description of a function and of each parameter, from its docstring."""
    if not text:
        return "", {}
    from docstring_parser import ParseError, parse

    try:
        found = parse(text)
    except ParseError:
        return text, {}
    parts = [part.strip() for part in (found.short_description, found.long_description) if part]
    return "\n\n".join(parts), {
        name.strip(" *"): " ".join(one.description.split())
        for one in found.params
        if one.description
        for name in one.arg_name.split(",")  # NumPy describes several at once: "a, b : int"
    }


def _check_name(name: str) -> None:
    """Raises `BadRequestError` for a name that no provider takes, such as that of a lambda."""
    if not _NAME.fullmatch(name):
        raise BadRequestError(
            f"a tool cannot be called {name!r}: give it a name of up to 64 letters, digits, _ and - by name="
        )


def _plain_schema(adapter: TypeAdapter[Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the JSON schema without the titles that pydantic adds, and with the function's own defaults."""
    from pydantic.json_schema import GenerateJsonSchema
    from pydantic_core import PydanticSerializationError, to_json

    class Untitled(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    schema = adapter.json_schema(schema_generator=Untitled)
    schema.pop("title", None)
    schema.setdefault("properties", {})
    for parameter, default in defaults.items():
        try:
            said = json.loads(to_json(default, inf_nan_mode="strings"))
        except (PydanticSerializationError, ValueError):
            continue  # the model need not know a default that JSON cannot say
        if parameter in schema["properties"]:  # else it has another name there
            schema["properties"][parameter].setdefault("default", said)
    for inner in schema.get("$defs", {}).values():
        inner.pop("title", None)
    result: dict[str, Any] = json.loads(json.dumps(schema))
    return result
