"""Reading YAML and mappings: what is refused, and where keys stand."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from asyncllm._config import load
from asyncllm._config.document import RefusedError, parse, read_mapping
from asyncllm.errors import ConfigurationError
from machine_speed import slowness

MIB = 1 << 20
LAUGHS = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=False)
)

REFUSED = {
    "billion laughs": (LAUGHS.encode(), "anchors are not allowed"),
    "an alias": (b"a: *b", "aliases are not allowed"),
    "an anchored mapping": (b"a: &x {b: c}", "anchors are not allowed"),
    "a Python tag": (b"a: !!python/object/apply:os.system ['x']", "tags are not allowed"),
    "a standard tag": (b"a: !!str 5", "tags are not allowed"),
    "a local tag": (b"a: !x y", "tags are not allowed"),
    "a directive": (b"%YAML 1.1\n---\na: b", "directives are not allowed"),
    "a tag directive": (b"%TAG ! tag:x,2000:\n---\na: b", "directives are not allowed"),
    "a merge key": (b"a: {<<: {b: c}}", "merge keys are not allowed"),
    "a duplicate key": (b"a: 1\nb: 2\na: 3", "c.yaml:3: a: this key was already set in line 1"),
    "a nested duplicate key": (b"a: {b: 1,\n b: 2}", "c.yaml:2: a.b: this key was already set in line 1"),
    "two documents": (b"a: b\n---\nc: d", "c.yaml:2: a second document"),
    "a number as a key": (b"a: {1: b}", "every key must be a string; write '1' in quotes"),
    "a boolean as a key": (b"true: b", "every key must be a string"),
    "a null key": (b"~: b", "every key must be a string"),
    "a list as a key": (b"? [a, b]\n: c", "every key must be a string"),
    # Three that PyYAML refuses by itself since 6.0.3, in words of its own.
    "deep flow lists": (b"a: " + b"[" * 500_000, "nest"),
    "deep flow mappings": (b"{a: " * 200_000, "nest"),
    "deep block lists": (b"- " * 500_000, "nest"),
    "deep block mappings": (b"".join(b" " * n + b"a:\n" for n in range(1000)), "nested deeper than 32 levels"),
    "too large": (b"a: " + b"x" * MIB, "larger than 1024 KiB"),
    "not UTF-8": (b"a: b\nc: \xff", "c.yaml:2: the file is not UTF-8"),
    "UTF-16": ("a: b".encode("utf-16"), "not UTF-8"),
    "a NUL": (b"a: \0", "characters that YAML does not allow"),
    "a tab": (b"a:\n\tb: c", "c.yaml:2: this is not YAML"),
    "an open quote": (b'a: "b', "this is not YAML"),
    "nothing": (b"", "the configuration is empty"),
    "a comment only": (b"# a\n", "the configuration is empty"),
    "a list": (b"- a", "the configuration is not a mapping"),
    "a word": (b"a", "the configuration is not a mapping"),
    "nested references": (b"active_provider: ${A:-${B:-${C}}}", "a reference is ${NAME}"),
    "a wall of references": (b"active_provider: " + b"${A:-" * 200_000, "a reference is ${NAME}"),
    "a wall of missing variables": (b"active_provider: '" + b"${A}${B}" * 100_000 + b"'", "variable A is not set"),
    "a wall of unknown keys": (b"".join(b"k%d: 1\n" % n for n in range(3_000)), "and 2982 more"),
    "a wall of providers": (b"providers:\n" + b"".join(b"  k%d:\n" % n for n in range(2_000)), "and 1980 more"),
    "a wall of values": (b"a: [" + b"1," * 100_000 + b"]", "more than 10000 keys and values"),
}


@pytest.mark.parametrize(("data", "expected"), REFUSED.values(), ids=REFUSED)
def test_bad_files_are_refused_in_time(data: bytes, expected: str, tmp_path: Path) -> None:
    """Whatever a file holds, it is refused with a sentence within 100 ms of CPU."""
    (tmp_path / "c.yaml").write_bytes(data)
    seconds = []
    for _ in range(2):  # a garbage collection in one of them is not the loader's
        start = time.process_time()
        with pytest.raises(ConfigurationError) as caught:
            load(tmp_path / "c.yaml", environ={})
        seconds.append(time.process_time() - start)
    assert 0.1 * slowness() > min(seconds)
    assert expected in str(caught.value)
    assert 10_000 > len(str(caught.value))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("none.yaml", "there is no such file"), (".", "this is not a file"), ("a\0b", "not the name of a file")],
)
def test_what_is_no_file_is_refused(name: str, expected: str, tmp_path: Path) -> None:
    """A path without a readable file is a configuration error that names it."""
    with pytest.raises(ConfigurationError, match=expected):
        load(f"{tmp_path}/{name}", environ={})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("FALSE", False),
        ("yes", "yes"),
        ("off", "off"),
        ("12", 12),
        ("-7", -7),
        ("9" * 5000, "9" * 5000),
        ("1.50", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1:30", "1:30"),
        ("0x1f", "0x1f"),
        ("2026-10-21", "2026-10-21"),
        (".inf", ".inf"),
        ("'12'", "12"),
        ('"null"', "null"),
        ('"a\\u00e9"', "aé"),
        ("[]", []),
        ("{}", {}),
        ("[1, [2, {a: b}], c]", [1, [2, {"a": "b"}], "c"]),
        ("|\n    two\n    lines\n", "two\nlines\n"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, expected: object) -> None:
    """Plain scalars are null, booleans, numbers or strings; dates, words and sexagesimals are strings."""
    assert {"a": expected, "b": 1} == parse(f"a: {text}\nb: 1\n")[0]


def test_every_key_and_item_has_its_line() -> None:
    """Lines are counted from 1 and kept for each key path."""
    tree, lines = parse("a:\n  b: 1\n  c:\n  - x\n  - d: 2\n    e: [3,\n      4]\nf: g\n")
    assert {"a": {"b": 1, "c": ["x", {"d": 2, "e": [3, 4]}]}, "f": "g"} == tree
    assert {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("a", "c", 0): 4,
        ("a", "c", 1): 5,
        ("a", "c", 1, "d"): 5,
        ("a", "c", 1, "e"): 6,
        ("a", "c", 1, "e", 0): 6,
        ("a", "c", 1, "e", 1): 7,
        ("f",): 8,
    } == lines


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    """A file that an editor began with a byte order mark loads."""
    (tmp_path / "c.yaml").write_bytes(b"\xef\xbb\xbfactive_provider: ollama\nproviders: {ollama: }\n")
    assert "ollama" == load(tmp_path / "c.yaml", environ={}).active_provider


def test_a_mapping_without_end_is_refused() -> None:
    """A mapping that contains itself is an error, not an endless loop."""
    mapping: dict[str, object] = {}
    mapping["a"] = mapping
    with pytest.raises(RefusedError, match="nested deeper"):
        read_mapping(mapping)
    with pytest.raises(ConfigurationError, match=r"a\.a\.a: nested deeper"):
        load(mapping)


def test_a_mapping_has_string_keys() -> None:
    """Keys of a mapping are strings, at every depth."""
    with pytest.raises(ConfigurationError, match="providers: every key must be a string, not int"):
        load({"providers": {1: {}}})


def test_odd_keys_do_not_break_the_message() -> None:
    """A key with line breaks or without end is shown on one line, shortened."""
    with pytest.raises(ConfigurationError) as caught:
        load({"a\nb": 1, "k" * 1000: 1, "": 1, "active_provider": "ollama", "providers": {"ollama": {}}})
    assert 4 == len(str(caught.value).splitlines())
    assert "'a\\nb': unknown key" in str(caught.value)
    assert "k" * 61 not in str(caught.value)
