"""What calls cost: rules, tiers, conditions, overrides, retired models, and what stays unknown."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncllm._models import PriceBook
from asyncllm._models.names import matches
from asyncllm._schema.usage import UNKNOWN_USAGE, Usage
from ledger_books import value
from machine_speed import slowness

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
MILLION = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
PLAIN = Usage(input_tokens=1000, output_tokens=100)


@pytest.fixture(scope="module")
def book() -> PriceBook:
    """A price book with nothing overridden."""
    return PriceBook()


def nano(book: PriceBook, kind: str, model: str, usage: Usage = PLAIN, **options: Any) -> int | None:
    """The cost in nano-dollars."""
    return book.cost(kind, model, usage, when=options.pop("when", NOW), **options).nano_dollars


RETIRED = [
    ("openai", "gpt-4", "genai-prices", 30, 60),
    ("openai", "gpt-3.5-turbo", "genai-prices", 0.5, 1.5),
    ("anthropic", "claude-3-opus-20240229", "genai-prices", 15, 75),
    ("anthropic", "claude-3-sonnet-20240229", "genai-prices", 3, 15),
    ("anthropic", "claude-3-haiku-20240307", "genai-prices", 0.25, 1.25),
    ("anthropic", "claude-opus-4-20250514", "genai-prices", 15, 75),
    ("anthropic", "claude-sonnet-4-20250514", "genai-prices", 3, 15),
    ("gemini", "gemini-pro", "genai-prices", 0.125, 0.375),
    ("vertex", "gemini-pro", "genai-prices", 0.125, 0.375),
    ("gemini", "gemini-pro-vision", "retired", 0.5, 1.5),
    ("vertex", "gemini-pro-vision", "retired", 0.5, 1.5),
    ("vertex", "gemini-1.5-pro", "genai-prices", 1.25, 5),
    ("vertex", "gemini-1.5-flash", "genai-prices", 0.075, 0.3),
    ("bedrock", "anthropic.claude-3-opus-20240229-v1:0", "genai-prices", 15, 75),
    ("bedrock", "anthropic.claude-3-sonnet-20240229-v1:0", "genai-prices", 3, 15),
    ("bedrock", "anthropic.claude-3-haiku-20240307-v1:0", "genai-prices", 0.25, 1.25),
    ("bedrock", "anthropic.claude-3-opus", "retired", 15, 75),
    ("bedrock", "amazon.titan-text-express-v1", "genai-prices", 0.2, 0.6),
    ("bedrock", "amazon.titan-text-lite-v1", "genai-prices", 0.15, 0.2),
    ("bedrock", "ai21.j2-ultra-v1", "retired", 15, 15),
    ("bedrock", "ai21.j2-mid-v1", "retired", 12.5, 12.5),
    ("bedrock", "cohere.command-text-v14", "retired", 1.5, 2),
    ("bedrock", "cohere.command-text-v14:7:4k", "retired", 1.5, 2),
    ("bedrock", "cohere.command-light-text-v14", "retired", 0.3, 0.6),
    ("bedrock", "meta.llama2-13b-chat-v1", "retired", 0.75, 1),
    ("bedrock", "meta.llama2-70b-chat-v1", "retired", 1.95, 2.56),
]


@pytest.mark.parametrize(("kind", "model", "source", "inputs", "outputs"), RETIRED)
def test_retired_models_stay_priced(
    book: PriceBook, kind: str, model: str, source: str, inputs: float, outputs: float
) -> None:
    """A model that is gone still has its price, with its source: genai-prices' where it has one, else the table's."""
    cost = book.cost(kind, model, Usage(input_tokens=1000, output_tokens=1000), when=NOW)
    assert (source, round((inputs + outputs) * 10**6)) == (cost.source, cost.nano_dollars)


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("openai", "no-such-model"),
        ("no-such-kind", "gpt-4"),
        ("ollama", "llama3"),
        ("vllm", "gpt-4"),
        ("llamacpp", "gpt-4"),
        ("lmstudio", "gpt-4"),
        ("openai_compatible", "gpt-4"),
        ("github", "openai/gpt-4o"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:me::abc"),
        ("azure", "gpt-4o-mini-2024-07-18.ft-0123"),
        ("gemini", "tunedModels/mine"),
        ("vertex", "projects/p/locations/l/endpoints/123"),
        ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:custom-model/anthropic.claude-3-haiku-20240307-v1:0/x"),
        ("bedrock", "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"),
        ("huggingface", "openai/gpt-oss-120b"),
        ("huggingface", "openai/gpt-oss-120b:nobody"),
    ],
)
def test_what_nobody_prices_costs_none(book: PriceBook, kind: str, model: str) -> None:
    """Unknown, local, custom and routed models cost ``None``, never 0, and no reservation is made for them."""
    assert (None, None) == (nano(book, kind, model), book.worst_case(kind, model, 10, 10, when=NOW))


@pytest.mark.parametrize(
    ("kind", "model", "row"),
    [
        ("bedrock", "anthropic.claude-sonnet-5-5", "regional.anthropic.claude-sonnet-5-5"),
        ("bedrock", "us.anthropic.claude-sonnet-5-5", "regional.anthropic.claude-sonnet-5-5"),
        ("bedrock", "apac.anthropic.claude-sonnet-5-5", "regional.anthropic.claude-sonnet-5-5"),
        ("bedrock", "global.anthropic.claude-sonnet-5-5", "global.anthropic.claude-sonnet-5-5"),
        ("bedrock", "eu.meta.llama2-70b-chat-v1", "meta.llama2-70b-chat-v1"),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-5-5",
            "regional.anthropic.claude-sonnet-5-5",
        ),
        ("vertex", "claude-fable-5-2@20261011", "claude-fable-5-2"),
        ("vertex", "anthropic/claude-sonnet-4-5@default", "claude-sonnet-4-5"),
        ("vertex", "projects/p/locations/global/publishers/google/models/gemini-3.8-flash", "gemini-3.8-flash"),
        ("gemini", "models/gemini-3.8-flash", "gemini-3.8-flash"),
        ("openai", "GPT-5.4-20260305", "gpt-5.4"),
        ("azure", "gpt-5.4", "gpt-5.4"),
        ("huggingface", "openai/gpt-oss-120b:groq", "openai/gpt-oss-120b"),
    ],
)
def test_a_model_is_found_under_the_hosts_own_spelling(book: PriceBook, kind: str, model: str, row: str) -> None:
    """Prefixes, paths, ARNs, versions and capitals of a host lead to the model they stand for."""
    found = book.find(kind, model)
    assert found is not None
    assert row == found.model


def test_what_is_free_costs_nothing(book: PriceBook) -> None:
    """A model that is free by name costs 0, which is known, and not ``None``."""
    assert (0, 0) == (
        nano(book, "openrouter", "openai/gpt-oss-20b:free"),
        book.worst_case("openrouter", "openai/gpt-oss-20b:free", 10, 10, when=NOW),
    )


def test_an_unknown_clause_is_told_apart() -> None:
    """Data of another version raises instead of matching nothing."""
    with pytest.raises(ValueError, match="unknown clause"):
        matches("?x", "x")
    assert matches(["&", "^ab", "$yz"], "ab-yz")


def test_a_region_of_bedrock_has_its_own_price(book: PriceBook) -> None:
    """Calls by a geographic profile cost a tenth more than those by the global one."""
    regional = nano(book, "bedrock", "eu.anthropic.claude-sonnet-5-5", MILLION)
    assert (13_200_000_000, 12_000_000_000) == (
        regional,
        nano(book, "bedrock", "global.anthropic.claude-sonnet-5-5", MILLION),
    )


def test_cached_tokens_are_priced_by_their_lifetime(book: PriceBook) -> None:
    """Reads cost a tenth of the input, writes 1.25 times for five minutes and twice for an hour."""
    usage = Usage(
        input_tokens=1000,
        output_tokens=10,
        cache_read_tokens=100,
        cache_write_tokens=500,
        cache_write_tokens_by_ttl={"5m": 200, "1h": 300},
    )
    cost = book.cost("anthropic", "claude-opus-5", usage, when=NOW)
    assert {
        "input": 400 * 5000,
        "cache_read": 100 * 500,
        "cache_write": 200 * 6250,
        "cache_write_1h": 300 * 10000,
        "output": 10 * 25000,
    } == cost.breakdown
    assert cost.nano_dollars == sum(cost.breakdown.values())


def test_a_split_of_writes_is_enough(book: PriceBook) -> None:
    """Writes that are told only by lifetime count as well as those told in one sum."""
    split = Usage(input_tokens=100, output_tokens=0, cache_write_tokens_by_ttl={"30m": 60})
    summed = Usage(input_tokens=100, output_tokens=0, cache_write_tokens=60)
    assert nano(book, "openai", "gpt-6.1-sol", summed) == nano(book, "openai", "gpt-6.1-sol", split) == 230_000


@pytest.mark.parametrize(
    "usage",
    [
        UNKNOWN_USAGE,
        Usage(input_tokens=1, output_tokens=1, source="unknown"),
        Usage(total_tokens=10),
        Usage(input_tokens=10),
        Usage(output_tokens=10),
        Usage(input_tokens=10, output_tokens=1, cache_read_tokens=11),
        Usage(input_tokens=10, output_tokens=1, cache_write_tokens=1, cache_write_tokens_by_ttl={"5m": 2}),
        Usage(input_tokens=10, output_tokens=1, cache_write_tokens_by_ttl={"12h": 2}),
        Usage(input_tokens=10, output_tokens=1, provider_tool_requests={"code_execution": 1}),
        Usage(input_tokens=10, output_tokens=1, provider_tool_requests={"file_search": 1}),
    ],
    ids=str,
)
def test_what_was_used_must_be_known(book: PriceBook, usage: Usage) -> None:
    """Missing or contradictory counts, unknown lifetimes and unknown fees make the cost ``None``."""
    assert nano(book, "anthropic", "claude-opus-5", usage) is None


def test_cached_audio_is_not_guessed(book: PriceBook) -> None:
    """Nobody says how many of the cached tokens were audio, where both have prices of their own."""
    heard = Usage(input_tokens=100, output_tokens=0, input_audio_tokens=40)
    both = Usage(input_tokens=100, output_tokens=0, input_audio_tokens=40, cache_read_tokens=10)
    model = ("gemini", "gemini-2.5-flash")
    assert (60 * 300 + 40 * 1000, None) == (nano(book, *model, heard), nano(book, *model, both))


def test_images_and_audio_have_their_own_prices(book: PriceBook) -> None:
    """Image tokens of both directions are taken out of the whole and priced apart."""
    usage = Usage(input_tokens=100, output_tokens=50, input_image_tokens=30, output_image_tokens=20)
    assert 70 * 5000 + 30 * 8000 + 30 * 10000 + 20 * 32000 == nano(book, "openai", "gpt-image-1.5", usage)


def test_a_part_without_a_price_is_billed_as_the_whole(book: PriceBook) -> None:
    """Reasoning is output, and an image is input, where the price list does not set them apart."""
    usage = Usage(input_tokens=1000, output_tokens=100, reasoning_tokens=60, input_image_tokens=500)
    assert nano(book, "openai", "gpt-5.4") == nano(book, "openai", "gpt-5.4", usage)


def test_reasoning_has_its_own_price_where_it_is_billed_apart(book: PriceBook) -> None:
    """Perplexity's deep research by way of OpenRouter bills reasoning at another rate."""
    usage = Usage(input_tokens=0, output_tokens=100, reasoning_tokens=60)
    assert 40 * 8000 + 60 * 3000 == nano(book, "openrouter", "perplexity/sonar-deep-research", usage)


