"""The parts of a call that can be told without a server."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import fields

from asyncllm._engine.call import Call
from asyncllm._schema.response import Response


def test_a_reply_keeps_every_field() -> None:
    """The completed reply is made with every field of a reply, so that a new one is not lost on the way."""
    source = ast.parse(textwrap.dedent(inspect.getsource(Call.dressed)))
    (made,) = [node for node in ast.walk(source) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Response"]

    assert [field.name for field in fields(Response)] == [keyword.arg for keyword in made.keywords]
