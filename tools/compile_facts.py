"""Compiles ``_models/data/facts/`` from the model map in a litellm wheel and the windows of genai-prices.

Run by ``nox -s prices`` with the folder that holds the wheel. litellm is read as data only. What a source does not say
stays unknown; a ``false`` is a ``false`` only where the source says so.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import genai_prices
from compile_prices import KINDS
from genai_prices import types
from genai_prices.data import providers

from asyncllm._models.names import is_custom, spellings

TARGET = Path(__file__).parent.parent / "src" / "asyncllm" / "_models" / "data" / "facts"
MAP = "litellm/model_prices_and_context_window_backup.json"
URL = "https://github.com/BerriAI/litellm"
MODES = frozenset({"chat", "responses", "completion"})

# litellm's word for a host -> our kinds, and the prefix of its model names there.
HOSTS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "openai": (("openai",), ""),
    "anthropic": (("anthropic",), ""),
    "gemini": (("gemini",), "gemini/"),
    "vertex_ai": (("vertex",), "vertex_ai/"),
    "vertex_ai-language-models": (("vertex",), ""),
    "vertex_ai-anthropic_models": (("vertex",), "vertex_ai/"),
    "vertex_ai-mistral_models": (("vertex",), "vertex_ai/"),
    "vertex_ai-llama_models": (("vertex",), "vertex_ai/"),
    "vertex_ai-deepseek_models": (("vertex",), "vertex_ai/"),
    "vertex_ai-qwen_models": (("vertex",), "vertex_ai/"),
    "vertex_ai-openai_models": (("vertex",), "vertex_ai/"),
    "vertex_ai-zai_models": (("vertex",), "vertex_ai/"),
    "bedrock": (("bedrock",), "bedrock/"),
    "bedrock_converse": (("bedrock",), "bedrock/"),
    "azure": (("azure",), "azure/"),
    "azure_ai": (("azure",), "azure_ai/"),
    "groq": (("groq",), "groq/"),
    "mistral": (("mistral",), "mistral/"),
    "deepseek": (("deepseek",), "deepseek/"),
    "xai": (("xai",), "xai/"),
    "together_ai": (("together",), "together_ai/"),
    "fireworks_ai": (("fireworks",), "fireworks_ai/"),
    "cerebras": (("cerebras",), "cerebras/"),
    "perplexity": (("perplexity",), "perplexity/"),
    "zai": (("zai",), "zai/"),
}
# Names that tell a region or a commitment: the same model, and a path that no request names.
PLACED = re.compile(r"^(?:[a-z]{2}(?:-[a-z]+)+-\d|eu|us|global|global-standard|\d+-month-commitment)/")

# A letter a fact: capital where it is true, small where it is false. `asyncllm._models.lookup` reads it.
LETTERS = {
    "t": "supports_function_calling",
    "i": "supports_vision",
    "d": "supports_pdf_input",
    "a": "supports_audio_input",
    "v": "supports_video_input",
    "j": "supports_response_schema",
    "r": "supports_reasoning",
    "s": "supports_sampling_params",
}
MADE_UP = "regional."  # how genai-prices calls Bedrock's rows for every region but global; no model's name
RESPONSES_ONLY = "O"
DEPRECATED = "X"

# OpenAI's models that reason and cannot stop reject sampling parameters (shared by Azure): the o-series and every -pro.
ALWAYS_REASON = re.compile(r"^(?:o\d|gpt-.*-pro(?:-|$)|gpt-6-astra|gpt-6\.1-sol)")
OPENAI_FAMILY = frozenset({"openai", "azure"})


def read_map(folder: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """The version and the model map of the newest litellm wheel in a folder."""
    wheels = sorted(folder.glob("litellm-*.whl"), key=lambda wheel: wheel.stat().st_mtime)
    if not wheels:
        raise SystemExit(f"no litellm wheel in {folder}; run: pip download --no-deps --dest {folder} litellm")
    with zipfile.ZipFile(wheels[-1]) as wheel:
        return wheels[-1].name.split("-")[1], json.loads(wheel.read(MAP))


def flags_of(facts: Mapping[str, Any], kind: str, name: str) -> str:
    """What a model can and cannot, in letters."""
    known = {letter: facts[key] for letter, key in LETTERS.items() if isinstance(facts.get(key), bool)}
    if kind in OPENAI_FAMILY and ALWAYS_REASON.match(name):
        known["s"] = False
    modalities = facts.get("supported_modalities")
    if isinstance(modalities, list):
        for letter, modality in (("i", "image"), ("a", "audio"), ("v", "video")):
            known.setdefault(letter, modality in modalities)
    flags = "".join(letter.upper() if known[letter] else letter for letter in LETTERS if letter in known)
    paths = facts.get("supported_endpoints") or ()
    chats = any(str(path).endswith("/chat/completions") for path in paths)
    only = any(str(path).endswith("/responses") for path in paths) and not chats
    if kind in OPENAI_FAMILY and (only or (facts.get("mode") == "responses" and not chats)):
        flags += RESPONSES_ONLY
    return flags


def positive(value: Any) -> int | None:
    """A number of tokens, or nothing."""
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else None


def entry(facts: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    """What litellm knows of a model, under our short keys."""
    limit = facts.get("max_output_tokens")
    found = {
        "i": positive(facts.get("max_input_tokens")),
        "o": positive(limit),
        "f": flags_of(facts, kind, name),
        "x": facts.get("deprecation_date"),
    }
    return {key: value for key, value in found.items() if value}


def litellm_rows(models: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, name and facts, for the hosts we serve; the plain name of a model before its regional ones."""
    chosen = []
    for key, facts in models.items():
        kinds, prefix = HOSTS.get(str(facts.get("litellm_provider")), ((), ""))
        name = key.removeprefix(prefix).lower()
        if facts.get("mode") not in MODES or is_custom(name) or PLACED.match(name):
            continue
        chosen += [(kind, list(spellings(name))[-1] if kind == "bedrock" else name, facts) for kind in kinds]
    for kind, name, facts in chosen:
        yield kind, name, entry(facts, kind, name)


