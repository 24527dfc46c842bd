"""What a command line asks: the question with its files, the options, the schema and the tools."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from .._schema.content import Part

_PICTURES = ("image/",)
_SOUNDS = ("audio/",)
_FILMS = ("video/",)


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say what is asked, and of whom."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration (default: ./config.yaml)")
    parser.add_argument("--provider", metavar="NAME", help="a provider of the configuration (default: the active one)")
    parser.add_argument("-m", "--model", metavar="ID", help="the model to ask (default: the provider's first)")
    parser.add_argument("-s", "--system", metavar="TEXT", help="instructions to the model")
    parser.add_argument(
        "-o", "--option", action="append", default=[], metavar="NAME=VALUE", help="a keyword of send, such as seed=1"
    )
    parser.add_argument(
        "-a", "--attach", action="append", default=[], type=Path, metavar="FILE", help="a picture, PDF or text to send"
    )
    parser.add_argument("--schema", metavar="JSON|FILE", help="the JSON schema that the answer must fit")
    parser.add_argument(
        "--tool", action="append", default=[], metavar="MODULE:FUNCTION", help="a Python function the model may call"
    )


def where(arguments: argparse.Namespace) -> dict[str, Any]:
    """The provider and the model, where the command line names them."""
    named = {"provider": arguments.provider, "model": arguments.model}
    return {name: value for name, value in named.items() if value is not None}


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keywords of a call that the command line sets.

    Raises:
        ConfigurationError: there is no such keyword, or the schema or a tool cannot be read.
    """
    from .._options import KEYWORDS

    found: dict[str, Any] = {}
    for text in arguments.option:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in KEYWORDS:
            raise ConfigurationError(f"--option {text}: write NAME=VALUE with one of {', '.join(sorted(KEYWORDS))}")
        found[name] = _value(value)
    if arguments.schema is not None:
        found["response_format"] = _schema(arguments.schema)
    if arguments.tool:
        found["tools"] = [_tool(name) for name in arguments.tool]
    return found


def content(question: str, files: list[Path]) -> list[Part]:
    """The user's message: the files, then the question.

    Raises:
        ConfigurationError: a file cannot be read, or is neither a picture, a PDF, sound, a film nor text.
    """
    from .._schema.content import Text

    return [*(_part(path) for path in files), Text(question)]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _schema(given: str) -> Any:
    text = given if given.lstrip().startswith("{") else _text_of(Path(given), "--schema")
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"--schema is no JSON: {error}") from None
    if not isinstance(schema, dict):
        raise ConfigurationError("--schema must be a JSON object")
    return schema


def _text_of(path: Path, option: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ConfigurationError(f"{option} {path}: {why}") from None


def _tool(name: str) -> Any:
    module, _, function = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"--tool {name}: {error}; write MODULE:FUNCTION, such as weather:get_weather for weather.py here"
        ) from None
    finally:
        sys.path.pop(0)
    if not callable(found):
        raise ConfigurationError(f"--tool {name} is no function")
    return found


def _part(path: Path) -> Part:
    import mimetypes

    from .._schema.content import Audio, Document, Image, Text, Video
    from .._schema.sniffing import sniffed

    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"--attach {path}: {error.strerror}") from None
    media_type = sniffed(data) or mimetypes.guess_type(path.name)[0] or ""
    if media_type.startswith(_PICTURES):
        return Image(data=data, media_type=media_type)
    if media_type.startswith(_SOUNDS):
        return Audio(data=data, media_type=media_type)
    if media_type.startswith(_FILMS):
        return Video(data=data, media_type=media_type)
    if media_type == "application/pdf":
        return Document(data=data, media_type=media_type, name=path.name)
    try:
        return Text(f"{path.name}:\n{data.decode('utf-8')}")
    except UnicodeDecodeError:
        raise ConfigurationError(f"--attach {path} is neither a picture, a PDF, sound, a film nor text") from None