def test_searches_and_requests_are_billed_by_the_thousand(book: PriceBook) -> None:
    """A web search costs its fee, a fetch its tokens only, and Perplexity a fee a request."""
    searched = Usage(input_tokens=1000, output_tokens=100, provider_tool_requests={"web_search": 3, "web_fetch": 2})
    assert 3 * 10_000_000 + 7_500_000 == nano(book, "anthropic", "claude-opus-5", searched)
    assert 12_000_000 + 1_100_000 == nano(book, "perplexity", "sonar")


@pytest.mark.parametrize(("length", "rate"), [(272_000, 2500), (272_001, 5000)])
def test_a_long_input_raises_the_price_of_all_of_it(book: PriceBook, length: int, rate: int) -> None:
    """Above the threshold, and not at it, every token of the call costs more."""
    assert length * rate == nano(book, "openai", "gpt-5.4", Usage(input_tokens=length, output_tokens=0))


@pytest.mark.parametrize(
    ("tier", "batch", "expected"),
    [
        (None, False, 4_000_000),
        ("default", False, 4_000_000),
        ("auto", False, 4_000_000),
        ("flex", False, 2_000_000),
        ("ON_DEMAND_FLEX", False, 2_000_000),
        ("priority", False, 8_000_000),
        ("fast", False, 8_000_000),
        (None, True, 2_000_000),
        ("scale", False, None),
        ("ultrafast", False, None),
    ],
)
def test_a_service_tier_has_its_price_or_none(
    book: PriceBook, tier: str | None, batch: bool, expected: int | None
) -> None:
    """Batch, flex and priority cost what the data says; a tier that it does not know costs ``None``."""
    assert expected == nano(book, "openai", "gpt-5.4", service_tier=tier, batch=batch)
    usage = Usage(input_tokens=1000, output_tokens=100, service_tier=tier)
    assert expected == nano(book, "openai", "gpt-5.4", usage, batch=batch)


