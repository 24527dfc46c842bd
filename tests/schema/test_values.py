"""The quick dataclasses behave as those of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import FrozenInstanceError, field
from dataclasses import dataclass as usual
from typing import Any

import pytest

from asyncllm._schema.values import dataclass as quick


def made(dataclass: Any) -> Any:
    """The same class by either decorator."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Value:
        """A value."""

        first: int
        second: str = "b"
        third: list[int] = field(default_factory=list, repr=False)
        fourth: int = field(default=4, compare=False)
        fifth: str = field(init=False, default="made")

        def __post_init__(self) -> None:
            if self.first < 0:
                raise ValueError("negative")

        @property
        def double(self) -> int:
            """Twice the first."""
            return 2 * self.first

    return Value


QUICK, USUAL = made(quick), made(usual)


@quick(frozen=True, slots=True)
class Pair:
    """Can be pickled, as it has a name."""

    left: int
    right: tuple[int, ...] = ()


@quick(frozen=True, slots=True, kw_only=True)
class Triple(Pair):
    """A value that inherits."""

    extra: str = "x"


@pytest.mark.parametrize("arguments", [{"first": 1}, {"first": 2, "second": "c", "third": [1], "fourth": 5}])
def test_values_look_and_compare_alike(arguments: dict[str, Any]) -> None:
    """repr, fields, equality, replacement and dumps are those of the standard library."""
    mine, theirs = QUICK(**arguments), USUAL(**arguments)
    assert repr(theirs) == repr(mine)
    assert dataclasses.asdict(theirs) == dataclasses.asdict(mine)
    assert [one.name for one in dataclasses.fields(theirs)] == [one.name for one in dataclasses.fields(mine)]
    assert dataclasses.replace(mine, fourth=9) == mine != dataclasses.replace(mine, first=9)
    assert mine != theirs
    assert (theirs.double, USUAL.__match_args__, USUAL.__slots__) == (
        mine.double,
        QUICK.__match_args__,
        QUICK.__slots__,
    )


def test_the_signature_is_the_same() -> None:
    """Parameters, kinds and defaults are those of the standard library, but for the name of a made default."""
    theirs, mine = (inspect.signature(one).parameters.values() for one in (USUAL, QUICK))
    assert [(one.name, one.kind, one.annotation) for one in theirs] == [
        (one.name, one.kind, one.annotation) for one in mine
    ]
    with pytest.raises(TypeError, match="first"):
        QUICK()
    with pytest.raises(TypeError, match="other"):
        QUICK(first=1, other=2)
    with pytest.raises(ValueError, match="negative"):
        QUICK(first=-1)


def test_nothing_can_be_changed() -> None:
    """A field cannot be set, deleted or added."""
    value = QUICK(first=1)
    for change in (lambda: setattr(value, "first", 2), lambda: delattr(value, "first"), lambda: setattr(value, "x", 1)):
        with pytest.raises(FrozenInstanceError):
            change()
    assert not hasattr(value, "__dict__")


def test_made_defaults_are_made_anew() -> None:
    """Two values do not share a default that is made."""
    assert QUICK(first=1).third is not QUICK(first=1).third


@pytest.mark.parametrize("value", [Pair(1), Pair(1, (2, 3)), Triple(left=1, extra="y")])
def test_values_travel(value: Any) -> None:
    """Values can be pickled, copied and used as keys; what inherits keeps its fields."""
    assert value == pickle.loads(pickle.dumps(value)) == copy.copy(value) == copy.deepcopy(value)
    assert {value: 1}[copy.copy(value)] == 1
    match value:
        case Pair(left):
            assert 1 == left
