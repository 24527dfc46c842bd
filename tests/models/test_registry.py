"""The registry: what was listed, what vanished, what is kept, and whose word each fact is."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from asyncllm._models import saved_models
from asyncllm._models.asker import Asker, Write
from asyncllm._models.catalog import Catalog
from asyncllm._models.lookup import FactBook
from asyncllm._models.prices import PriceBook
from asyncllm._providers.provider import Provider
from asyncllm.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DeadlineExceededError,
    PermissionDeniedError,
    ServerError,
    TransportError,
    UnsupportedError,
)
from asyncllm.testing import Fault, ListedModel, Simulator
from catalog_driver import MAIN, hosts, open_catalog

pytestmark = pytest.mark.anyio

THREE = ["m-one", "m-two", "m-three"]
TODAY = datetime.now(timezone.utc).date()


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)

    def __call__(self) -> float:
        return self.now.timestamp()


def files_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def names(catalog: Catalog, provider: str | None = None, **options: Any) -> list[str]:
    return [info.name for info in await catalog.models(provider, **options)]


async def test_nothing_is_known_and_nothing_asked_before_a_refresh() -> None:
    """A catalog is usable at once, and asks nobody by itself."""
    async with Simulator() as sim, open_catalog(hosts(sim)) as catalog:
        assert () == await catalog.models()
        assert not await catalog.is_deprecated("openai", "gpt-sim")
        assert catalog.registry.refreshed_at("openai") is None
        assert 0 == len(sim.requests)


@pytest.mark.slow
async def test_every_host_is_asked_and_lists_its_models() -> None:
    """One refresh asks all hosts; each list is complete, with what its API tells."""
    async with Simulator() as sim, open_catalog(hosts(sim)) as catalog:
        result = await catalog.refresh_models()
        assert result.ok and {} == dict(result.errors)
        assert list(MAIN) == list(result.hosts)
        assert dict.fromkeys(MAIN, 3) == {name: host.found for name, host in result.hosts.items()}
        assert 15 == len(await catalog.models())
        claude = await catalog.model("anthropic", "claude-sim")
        assert (1_000_000, 128_000) == (claude.context_window, claude.output_limit)
        assert ("api", "api") == (claude.sources["context_window"], claude.capabilities.sources["max_output_tokens"])
        assert result.at == claude.last_seen == catalog.registry.refreshed_at("anthropic")
        assert claude.created == datetime(2026, 6, 1, tzinfo=timezone.utc)


async def test_one_host_may_be_asked_alone() -> None:
    """A refresh of one provider leaves the others alone; an unknown one is a sentence."""
    async with Simulator() as sim, open_catalog(hosts(sim)) as catalog:
        assert ["gemini"] == list((await catalog.refresh_models("gemini")).hosts)
        assert {"gemini"} == {request.provider for request in sim.requests}
        with pytest.raises(ConfigurationError, match="no provider 'nope'"):
            await catalog.refresh_models("nope")
        with pytest.raises(ConfigurationError, match="no provider 'nope'"):
            await catalog.models("nope")


@pytest.mark.slow
@pytest.mark.parametrize("provider", MAIN)
async def test_long_lists_are_read_to_their_end(provider: str) -> None:
    """All pages of a host's list are read, however it cuts them."""
    many = {"bedrock": "us.a.m{}", "vertex": "gemini-{}"}.get(provider, "m{}")
    models = [many.format(number) for number in range(1203)]
    async with Simulator(models={provider: models}) as sim, open_catalog(hosts(sim, provider)) as catalog:
        assert 1203 == (await catalog.refresh_models()).hosts[provider].found