def test_a_vendors_batch_price_is_not_the_hosts(book: PriceBook) -> None:
    """Azure serves OpenAI's models at their price; what its batches cost is not concluded from theirs."""
    assert (4_000_000, None) == (nano(book, "azure", "gpt-5.4"), nano(book, "azure", "gpt-5.4", batch=True))


@pytest.mark.parametrize(("day", "expected"), [(datetime(2025, 6, 9), 14_000_000), (datetime(2025, 6, 10), 2_800_000)])
def test_a_price_holds_from_its_day_on(book: PriceBook, day: datetime, expected: int) -> None:
    """A call costs what its model cost on that day, in UTC; a moment without a zone is UTC."""
    assert expected == nano(book, "openai", "o3", when=day)
    western = day.replace(tzinfo=timezone.utc).astimezone(timezone(timedelta(hours=-8)))
    assert expected == nano(book, "openai", "o3", when=western)


def test_a_price_may_depend_on_the_time_of_day(book: PriceBook) -> None:
    """DeepSeek's busy hours cost more, and a reservation counts on them whenever it is made."""
    quiet, busy = (nano(book, "deepseek", "deepseek-v4-pro", when=NOW.replace(hour=hour)) for hour in (5, 2))
    assert quiet is not None
    assert busy is not None
    assert quiet < busy
    assert busy == book.worst_case("deepseek", "deepseek-v4-pro", 1000, 100, when=NOW.replace(hour=5))


