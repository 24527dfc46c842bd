"""Rules in the annotations of keys, beside their types.

A section of the configuration is a frozen dataclass that the engine uses as it is. Each of its fields is annotated as
``Annotated[type, *rules, "description"]``: the rules are values of `Rule`, the description is what an editor shows. So
a key, its bounds, its default and its description are written once, in one line. ``reading`` checks a configuration
by these annotations, ``editor`` makes the JSON Schema of them. Every section needs this file, so it imports little.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sized
from dataclasses import field
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from .._schema.values import dataclass
from .urls import plain_url

Made = TypeVar("Made")
_MOST_DOLLARS = 10**9
_MOST_DECIMALS = 9  # money is whole nano-dollars inside
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


class SecretStr:
    """A text that no repr, log or dump shows. `get_secret_value` returns it.

    It is used like ``pydantic.SecretStr``, which a configuration made in Python may hold as well.

    Args:
        text: the secret.
        origin: where it was found, for an error about it: ``config.yaml:4: providers.openai.api_key``. Two secrets with
            the same text are equal wherever they were found.
    """

    __slots__ = ("_text", "origin")

    def __init__(self, text: str, origin: str = "") -> None:
        self._text = text
        self.origin: str = origin

    def get_secret_value(self) -> str:
        """The text."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretStr) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"SecretStr({str(self)!r})"

    def __str__(self) -> str:
        return "**********" if self._text else ""


class Environment(Mapping[str, str]):
    """Environment variables that no repr shows: error trackers collect the locals of frames."""

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __repr__(self) -> str:
        return f"<{len(self)} environment variables>"


class Unshown:
    """Arguments that no repr shows. Frames that pass secrets on hold them in one, as error trackers collect the locals
    of frames.

    Args:
        *arguments: in order.
        **named: by name.
    """

    __slots__ = ("arguments", "named")

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.arguments = arguments
        self.named = named

    def into(self, function: Callable[..., Made]) -> Made:
        """Calls the function with the arguments."""
        return function(*self.arguments, **self.named)

    def __repr__(self) -> str:
        return "<arguments>"


@dataclass(frozen=True, slots=True, eq=False)  # hashable, as a part of an annotation must be
class Rule:
    """What must hold of a value.

    Attributes:
        read: takes a value of the right type and returns it, also in another form. A ValueError says in one sentence
            what is wrong, without the value.
        schema: the same in the words of JSON Schema, as far as it has words for it.
        written: the type that a configuration has, where it is not the field's own.
    """

    read: Callable[[Any], Any]
    schema: Mapping[str, Any] = field(default_factory=dict)
    written: type | None = None


def _holds(test: Callable[[Any], bool], sentence: str, schema: Mapping[str, Any]) -> Rule:
    def read(value: Any) -> Any:
        if not test(value):
            raise ValueError(sentence)
        return value

    return Rule(read, schema)


def at_least(bound: int) -> Rule:
    """This number or more."""
    return _holds(lambda value: value >= bound, f"must be greater than or equal to {bound}", {"minimum": bound})


def above(bound: int) -> Rule:
    """More than this number."""
    return _holds(lambda value: value > bound, f"must be greater than {bound}", {"exclusiveMinimum": bound})


def below(bound: int) -> Rule:
    """Less than this number."""
    return _holds(lambda value: value < bound, f"must be less than {bound}", {"exclusiveMaximum": bound})


def matches(pattern: str) -> Rule:
    """A text of this form."""
    form = re.compile(pattern)
    return _holds(lambda text: form.search(text) is not None, f"must match pattern {pattern!r}", {"pattern": pattern})


def _filled(value: Sized) -> Sized:
    if not value:
        raise ValueError(f"must have at least 1 {'character' if isinstance(value, str) else 'item'}")
    return value


FILLED = Rule(_filled, {"minLength": 1})
"""A text that is not empty."""
POPULATED = Rule(_filled, {"minProperties": 1})
"""A mapping that is not empty."""


def _whole_nano(money: Decimal) -> Decimal:
    exponent = money.normalize().as_tuple().exponent
    if isinstance(exponent, int) and exponent < -_MOST_DECIMALS:
        raise ValueError(f"must have at most {_MOST_DECIMALS} digits after the decimal point")
    if money >= _MOST_DOLLARS:
        raise ValueError(f"must be less than {_MOST_DOLLARS}")
    return money


MONEY = Rule(_whole_nano)
"""US dollars, down to a nano-dollar."""
NANO_DOLLARS = Rule(lambda money: int(_whole_nano(money) * 10**_MOST_DECIMALS), written=Decimal)
"""Written as US dollars, kept as whole nano-dollars."""


def _key(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()  # a key read from a file ends in a newline
    if not text:
        raise ValueError("must not be empty")
    if not text.isascii() or not text.isprintable():
        raise ValueError("must be printable ASCII, as it travels in a header")
    return SecretStr(text, secret.origin)


KEY = Rule(_key)
"""A secret that is sent in a header."""
BASE_URL = Rule(partial(plain_url, may_ask=True))
"""Where a provider is reached; a query goes with every request."""


def _proxy(url: SecretStr) -> SecretStr:
    return SecretStr(plain_url(url.get_secret_value(), schemes=PROXY_SCHEMES, may_log_in=True))


PROXY_URL = Rule(_proxy)
"""Where a proxy is reached; a user name and a password may be part of it."""