async def test_models_that_vanish_are_deprecated_and_come_back() -> None:
    """Three models, then two: the third is deprecated, kept, shown on demand; when it is there again, all is well."""
    clock = Clock()
    async with Simulator(models=THREE) as sim, open_catalog(hosts(sim, "openai"), now=clock) as catalog:
        first = await catalog.refresh_models()
        assert tuple(THREE) == first.hosts["openai"].added
        seen, clock.now = clock.now, clock.now + timedelta(days=1)
        sim.models = THREE[:2]
        second = await catalog.refresh_models()
        assert (2, (), ("m-three",)) == (
            second.hosts["openai"].found,
            second.hosts["openai"].added,
            second.hosts["openai"].vanished,
        )
        assert ["m-one", "m-two"] == await names(catalog)
        assert ["m-one", "m-three", "m-two"] == await names(catalog, include_deprecated=True)
        gone = await catalog.model("openai", "m-three")
        assert (True, clock.now, seen) == (gone.deprecated, gone.deprecated_since, gone.last_seen)
        assert ("api", "api") == (gone.sources["deprecated"], gone.sources["deprecated_since"])
        assert await catalog.is_deprecated("openai", "m-three")
        clock.now += timedelta(days=1)
        assert () == (await catalog.refresh_models()).hosts["openai"].vanished
        assert (await catalog.model("openai", "m-three")).deprecated_since == seen + timedelta(days=1)
        sim.models = THREE
        assert ("m-three",) == (await catalog.refresh_models()).hosts["openai"].added
        assert not await catalog.is_deprecated("openai", "m-three")