def test_a_reservation_takes_the_dearest_price(book: PriceBook) -> None:
    """Input at the price of an hour's cache write, output at its own, at the tier of the input's length."""
    assert 1000 * 10_000 + 100 * 25_000 == book.worst_case("anthropic", "claude-opus-5", 1000, 100, when=NOW)
    assert 200_000 * 1000 + 2500 == book.worst_case("anthropic", "claude-haiku-5-5", 200_000, 1, when=NOW)
    assert book.worst_case("openai", "gpt-5.4", 10, 10, when=NOW, service_tier="scale") is None
    assert book.worst_case("openai", "text-embedding-3-small", 10, 10, when=NOW) is None


@given(
    whole=st.integers(0, 2_000_000),
    parts=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    output=st.integers(0, 200_000),
    tier=st.sampled_from([None, "flex", "priority", "batch"]),
    model=st.sampled_from(
        [
            ("openai", "gpt-6.1-sol"),
            ("anthropic", "claude-opus-5"),
            ("gemini", "gemini-2.5-flash"),
            ("perplexity", "sonar"),
            ("deepseek", "deepseek-v4-pro"),
            ("bedrock", "us.anthropic.claude-haiku-5-5"),
        ]
    ),
)
def test_no_call_costs_more_than_its_reservation(
    book: PriceBook, whole: int, parts: list[float], output: int, tier: str | None, model: tuple[str, str]
) -> None:
    """Whatever the tokens turn out to be, a cost is at most the worst case of its length; parts make up the whole."""
    read = int(whole * parts[0])
    written = int((whole - read) * parts[1])
    long = int(written * parts[2])
    usage = Usage(
        input_tokens=whole,
        output_tokens=output,
        cache_read_tokens=read,
        cache_write_tokens=written,
        cache_write_tokens_by_ttl={"5m": written - long, "1h": long},
        reasoning_tokens=int(output * parts[3]),
    )
    cost = book.cost(*model, usage, when=NOW, service_tier=tier, batch=tier == "batch")
    most = book.worst_case(*model, whole, output, when=NOW, service_tier=tier, batch=tier == "batch")
    if cost.nano_dollars is not None:
        assert most is not None
        assert cost.nano_dollars <= most
        assert cost.nano_dollars == sum(cost.breakdown.values())


