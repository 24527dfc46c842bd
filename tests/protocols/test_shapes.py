"""Values from the wire that have, or have not, the shape that is wanted."""

from __future__ import annotations

import pytest

from asyncllm._protocols.parts import as_dict, as_text, objects


@pytest.mark.parametrize("value", [None, 0, True, "text", [1], {"a": 1}])
def test_a_value_of_another_shape_reads_as_nothing(value: object) -> None:
    """An object, a text and a list's objects come through; whatever else comes is empty, or None for a text."""
    assert (value if type(value) is dict else {}) == as_dict(value)
    assert (value if type(value) is str else None) == as_text(value)
    assert [] == objects(value)


def test_what_is_no_object_is_passed_over_in_a_list() -> None:
    """Only the objects of a list are read, in order."""
    assert [{"a": 1}, {}] == objects(["a", {"a": 1}, None, {}, [{}]])