async def test_a_deprecated_model_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each use of a vanished or ending model warns the first time only; others never do."""
    old = ListedModel("m-old", retires=TODAY + timedelta(days=9))
    async with Simulator(models=[*THREE, old]) as sim, open_catalog(hosts(sim, "openai")) as catalog:
        catalog.use("openai", "openai", "m-three")
        await catalog.refresh_models()
        sim.models = [*THREE[:2], old]
        await catalog.refresh_models()
        with caplog.at_level(logging.WARNING, logger="asyncllm"):
            for _ in range(3):
                for model in ("m-one", "m-three", "m-old", "ft:m-three:a::b", "never-heard-of"):
                    catalog.use("openai", "openai", model)
            await catalog.refresh_models()
            catalog.use("openai", "openai", "m-three")
        gone = "openai no longer lists m-three: it may stop working"
        ending = f"openai has deprecated m-old, which ends on {old.retires}: choose another model"
        assert [gone, ending] == caplog.messages


async def test_lifecycles_are_read() -> None:
    """What an API says of the end of a model: announced, since when, and when it is over."""
    old = ListedModel("m-old", deprecated=TODAY - timedelta(days=5), retires=TODAY + timedelta(days=30))
    models = {"openai": [old], "anthropic": [old], "bedrock": [ListedModel("a.old", old.deprecated, old.retires)]}
    async with Simulator(models=models) as sim, open_catalog(hosts(sim, *models)) as catalog:
        await catalog.refresh_models()
        assert [] == await names(catalog)
        for info in await catalog.models(include_deprecated=True):
            assert info.deprecated
            assert info.retires_at is not None and old.retires == info.retires_at.date()
            since = info.deprecated_since
            assert (old.deprecated if info.provider != "openai" else None) == (since.date() if since else None)


async def test_a_model_is_over_on_its_day() -> None:
    """An end that no list calls a deprecation is one when the day has come."""
    clock = Clock()
    async with Simulator() as sim, open_catalog(hosts(sim, "openai"), now=clock) as catalog:
        await catalog.refresh_models()
        state = catalog.registry._states["openai"]
        record = state.records["gpt-sim"]
        ending = _ending(record, clock.now + timedelta(days=1))
        state.records["gpt-sim"] = ending
        assert not await catalog.is_deprecated("openai", "gpt-sim")
        clock.now += timedelta(days=2)
        assert await catalog.is_deprecated("openai", "gpt-sim")


def _ending(record: saved_models.SavedModel, when: datetime) -> saved_models.SavedModel:
    return replace(record, entry=replace(record.entry, deprecated=False, retires_at=when))


async def test_a_profile_ends_with_the_model_behind_it() -> None:
    """What Bedrock says of a model holds for the inference profile that stands for it."""
    behind = ListedModel("amazon.nova-old", deprecated=TODAY - timedelta(days=5))
    models = [behind, "us.amazon.nova-old"]
    async with Simulator(models={"bedrock": models}) as sim, open_catalog(hosts(sim, "bedrock")) as catalog:
        await catalog.refresh_models()
        profile = await catalog.model("bedrock", "us.amazon.nova-old")
        assert profile.deprecated
        assert profile.capabilities.images is True


async def test_models_of_one_s_own_are_never_listed() -> None:
    """Fine-tuned, tuned and custom models are in no list; named by a caller they pass through, unpriced."""
    models = {
        "openai": ["gpt-5.4", "ft:gpt-5.4:acme::abc"],
        "gemini": ["gemini-2.5-flash", "tunedModels/mine-1"],
        "bedrock": ["amazon.nova-pro-v1:0", ListedModel("arn:aws:bedrock:us-east-1:1:custom-model/x", base="a.b")],
    }
    async with Simulator(models=models) as sim, open_catalog(hosts(sim, *models)) as catalog:
        await catalog.refresh_models()
        everything = await catalog.models(include_deprecated=True)
        assert {"gpt-5.4", "gemini-2.5-flash", "amazon.nova-pro-v1:0"} == {info.name for info in everything}
        own = await catalog.model("openai", "ft:gpt-5.4:acme::abc")
        assert (None, None, None, False) == (own.input_price, own.context_window, own.last_seen, own.deprecated)


@pytest.mark.slow
async def test_one_failing_host_costs_the_others_nothing() -> None:
    """Each host that fails is reported with its error, keeps what was known of it, and the rest is refreshed."""
    async with Simulator(models=THREE) as sim:
        providers = hosts(sim)
        async with open_catalog(providers) as catalog:
            await catalog.refresh_models()
            sim.on("*", Fault.status(401), provider="openai", operation="models")
            sim.on("*", Fault.status(500), provider="gemini", operation="models")
            sim.on(
                "*",
                Fault.reset(),
                provider="bedrock",
                operation="models",
            )
            sim.models = THREE[:2]
            result = await catalog.refresh_models()
            assert not result.ok
            kinds = {name: type(error) for name, error in result.errors.items()}
            assert {"openai": AuthenticationError, "gemini": ServerError} == {
                name: kinds[name] for name in ("openai", "gemini")
            }
            assert issubclass(kinds["bedrock"], TransportError)
            assert ("m-three",) == result.hosts["anthropic"].vanished
            assert sorted(THREE) == await names(catalog, "openai")
            assert all(result.errors[name].provider == name for name in result.errors)


async def test_a_host_without_its_key_is_reported() -> None:
    """A provider whose key is missing is an error of its own in the result, not of the refresh."""
    async with Simulator() as sim:
        providers = hosts(sim, "openai", "gemini")

        class Missing(dict[str, Provider]):
            def __getitem__(self, name: str) -> Provider:
                if name == "openai":
                    raise ConfigurationError("providers.openai has no key")
                return super().__getitem__(name)

        async with open_catalog(Missing(providers)) as catalog:
            result = await catalog.refresh_models()
            assert ["openai", "gemini"] == list(result.hosts)
            assert isinstance(result.errors["openai"], ConfigurationError)
            assert 3 == result.hosts["gemini"].found
            assert 3 == len(await catalog.models())


async def test_a_list_that_is_read_in_part() -> None:
    """Where one of a host's lists fails, its models stay as they were, and the others are refreshed."""
    models = ["amazon.nova-a", "amazon.nova-b", "us.amazon.nova-a"]
    async with Simulator(models={"bedrock": models}) as sim, open_catalog(hosts(sim, "bedrock")) as catalog:
        await catalog.refresh_models()
        sim.models = {"bedrock": ["amazon.nova-a"]}

        class NoProfiles:
            """Refuses the profiles, as an account may be that lacks the right to list them."""

            def __init__(self, asker: Asker) -> None:
                self.asker = asker
                self.now = asker.now

            async def ask(self, provider: Provider, write: Write, **options: Any) -> Any:
                if "profiles" in write(None).path:  # type: ignore[arg-type]  # a list needs no way to a model
                    raise PermissionDeniedError("not allowed to list profiles")
                return await self.asker.ask(provider, write, **options)

        catalog.registry._asker = NoProfiles(catalog.registry._asker)  # type: ignore[assignment]
        host = (await catalog.refresh_models()).hosts["bedrock"]
        assert (("amazon.nova-b",), 1) == (host.vanished, len(host.errors))
        assert isinstance(host.errors[0], PermissionDeniedError)
        assert ["amazon.nova-a", "us.amazon.nova-a"] == await names(catalog)