@pytest.mark.parametrize(("tokens", "expected"), [(1, 0), (2, 1), (3, 2), (5, 2), (6, 3), (7, 4)])
def test_a_record_is_rounded_once_half_to_even(tokens: int, expected: int) -> None:
    """Half a nano-dollar goes to the even side, after everything is added up."""
    book = PriceBook({"m": {"input": Decimal("0.0005"), "output": Decimal("0.0005")}})
    assert expected == nano(book, "vllm", "m", Usage(input_tokens=tokens, output_tokens=0))
    halves = Usage(input_tokens=tokens, output_tokens=tokens)
    cost = book.cost("vllm", "m", halves, when=NOW)
    assert (tokens, tokens) == (cost.nano_dollars, sum(cost.breakdown.values()))
    assert tokens == book.worst_case("vllm", "m", tokens, tokens, when=NOW)


def test_a_cost_is_dollars_to_whoever_reads_it(book: PriceBook) -> None:
    """The same amount as a Decimal of US dollars, exact."""
    cost = book.cost("openai", "gpt-5.4", PLAIN, when=NOW)
    assert (Decimal("0.004"), 4_000_000, book.version) == (cost.dollars, cost.nano_dollars, cost.version)


def test_the_configuration_outranks_the_data() -> None:
    """Set prices replace the data's in every tier, the others stay; the cost says so."""
    book = PriceBook({"GPT-5.4": {"input": Decimal(1)}, "work/gpt-5.4": {"output": Decimal(2)}})
    assert 1000 * 1000 + 100 * 15_000 == nano(book, "openai", "gpt-5.4")
    assert 1000 * 1000 + 100 * 7_500 == nano(book, "openai", "gpt-5.4", batch=True)
    assert 1000 * 2500 + 100 * 2000 == nano(book, "openai", "gpt-5.4", provider="work")
    cost = book.cost("openai", "gpt-5.4", PLAIN, when=NOW)
    assert ("config", f"{book.version}+config") == (cost.source, cost.version)


def test_the_configuration_prices_what_nobody_else_does() -> None:
    """Local and custom models have the prices that somebody gives them; half a price is none."""
    prices = {"input": Decimal("0.1"), "output": Decimal("0.2")}
    book = PriceBook({"vllm/llama": prices, "ft:gpt-4o:me": prices, "half": {"input": Decimal(1)}})
    assert 120_000 == nano(book, "vllm", "llama") == nano(book, "openai", "ft:gpt-4o:me")
    assert nano(book, "lmstudio", "llama") is None
    assert nano(book, "vllm", "half") is None
    assert nano(book, "vllm", "half", service_tier="priority") is None


@pytest.mark.parametrize(
    "prices",
    [{"inputs": Decimal(1)}, {"input": Decimal(-1)}, {"input": Decimal("NaN")}, {"input": Decimal("1e-19")}],
)
def test_an_impossible_price_is_refused(prices: dict[str, Decimal]) -> None:
    """Unknown units, negative, infinite and too fine prices raise with a sentence."""
    with pytest.raises(ValueError, match="price"):
        PriceBook({"m": prices})


def test_names_are_remembered_within_bounds(book: PriceBook) -> None:
    """A caller that makes up names without end does not fill the memory."""
    limited = PriceBook()
    for number in range(4100):
        limited.find("ollama", f"model-{number}")
    assert 4 == len(limited._found)
    assert limited.find("openai", "gpt-5.4") is limited.find("openai", "gpt-5.4")


def numbers_in(value: Any) -> Iterator[Any]:
    """Every number anywhere in a value of JSON."""
    if isinstance(value, dict):
        for part in value.values():
            yield from numbers_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from numbers_in(part)
    elif isinstance(value, (int, float)):
        yield value


@pytest.mark.slow
def test_no_price_is_a_float() -> None:
    """Money is text in the data and integers in memory: no float in either, for any model."""
    data = json.loads((files("asyncllm._models") / "data" / "prices.json").read_text("utf-8"))
    assert [] == [number for number in numbers_in(data) if not isinstance(number, int)]
    for price in PriceBook().rows():
        rates = price.rates(NOW)
        assert rates is not None
        for rate in rates.values():
            assert {int} == {type(rate.base), *(type(amount) for _, amount in rate.tiers)}


