"""References to environment variables in values."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from asyncllm._config.interpolate import Unresolved, interpolate, resolve_values, unresolved_in

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${A}", "one"),
        ("<${A}${B}>", "<onetwo>"),
        ("${EMPTY}", ""),
        ("${EMPTY:-x}", "x"),
        ("${NONE:-x}", "x"),
        ("${NONE:-}", ""),
        ("${NONE:-a b:-c $ {}", "a b:-c $ {"),
        ("${A:-x}", "one"),
        ("$A $ {A} 5$ $$ $$A", "$A $ {A} 5$ $$ $$A"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("${LOOP}", "${A} $${A}"),
        ("${YAML}", "[1, &a !!x *a]\n- b"),
    ],
)
def test_references_are_replaced_once(text: str, expected: str) -> None:
    """A reference becomes what its variable holds, or its default, and nothing of that is read again."""
    environ = {"A": "one", "B": "two", "EMPTY": "", "LOOP": "${A} $${A}", "YAML": "[1, &a !!x *a]\n- b"}
    assert expected == interpolate(text, environ)


def test_missing_variables_are_named_once_each() -> None:
    """A text whose variables are not set is unresolved and names every one of them."""
    assert Unresolved(missing=("X", "Y"), malformed=False) == interpolate("${X} ${Y} ${X} ${Z:-}", {})


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A", "${A:?x}", "${A-b}", "${ A }", "${A:-${B}}", "a${b"])
def test_what_only_looks_like_a_reference_is_malformed(text: str) -> None:
    """A reference that is none, a nested one above all, is refused rather than left in place."""
    found = interpolate(text, {"A": "", "B": "b"})
    assert isinstance(found, Unresolved)
    assert found.malformed


@pytest.mark.parametrize("text", ["$OPENAI_API_KEY", "$a"])
def test_a_variable_without_braces_is_refused_with_the_form_that_is_meant(text: str) -> None:
    """A value that is nothing but ``$NAME`` is a shell's habit, never a value."""
    found = interpolate(text, {"OPENAI_API_KEY": "sk", "a": "b"})
    assert Unresolved((), malformed=True, without_braces=text[1:]) == found


@given(st.text())
def test_any_text_survives_escaping(text: str) -> None:
    """With every ``${`` written as ``$${`` a text comes out as it was, but for a bare ``$NAME``, which is refused."""
    assume(not re.fullmatch(r"\$[A-Za-z_][A-Za-z0-9_]*", text))
    assert text == interpolate(text.replace("${", "$${"), {})


@given(NAMES, st.text())
def test_any_value_comes_out_as_it_is(name: str, value: str) -> None:
    """What a variable holds is put in untouched, references in it included."""
    assert f"<{value}>" == interpolate(f"<${{{name}}}>", {name: value})


@given(NAMES, st.text().filter(lambda text: "}" not in text and "${" not in text))
def test_any_default_comes_out_as_it_is(name: str, default: str) -> None:
    """A default is plain text."""
    assert default == interpolate(f"${{{name}:-{default}}}", {})


def test_keys_and_the_given_tree_are_left_alone() -> None:
    """Only string values are resolved, in a copy; keys are never touched."""
    tree = {"${A}": ["${A}", 1, None, {"k": "${B}"}]}
    resolved = resolve_values(tree, {"A": "one"})
    assert {"${A}": ["${A}", 1, None, {"k": "${B}"}]} == tree
    assert "one" == resolved["${A}"][0]
    assert [(("${A}", 3, "k"), Unresolved(missing=("B",), malformed=False))] == list(unresolved_in(resolved))