async def test_a_host_that_does_not_answer_has_an_end() -> None:
    """A list that does not come within its time is an error of its host."""
    async with Simulator() as sim, open_catalog(hosts(sim, "openai")) as catalog:
        sim.behave("*", latency=5)
        result = await catalog.registry.refresh([catalog._provider_of("openai")], within=0.05)
        assert isinstance(result.errors["openai"], DeadlineExceededError)


async def test_a_host_without_a_list_says_so() -> None:
    """A provider of a user's own that has no listing is reported, with what to do."""
    async with Simulator() as sim:
        host = replace(hosts(sim, "openai")["openai"], listing=None)
        async with open_catalog({"openai": host}) as catalog:
            error = (await catalog.refresh_models()).errors["openai"]
            assert isinstance(error, UnsupportedError)
            assert "fallback_models" in error.message


# --- what each fact is from ----------------------------------------------------------------------------------------


async def test_facts_of_three_sources() -> None:
    """The API outranks the package's data, and the configuration outranks both; each fact says which it is."""
    capabilities = FactBook({"claude-sonnet-4-5": {"max_output_tokens": 1234}, "openai/gpt-5.4": {"tools": False}})
    prices = PriceBook({"openai/gpt-5.4": {"input": Decimal("1.5")}})
    models = {"openai": ["gpt-5.4"], "anthropic": ["claude-sonnet-4-5"]}
    async with (
        Simulator(models=models) as sim,
        open_catalog(hosts(sim, *models), capabilities=capabilities, prices=prices) as catalog,
    ):
        await catalog.refresh_models()
        claude = await catalog.model("anthropic", "claude-sonnet-4-5")
        assert (1_000_000, "api") == (claude.context_window, claude.sources["context_window"])
        assert (1234, "config") == (claude.output_limit, claude.sources["output_limit"])
        assert (True, "catalog") == (claude.capabilities.tools, claude.capabilities.sources["tools"])
        gpt = await catalog.model("openai", "gpt-5.4")
        assert (False, "config") == (gpt.capabilities.tools, gpt.capabilities.sources["tools"])
        assert (Decimal("1.5"), "config") == (gpt.input_price, gpt.sources["input_price"])
        assert gpt.output_price is not None and "catalog" == gpt.sources["output_price"]
        assert (1_050_000, "catalog") == (gpt.context_window, gpt.sources["context_window"])
        assert 1_000_000 == catalog.facts("anthropic", "anthropic", "claude-sonnet-4-5").context_window
        assert catalog.facts("openai", "openai", "nobody-knows").context_window is None


async def test_the_package_s_data_knows_of_ends_that_no_api_tells() -> None:
    """Where a provider says nothing of a model's end, the package's dates count; where it does, they do not."""
    async with Simulator(models={"gemini": ["gemini-2.5-pro-preview-tts"]}) as sim, open_catalog(hosts(sim)) as catalog:
        await catalog.refresh_models("gemini")
        told = await catalog.model("gemini", "gemini-2.5-pro-preview-tts")
        assert told.deprecated and told.retires_at is not None
        assert ("catalog", "catalog") == (told.sources["deprecated"], told.sources["retires_at"])


async def test_models_by_capability() -> None:
    """Only those known to have it; an unknown word is a sentence."""
    capabilities = FactBook({"gpt-sim": {"tools": True, "images": True}, "gpt-sim-mini": {"tools": False}})
    async with Simulator() as sim, open_catalog(hosts(sim, "openai"), capabilities=capabilities) as catalog:
        await catalog.refresh_models()
        assert ["gpt-sim"] == await names(catalog, capability="tools")
        assert ["gpt-sim"] == await names(catalog, capability="vision")
        assert [] == await names(catalog, capability="video")
        with pytest.raises(BadRequestError, match="no capability 'telepathy'"):
            await catalog.models(capability="telepathy")


async def test_another_spelling_is_the_same_model() -> None:
    """A resource name, an ARN or an alias finds the record of its model."""
    async with Simulator() as sim, open_catalog(hosts(sim, "gemini")) as catalog:
        await catalog.refresh_models()
        assert (await catalog.model("gemini", "models/gemini-sim")).last_seen is not None
        assert (await catalog.model("gemini", "gemini-other")).last_seen is None