def test_every_row_tells_where_it_is_from() -> None:
    """The data is dated, names its sources with versions, and each of its rows belongs to one."""
    data = json.loads((files("asyncllm._models") / "data" / "prices.json").read_text("utf-8"))
    told = {source for content in data["providers"].values() for source in content["sources"]}
    assert {"genai-prices", "retired"} == told == set(data["sources"])
    assert data["version"].startswith(data["date"])
    assert "vllm/x" in [row.model for row in PriceBook({"vllm/x": {"input": Decimal(1)}}).rows()]


def test_the_files_are_small() -> None:
    """Each data file stays below 400 KB."""
    folder = files("asyncllm._models") / "data"
    assert [] == [entry.name for entry in folder.rglob("*.json") if len(entry.read_bytes()) > 400_000]


def test_the_first_question_is_quick() -> None:
    """Reading the price file takes a few milliseconds, and importing the catalog reads nothing."""
    times = []
    for _ in range(5):
        start = time.process_time()
        PriceBook().load()
        times.append(time.process_time() - start)
    assert min(times) < 0.015 * slowness()


def test_importing_the_catalog_loads_nothing_heavy() -> None:
    """Neither pydantic nor an HTTP library is needed for a price."""
    code = (
        "import sys, asyncllm._models; print([n for n in ('pydantic', 'httpx', 'anyio', 'yaml') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout


@pytest.mark.parametrize(
    ("kind", "model", "usage", "reason"),
    [
        ("vllm", "llama", PLAIN, "llama of vllm has no known price"),
        ("openai", "gpt-5.4", UNKNOWN_USAGE, "the provider counted no tokens"),
        ("openai", "gpt-5.4", Usage(output_tokens=1), "the input was not counted"),
        ("openai", "gpt-5.4", Usage(input_tokens=1), "the output was not counted"),
        ("openai", "gpt-5.4", replace(PLAIN, service_tier="scale"), "gpt-5.4 has no known price in the tier 'scale'"),
        ("openai", "gpt-5.4", replace(PLAIN, cache_read_tokens=1001), "the counts of the input contradict each other"),
        (
            "openai",
            "gpt-5.4",
            replace(PLAIN, provider_tool_requests={"code_interpreter": 1}),
            "the fee of the provider's tool code_interpreter is not known",
        ),
        (
            "anthropic",
            "claude-opus-5",
            replace(PLAIN, region="mars"),
            "what 'mars' adds to the price of claude-opus-5 is not known",
        ),
        (
            "anthropic",
            "claude-opus-4-6",
            replace(PLAIN, speed="fast", service_tier="standard"),
            "claude-opus-4-6 has no known price in the tier 'fast'",
        ),
    ],
)
def test_an_unknown_cost_says_why(book: PriceBook, kind: str, model: str, usage: Usage, reason: str) -> None:
    """A cost that is not known has its reason beside it."""
    cost = book.cost(kind, model, usage, when=NOW)
    assert (None, None, reason) == (cost.nano_dollars, cost.dollars, cost.reason)


def test_fast_mode_has_its_own_price(book: PriceBook) -> None:
    """An answer that was served fast costs the fast price; at the standard speed it costs the usual one."""
    plain = value(nano(book, "anthropic", "claude-opus-5"))
    assert plain == nano(book, "anthropic", "claude-opus-5", replace(PLAIN, speed="standard"))
    assert plain * 2 == nano(book, "anthropic", "claude-opus-5", replace(PLAIN, speed="fast", service_tier="standard"))
    assert nano(book, "anthropic", "claude-opus-5", replace(PLAIN, speed="fast", service_tier="priority")) is None


@pytest.mark.parametrize(
    ("model", "searches", "fee"),
    [
        ("gemini-2.5-flash", 1, 35_000_000),
        ("gemini-2.5-flash", 3, 35_000_000),
        ("gemini-3.8-flash", 1, 14_000_000),
        ("gemini-3.8-flash", 3, 42_000_000),
    ],
)
def test_grounding_is_charged_by_the_prompt_or_by_the_search(
    book: PriceBook, model: str, searches: int, fee: int
) -> None:
    """Gemini 2 charges a prompt once, however often it searches; later models charge each search."""
    searched = replace(PLAIN, provider_tool_requests={"web_search": searches})
    assert value(nano(book, "gemini", model)) + fee == nano(book, "gemini", model, searched)


def test_what_the_provider_charged_is_the_cost(book: PriceBook) -> None:
    """A stated cost stands above every table, and needs no known price."""
    stated = replace(PLAIN, stated_cost=Decimal("0.00123"), provider_tool_requests={"code_interpreter": 1})
    for kind, model in (("openrouter", "nobody/knows"), ("anthropic", "claude-opus-5")):
        cost = book.cost(kind, model, stated, when=NOW)
        assert (1_230_000, "provider", None) == (cost.nano_dollars, cost.source, cost.reason)


def test_a_price_of_the_configuration_keeps_the_step_of_a_long_input() -> None:
    """Above the threshold of the data, the configuration's price rises in the proportion of the data."""
    book = PriceBook({"gemini-2.5-pro": {"input": Decimal(1), "output": Decimal(8)}})
    short, long = Usage(input_tokens=1000, output_tokens=100), Usage(input_tokens=300_000, output_tokens=100)
    assert 1000 * 1000 + 100 * 8000 == nano(book, "gemini", "gemini-2.5-pro", short)
    assert 300_000 * 2000 + 100 * 12_000 == nano(book, "gemini", "gemini-2.5-pro", long)
    assert 300_000 * 2000 <= value(book.worst_case("gemini", "gemini-2.5-pro", 300_000, 0, when=NOW))


def test_a_fee_of_the_configuration_makes_a_cost_known() -> None:
    """A tool whose fee the configuration names is billed by it, for a thousand requests."""
    book = PriceBook({"gpt-5.4": {"code_interpreter": Decimal(30)}})
    used = replace(PLAIN, provider_tool_requests={"code_interpreter": 2})
    assert value(nano(book, "openai", "gpt-5.4")) + 60_000_000 == nano(book, "openai", "gpt-5.4", used)


def test_a_deployment_costs_what_the_model_that_answered_costs(book: PriceBook) -> None:
    """On Azure the name of a deployment says nothing: the answer's model does, or ``priced_as``."""
    answered = "gpt-4o-2024-11-20"
    right = value(nano(book, "azure", "gpt-4o"))
    assert right == nano(book, "azure", "my-prod-chat", answered=answered)
    assert right == nano(book, "azure", "gpt-4o-mini", answered=answered)
    assert nano(book, "azure", "my-prod-chat") is None
    named = PriceBook(priced_as={"work": {"my-prod-chat": "gpt-4o"}})
    assert right == nano(named, "azure", "my-prod-chat", provider="work")
    assert right == nano(named, "azure", "my-prod-chat", provider="work", answered="gpt-4o-mini")
    assert right == nano(book, "azure", "gpt-4o", answered="gpt-4o-2024-11-20")
    assert value(named.worst_case("azure", "my-prod-chat", 1000, 100, when=NOW, provider="work")) >= right


def test_an_alias_costs_what_the_model_that_answered_costs(book: PriceBook) -> None:
    """A name without a price of its own is priced by the answer; a custom model never is."""
    right = nano(book, "openrouter", "anthropic/claude-opus-5")
    assert right == nano(book, "openrouter", "some/router", answered="anthropic/claude-opus-5")
    assert nano(book, "openai", "ft:gpt-4o:me", answered="gpt-4o") is None


def test_a_reservation_holds_the_fees_of_tools(book: PriceBook) -> None:
    """Requests of a provider's tools are in the worst case; a fee that is not known is taken at the dearest one."""
    plain = value(book.worst_case("openai", "gpt-5.4", 10, 10, when=NOW))
    most = book.worst_case("openai", "gpt-5.4", 10, 10, when=NOW, tools={"web_search": 3, "mcp": 5, "code": 2})
    assert plain + 3 * 10_000_000 + 2 * 35_000_000 == most
    assert 0 == book.worst_case("openrouter", "openai/gpt-oss-20b:free", 10, 10, when=NOW, tools={"code": 2})


def test_a_model_that_always_searches_has_the_fee_of_a_search(book: PriceBook) -> None:
    """Its answers do not say that it searched; the cost is unknown until the configuration has the fee."""
    own = PriceBook({"gpt-5-search-api": {"web_search": Decimal(10)}})

    assert book.cost("openai", "gpt-5-search-api", PLAIN, when=NOW).reason is not None
    assert own.cost("openai", "gpt-5-search-api", PLAIN, when=NOW).breakdown["web_search"] == 10_000_000
