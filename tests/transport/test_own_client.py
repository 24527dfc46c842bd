"""A client of the user's own, and other people's mocks."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from loopback import Peer, Spawner, Visit, answer, ask, chunk, chunked, hello, opened, serving

from asyncllm._transport.own_client import ClientTransport
from asyncllm.errors import ConnectionLostError, IdleTimeoutError, ProtocolError, ResponseTooLargeError

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["httpx", "httpx2"])
def module(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


async def test_the_clients_pool_and_headers_are_used(module: Any) -> None:
    """Default headers of the client hold, ours win over them, and its connections are used again."""
    async with (
        serving(hello) as server,
        module.AsyncClient(headers={"x-team": "red", "x-api-key": "theirs"}, auth=("a", "b")) as client,
    ):
        transport = ClientTransport(client, spawn=Spawner())
        for _ in range(3):
            reply = await transport.send(ask(server.url, b"body"))
        assert (200, b"hello", 1) == (reply.status, reply.body, server.connections)
        head = server.visits[0].head
        assert (True, False, False) == (b"x-team: red" in head, b"theirs" in head, b"Basic" in head)
        await transport.aclose()
        assert not client.is_closed


async def test_redirects_are_left_alone(module: Any) -> None:
    """A client that follows redirects does not do so for us."""

    async def script(peer: Peer, visit: Visit) -> None:
        await peer.send(answer(b"", "location: /elsewhere", status="302 Found"))

    async with serving(script) as server, module.AsyncClient(follow_redirects=True) as client:
        reply = await ClientTransport(client, spawn=Spawner()).send(ask(server.url))
        assert (302, 1) == (reply.status, len(server.visits))


async def test_streams_are_read_released_and_aborted(module: Any) -> None:
    """The three ways to end a stream leave the client with no connection in use."""

    async def script(peer: Peer, visit: Visit) -> None:
        await peer.send(chunked() + chunk(b"first"))
        if visit.body == b"hang":
            await peer.hang()
        await peer.send(chunk(b"") if visit.body == b"end" else chunk(b"second") + chunk(b""))

    limits = module.Limits(max_connections=1)
    async with serving(script) as server, module.AsyncClient(limits=limits, timeout=2) as client:
        transport = ClientTransport(client, spawn=Spawner())
        exchange = await transport.stream(ask(server.url, b"end"))
        assert [b"first", None] == [await exchange.receive(), await exchange.receive()]
        exchange = await transport.stream(ask(server.url))
        await exchange.receive()
        exchange.release()
        await anyio.sleep(0.02)
        exchange = await transport.stream(ask(server.url, b"hang"))
        await exchange.receive()
        exchange.abort()
        with pytest.raises(ConnectionLostError):
            await exchange.receive()
        await anyio.sleep(0.02)
        exchange = await transport.stream(ask(server.url, b"hang"))
        await transport.aclose()
        await anyio.sleep(0.02)
        assert b"firstsecond" == (await transport.send(ask(server.url))).body
        assert 3 == server.connections
        transport.forget()


async def test_failures_are_ours(module: Any) -> None:
    """What goes wrong in the client is one of our errors without a foreign cause."""

    async def script(peer: Peer, visit: Visit) -> bool:
        if visit.body == b"hang":
            await peer.hang()
        return False

    async with serving(script) as server, module.AsyncClient() as client:
        transport = ClientTransport(client, spawn=Spawner())
        with pytest.raises(ConnectionLostError) as caught:
            await transport.send(ask(server.url))
        assert (None, None) == (caught.value.__cause__, caught.value.__context__)
        with pytest.raises(IdleTimeoutError):
            await transport.send(ask(server.url, b"hang", head_timeout=0.02))


async def test_a_mock_transport_answers(module: Any) -> None:
    """A client over a mock needs no network; the limits hold for it too, and its own exceptions pass."""

    def handler(request: Any) -> Any:
        if request.content == b"bug":
            raise AssertionError("the mock's own complaint")
        encoding = {"content-encoding": "br"} if request.content == b"br" else {}
        return module.Response(201, stream=module.ByteStream(b"x" * 100), headers=encoding)

    async with module.AsyncClient(transport=module.MockTransport(handler)) as client:
        transport = ClientTransport(client, spawn=Spawner())
        assert 201 == (await transport.send(ask("http://mock/"))).status
        with pytest.raises(ResponseTooLargeError):
            await transport.send(ask("http://mock/", max_body=99))
        with pytest.raises(ProtocolError):
            await transport.send(ask("http://mock/", b"br"))
        with pytest.raises(AssertionError, match="complaint"):
            await transport.send(ask("http://mock/", b"bug"))


async def test_respx_sees_our_traffic() -> None:
    """Respx answers for the default library, whole and streamed, and what it does not know fails as it says."""
    respx = pytest.importorskip("respx")
    async with opened() as transport:
        with respx.mock(assert_all_called=True) as router:
            route = router.post("https://api.example.com/v1").respond(200, json={"ok": True})
            for _ in range(2):
                assert b'{"ok":true}' == (await transport.send(ask("https://api.example.com/v1", b"hi"))).body
            exchange = await transport.stream(ask("https://api.example.com/v1"))
            assert b'{"ok":true}' == await exchange.receive()
            exchange.release()
            assert b"hi" == route.calls[0].request.content
            with pytest.raises(AssertionError, match="not mocked"):
                await transport.send(ask("https://api.example.com/v2"))