# --- between runs --------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_restart_needs_no_call(tmp_path: Path) -> None:
    """What was listed, what vanished and what was proved is there again in the next run, to the second."""
    path = tmp_path / "cache" / "models.json"
    async with Simulator(models=THREE) as sim:
        async with open_catalog(hosts(sim), path=path) as catalog:
            await catalog.refresh_models()
            sim.models = THREE[:2]
            await catalog.refresh_models()
            assert (await catalog.validate_model("openai", "m-one")).usable
            before = await catalog.models(include_deprecated=True)
        sim.reset()
        async with open_catalog(hosts(sim), path=path) as catalog:
            assert before == await catalog.models(include_deprecated=True)
            assert (await catalog.model("openai", "m-one")).last_validated is not None
            assert await catalog.is_deprecated("openai", "m-three")
            assert 0 == len(sim.requests)
        assert "sk-sim" not in path.read_text(encoding="utf8")
        assert [path.name] == files_in(path.parent)


async def test_an_entry_that_means_another_server_starts_anew(tmp_path: Path) -> None:
    """What was kept under a name is not the list of another server under the same name."""
    path = tmp_path / "models.json"
    async with Simulator() as first, Simulator() as second:
        async with open_catalog(hosts(first, "openai"), path=path) as catalog:
            await catalog.refresh_models()
        async with open_catalog(hosts(second, "openai"), path=path) as catalog:
            assert () == await catalog.models()
            assert 3 == (await catalog.refresh_models()).hosts["openai"].found


async def test_two_processes_keep_each_other_s_lists(tmp_path: Path) -> None:
    """A refresh replaces its own providers in the file and leaves the others."""
    path = tmp_path / "models.json"
    async with Simulator() as sim:
        for name in ("openai", "gemini"):
            async with open_catalog(hosts(sim, name), path=path) as catalog:
                await catalog.refresh_models()
        assert {"openai", "gemini"} == json.loads(path.read_text(encoding="utf8"))["providers"].keys()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 9}', '{"version": 1, "providers": {"a": {}}}', "[" * 9000]
)
async def test_a_broken_file_is_left_aside(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """A file that cannot be read is a warning, and is replaced by the next refresh."""
    path = tmp_path / "models.json"
    path.write_text(text, encoding="utf8")
    async with Simulator() as sim, open_catalog(hosts(sim, "openai"), path=path) as catalog:
        assert () == await catalog.models()
        assert ["WARNING"] == [record.levelname for record in caplog.records]
        await catalog.refresh_models()
        assert {"openai"} == saved_models.read(path).keys()


async def test_a_place_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A refresh whose file cannot be written is a refresh all the same."""
    path = tmp_path / "models.json"
    path.mkdir()
    async with Simulator() as sim, open_catalog(hosts(sim, "openai"), path=path) as catalog:
        assert 3 == (await catalog.refresh_models()).hosts["openai"].found
        assert any("cannot be kept" in record.message for record in caplog.records)
        assert [path.name] == files_in(tmp_path)


@pytest.mark.slow
async def test_five_hosts_at_300_ms_take_half_a_second() -> None:
    """Hosts are asked at once, and so are the lists of a host: the whole takes as long as one answer."""
    async with Simulator() as sim, open_catalog(hosts(sim)) as catalog:
        await catalog.load()
        sim.behave("*", latency=0.3)
        took = []
        for _ in range(3):  # the best of three: a machine that is busy elsewhere is not measured
            began = time.monotonic()
            assert (await catalog.refresh_models()).ok
            took.append(time.monotonic() - began)
        assert 0.3 <= min(took) <= 0.5


def test_dates_of_a_record_survive_the_file(tmp_path: Path) -> None:
    """Every field of a record comes back as it was written."""
    when = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
    entry = saved_models.ModelEntry(
        name="m",
        aliases=("n",),
        behind="b",
        created=when,
        deprecated=False,
        deprecated_since=when,
        retires_at=when,
        chat=True,
        facts={"tools": True, "context_window": 5},
    )
    record = saved_models.SavedModel(entry=entry, chain="/models", last_seen=when, gone_since=when)
    state = saved_models.HostState(
        identity="i", kind="k", refreshed_at=when, records={"m": record}, validated={"m": when}
    )
    path = tmp_path / "models.json"
    saved_models.write(path, {"p": saved_models.plain(state)})
    assert {"p": state} == saved_models.read(path)
    assert date(2026, 1, 2) == when.date()