def own_names(model: types.ModelInfo) -> set[str]:
    """The names that a row of genai-prices spells out in full."""
    clauses = model.match.or_ if isinstance(model.match, types.ClauseOr) else [model.match]
    names = {clause.equals.lower() for clause in clauses if isinstance(clause, types.ClauseEquals)}
    if not model.id.startswith(MADE_UP):
        names.add(model.id.lower())
    return {name for name in names if not is_custom(name)}


def add_windows(kind: str, provider: types.Provider, rows: dict[str, dict[str, Any]]) -> None:
    """The context windows and deprecations that genai-prices knows, for names that are there and for its own."""
    for name, facts in rows.items():
        found = (provider.find_model(spelling, all_providers=providers) for spelling in spellings(name))
        model = next((model for model in found if model is not None), None)
        if model is not None:
            merge(facts, model)
    for model in provider.models:
        for name in sorted(own_names(model)) if model.context_window or model.deprecated else ():
            if rows.keys().isdisjoint(spellings(name)):
                merge(rows.setdefault(name, {}), model)


def merge(facts: dict[str, Any], model: types.ModelInfo) -> None:
    """Adds what genai-prices says to what litellm said."""
    if model.context_window:
        facts["w"] = model.context_window
    if model.deprecated and DEPRECATED not in facts.get("f", ""):
        facts["f"] = facts.get("f", "") + DEPRECATED


def compile_facts(folder: Path, today: date) -> dict[str, Any]:
    """The whole file."""
    version, models = read_map(folder)
    kinds: dict[str, dict[str, dict[str, Any]]] = {}
    for kind, name, facts in litellm_rows(models):
        rows = kinds.setdefault(kind, {})
        rows[name] = {**facts, **rows.get(name, {})}
    by_id = {provider.id: provider for provider in providers}
    for kind, row in KINDS.items():
        rows = kinds.setdefault(kind, {})
        if "provider" in row:
            add_windows(kind, by_id[row["provider"]], rows)
            continue
        for provider in providers:  # a router: the same model at whichever host
            if provider.id.startswith(row["by_suffix"]):
                add_windows(kind, provider, rows)
    return {
        "version": f"{today.isoformat()} litellm {version} genai-prices {genai_prices.__version__}",
        "date": today.isoformat(),
        "sources": {
            "litellm": f"litellm {version}, {MAP}, {URL} (MIT)",
            "genai-prices": f"genai-prices {genai_prices.__version__}, https://github.com/pydantic/genai-prices (MIT)",
        },
        "keys": {"w": "context window", "i": "most input tokens", "o": "most output tokens", "f": "flags", "x": "ends"},
        "kinds": {
            kind: dict(sorted((name, facts) for name, facts in rows.items() if facts)) for kind, rows in kinds.items()
        },
    }


def dump(rows: Mapping[str, Any]) -> str:
    """One kind's rows as JSON with a line a model, so that a change of a model is a change of a line."""
    body = ",\n".join(f"{json.dumps(name)}:{json.dumps(row, separators=(',', ':'))}" for name, row in rows.items())
    return f"{{\n{body}\n}}\n"


def write(content: Mapping[str, Any], target: Path) -> None:
    """A file for each kind, and ``index.json`` with what is said of all of them."""
    for kind, rows in content["kinds"].items():
        (target / f"{kind}.json").write_text(dump(rows), encoding="utf-8")
    index = {**content, "kinds": sorted(content["kinds"])}
    (target / "index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Writes the files and says what is in them."""
    content = compile_facts(Path(sys.argv[1]), date.today())
    write(content, TARGET)
    counts = {kind: len(rows) for kind, rows in content["kinds"].items()}
    print(f"{TARGET.name}: models {counts}, version {content['version']}")


if __name__ == "__main__":
    main()
