"""Files at the provider: uploaded once, used as parts where they are, listed, deleted."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

import asyncllm
from asyncllm import Message, SyncClient, errors
from asyncllm.testing import Fault, Simulator
from clients import OpenClient

pytestmark = pytest.mark.anyio
PDF = b"%PDF-1.4\n" + b"a page of text\n" * 50
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
HOSTS = ["openai", "anthropic", "gemini"]


def named(body: Any) -> str:
    """The body of a request as text."""
    return str(body)


@pytest.mark.parametrize("provider", HOSTS)
async def test_an_uploaded_file_is_a_part(provider: str, open_client: OpenClient, tmp_path: Path) -> None:
    """The content arrives as it is, and a message names it by the host's id, as a part or as the file itself."""
    path = tmp_path / "report.pdf"
    path.write_bytes(PDF)
    async with Simulator() as sim, open_client(sim) as client:
        file = await client.upload(path, provider=provider)
        (stored,) = sim.files.values()
        for said in ([Message.user("Sum it up.", file)], [{"role": "user", "content": ["Sum it up.", file]}]):
            reply = await client.send(said, provider=provider)
            assert reply.text
            assert file.id in named(sim.requests[-1].body)
        rows = await client.ledger.report(by=["operation"], where={"operation": "file"})
    assert (PDF, "application/pdf") == (stored.data, stored.kind)
    assert (provider, "application/pdf", len(PDF)) == (file.provider, file.media_type, file.size)
    assert hashlib.sha256(PDF).hexdigest() == file.sha256
    assert not file.reused
    assert file.created is not None
    assert [0] == [row.cost for row in rows]


@pytest.mark.parametrize("provider", HOSTS)
async def test_the_same_content_is_uploaded_once(provider: str, open_client: OpenClient, tmp_path: Path) -> None:
    """Another client, another name of the path: the content is found at the host by its hash."""
    for name in ("one.pdf", "two.pdf"):
        (tmp_path / name).write_bytes(PDF)
    async with Simulator() as sim:
        async with open_client(sim) as client:
            first = await client.upload(tmp_path / "one.pdf", provider=provider)
            other = await client.upload(b"%PDF-other", name="one.pdf", provider=provider)
        async with open_client(sim) as client:
            again = await client.upload(tmp_path / "one.pdf", provider=provider)
            renamed = await client.upload(tmp_path / "two.pdf", provider=provider)
        assert 2 == len(sim.files)
    assert first.id == again.id == renamed.id != other.id
    assert (False, True, True) == (first.reused, again.reused, renamed.reused)


@pytest.mark.parametrize("provider", HOSTS)
async def test_files_are_listed_and_deleted(provider: str, open_client: OpenClient) -> None:
    """The list has every file; a deleted one is gone, and to delete it again is an error."""
    async with Simulator() as sim, open_client(sim) as client:
        one = await client.upload(PDF, name="one.pdf", provider=provider)
        two = await client.upload(PNG, name="two.png", provider=provider)
        assert {one.id, two.id} == {file.id for file in await client.files(provider)}
        await client.delete_file(one)
        await client.delete_file(two.id, provider=provider)
        assert () == await client.files(provider)
        with pytest.raises(errors.AsyncLLMError):
            await client.delete_file(one)


@pytest.mark.parametrize("provider", HOSTS)
async def test_a_file_that_is_not_there_says_nothing_of_the_model(provider: str, open_client: OpenClient) -> None:
    """Deleting a file that the host does not have raises NotFoundError, and no model is kept away for it."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.NotFoundError) as caught:
            await client.delete_file("file-unknown", provider=provider)
        assert not isinstance(caught.value, errors.ModelNotFoundError)
        assert (await client.send("Hi", provider=provider)).text


async def test_a_file_of_another_host_is_refused_before_it_is_sent(open_client: OpenClient) -> None:
    """What one host stores, no other host is told of; the error says what to do."""
    async with Simulator() as sim, open_client(sim) as client:
        files = {provider: await client.upload(PDF, name="a.pdf", provider=provider) for provider in HOSTS}
        sent = len(sim.requests)
        for provider in (*HOSTS, "bedrock"):
            for owner, file in files.items():
                if owner != provider:
                    with pytest.raises(errors.UnsupportedContentError):
                        await client.send([Message.user("Sum it up.", file)], provider=provider, fallback=[])
        assert sent == len(sim.requests)
        with pytest.raises(errors.UnsupportedContentError, match="upload it to anthropic"):
            await client.send([Message.user("Sum it up.", files["openai"])], provider="anthropic", fallback=[])


async def test_pictures_are_pictures(open_client: OpenClient) -> None:
    """A picture goes as one where the wire names pictures by id."""
    async with Simulator() as sim, open_client(sim) as client:
        for provider in ("anthropic", "gemini"):
            file = await client.upload(PNG, name="cat.png", provider=provider)
            assert "image/png" == file.media_type
            await client.send([Message.user("What is it?", file)], provider=provider)
        asked = [named(request.body) for request in sim.requests if request.operation == "generate"]
        assert "'type': 'image'" in asked[0]
        assert "image/png" in asked[1]


@pytest.mark.parametrize("provider", HOSTS)
@pytest.mark.parametrize("after", [None, 1], ids=["before the host had it", "after it was stored"])
async def test_an_upload_is_never_repeated_blindly(provider: str, after: int | None, open_client: OpenClient) -> None:
    """Where the connection breaks, the file is looked for before it is sent again: it is there once."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault.cut(after_events=after, times=1), provider=provider, operation="file.create")
        file = await client.upload(PDF, name="a.pdf", provider=provider)
        assert [file.id.removeprefix("files/")] == list(sim.files)


async def test_a_rate_limit_is_waited_out(open_client: OpenClient) -> None:
    """A 429 stored nothing, so the upload is sent again."""
    async with Simulator() as sim, open_client(sim) as client:
        sim.on("*", Fault.status(429, retry_after=0.05, times=2), operation="file.create")
        await client.upload(PDF, name="a.pdf")
        assert 1 == len(sim.files)


@pytest.mark.parametrize(
    ("source", "said", "sentence"),
    [
        ("/nowhere/at/all.pdf", {}, "cannot be read"),
        (b"", {"name": "a.txt"}, "is empty"),
        (b"text", {}, "needs a name"),
        (7, {}, "takes a path or bytes"),
    ],
)
async def test_what_is_wrong_is_said_before_anything_is_sent(
    source: Any, said: dict[str, Any], sentence: str, open_client: OpenClient
) -> None:
    """A file that cannot be uploaded is refused by a sentence."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.BadRequestError, match=sentence):
            await client.upload(source, **said)
        assert 0 == len(sim.requests)


async def test_a_host_without_files_says_so(open_client: OpenClient) -> None:
    """Nothing is sent to a host that stores no files."""
    async with Simulator() as sim, open_client(sim) as client:
        with pytest.raises(errors.UnsupportedByProviderError, match="bedrock"):
            await client.upload(PDF, name="a.pdf", provider="bedrock")
        assert 0 == len(sim.requests)


def test_the_blocking_client_uploads(tmp_path: Path) -> None:
    """The same verbs, without async."""
    (tmp_path / "a.pdf").write_bytes(PDF)
    with Simulator.in_thread() as sim, SyncClient(sim.config(), environ={}) as client:
        file = client.upload(tmp_path / "a.pdf")
        assert isinstance(file, asyncllm.File)
        assert [file.id] == [one.id for one in client.files()]
        client.delete_file(file)
        assert () == client.files()
