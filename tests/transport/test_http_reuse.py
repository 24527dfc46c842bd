"""Connections: which are used again, which are not, and what becomes of the others."""

from __future__ import annotations

import importlib.util
import sys

import anyio
import pytest
from loopback import Peer, Spawner, Visit, answer, ask, chunk, chunked, close_waits, hello, opened, serving, until

from asyncllm._config.rules import SecretStr
from asyncllm._config.sections import HTTPSettings
from asyncllm._transport.http import HTTPTransport
from asyncllm.errors import ClientStateError, ConfigurationError, ConnectionLostError, WriteTimeoutError

pytestmark = pytest.mark.anyio


async def test_one_connection_serves_calls_in_sequence(library: str) -> None:
    """Calls that follow each other travel over one connection."""
    async with serving(hello) as server, opened(library) as transport:
        for _ in range(5):
            reply = await transport.send(ask(server.url, b"question"))
        assert (200, b"hello") == (reply.status, reply.body)
        assert (1, 5) == (server.connections, len(server.visits))
        assert b"question" == server.visits[-1].body


async def test_the_request_on_the_wire_is_exactly_ours(library: str) -> None:
    """No header is sent that was not asked for, and the answer's headers are joined under lower-case names."""

    async def script(peer: Peer, visit: Visit) -> None:
        await peer.send(answer(b"", "X-Two: 1", "x-two: 2", "Set-Cookie: a=b"))

    async with serving(script) as server, opened(library) as transport:
        for _ in range(2):
            reply = await transport.send(ask(server.url))
    names = [line.split(b":")[0].lower() for line in server.visits[1].head.split(b"\r\n")[1:]]
    expected = [b"accept-encoding", b"authorization", b"connection", b"content-length", b"content-type", b"host"]
    assert [*expected, b"x-api-key"] == sorted(names)
    assert b"accept-encoding: gzip, deflate\r\n" in server.visits[0].head.lower()
    assert "1, 2" == reply.headers["x-two"]


async def test_a_get_has_no_body_and_no_length(library: str) -> None:
    """A request without a body announces none."""
    async with serving(hello) as server, opened(library) as transport:
        await transport.send(ask(server.url, b"", method="GET"))
    assert b"content-length" not in server.visits[0].head.lower()


async def test_a_large_body_arrives_whole(library: str) -> None:
    """A body of several blocks arrives as it was."""
    body = bytes(range(256)) * 8192
    async with serving(hello) as server, opened(library) as transport:
        await transport.send(ask(server.url, body))
    assert body == server.visits[0].body


async def test_the_connection_used_last_is_used_next(library: str) -> None:
    """Idle connections form a stack."""
    async with serving(hello) as server, opened(library) as transport:
        first = await transport.stream(ask(server.url))
        second = await transport.stream(ask(server.url))
        for exchange in (first, second):
            while await exchange.receive():
                pass
        await transport.send(ask(server.url))
        assert [1, 2, 2] == [visit.connection for visit in server.visits]


async def test_the_end_of_a_body_frees_the_connection_at_once(library: str) -> None:
    """After ``receive`` has said None, the next call uses the same connection, and ``release`` changes nothing."""
    async with serving(hello) as server, opened(library) as transport:
        for _ in range(3):
            exchange = await transport.stream(ask(server.url))
            assert [b"hello", None, None] == [await exchange.receive() for _ in range(3)]
            exchange.release()
            exchange.abort()
        assert 1 == server.connections


async def test_a_release_shortly_before_the_end_keeps_the_connection(library: str) -> None:
    """The rest of a body that ends within the drain's bounds is read in the background."""

    async def script(peer: Peer, visit: Visit) -> None:
        await peer.send(chunked() + chunk(b"data: [DONE]\n\n"))
        await anyio.sleep(0.01)
        await peer.send(chunk(b"tail") + chunk(b""))

    async with serving(script) as server, opened(library) as transport:
        for _ in range(2):
            exchange = await transport.stream(ask(server.url))
            assert b"data: [DONE]\n\n" == await exchange.receive()
            exchange.release()
            await anyio.sleep(0.03)
        assert 1 == server.connections


@pytest.mark.parametrize("tail", [b"", b"x" * 200_000])
async def test_a_release_far_from_the_end_closes_the_connection(library: str, tail: bytes) -> None:
    """A body that goes on for longer, or is larger, than the drain's bounds costs its connection."""

    async def script(peer: Peer, visit: Visit) -> None:
        await peer.send(chunked() + chunk(b"first"))
        if tail:
            await peer.send(chunk(tail))
        await anyio.sleep(0.2)
        await peer.send(chunk(b"late"))

    async with serving(script) as server, opened(library, max_connections=1) as transport:
        exchange = await transport.stream(ask(server.url))
        await exchange.receive()
        exchange.release()
        with pytest.raises(ConnectionLostError):
            await exchange.receive()
        await (await transport.stream(ask(server.url))).receive()
        assert 2 == server.connections


async def test_an_answer_that_closes_is_not_reused(library: str) -> None:
    """``connection: close`` is obeyed, with and without a release before the end."""

    async def script(peer: Peer, visit: Visit) -> bool:
        await peer.send(answer(b"bye", "connection: close"))
        return False

    async with serving(script) as server, opened(library) as transport:
        for expected in (1, 2):
            assert b"bye" == (await transport.send(ask(server.url))).body
            assert expected == server.connections
        (await transport.stream(ask(server.url))).release()
        await transport.send(ask(server.url))
        assert 4 == server.connections


async def test_redirects_are_not_followed(library: str) -> None:
    """A redirect is an answer like any other: keys do not travel with it."""

    async def script(peer: Peer, visit: Visit) -> None:
        await peer.send(answer(b"", "location: /elsewhere", status="307 Temporary Redirect"))

    async with serving(script) as server, opened(library) as transport:
        reply = await transport.send(ask(server.url))
        assert (307, "/elsewhere", 1) == (reply.status, reply.headers["location"], len(server.visits))


async def test_a_stale_connection_is_replaced_once(library: str) -> None:
    """A reused connection that dies before it answers is replaced at once, and the caller is told of the second try."""
    dead = set()

    async def script(peer: Peer, visit: Visit) -> bool:
        if peer.number in dead:
            return False
        dead.add(peer.number)
        await peer.send(answer())
        return True

    tries = []
    async with serving(script) as server, opened(library) as transport:
        for _ in range(2):
            assert b"hello" == (await transport.send(ask(server.url, on_reconnect=lambda: tries.append(1)))).body
        assert (2, 3, [1]) == (server.connections, len(server.visits), tries)


async def test_a_fresh_connection_that_dies_is_an_error(library: str) -> None:
    """A connection lost at its first request is not tried again here."""

    async def script(peer: Peer, visit: Visit) -> bool:
        return False

    async with serving(script) as server, opened(library) as transport:
        with pytest.raises(ConnectionLostError) as caught:
            await transport.send(ask(server.url))
        assert not isinstance(caught.value, WriteTimeoutError)
        assert 1 == server.connections


async def test_the_second_try_can_fail_too(library: str) -> None:
    """There is one replacement, not two."""

    async def script(peer: Peer, visit: Visit) -> bool:
        if len(server.visits) > 1:
            return False
        await peer.send(answer())
        return True

    async with serving(script) as server, opened(library, max_connections=1) as transport:
        await transport.send(ask(server.url))
        with pytest.raises(ConnectionLostError):
            await transport.send(ask(server.url))
        assert 3 == len(server.visits)
        server.script = hello
        assert b"hello" == (await transport.send(ask(server.url))).body


async def test_a_connection_closed_while_idle_is_noticed(library: str) -> None:
    """A connection that the server closed in the meantime is not used, nor does that count as a second try."""

    async def script(peer: Peer, visit: Visit) -> bool:
        await peer.send(answer())
        return False

    tries = []
    async with serving(script) as server, opened(library) as transport:
        for _ in range(2):
            await transport.send(ask(server.url, on_reconnect=lambda: tries.append(1)))
            await anyio.sleep(0.02)
        assert (2, []) == (server.connections, tries)


async def test_idle_connections_are_closed_by_the_timer(library: str) -> None:
    """An idle connection is closed after its keep-alive without anybody calling."""
    async with serving(hello) as server, opened(library, keepalive=0.04) as transport:
        await transport.send(ask(server.url))
        assert 1 == server.open
        await until(lambda: server.open == 0)
        await transport.send(ask(server.url))
        assert 2 == server.connections


async def test_only_so_many_connections_stay_idle(library: str) -> None:
    """Connections beyond ``idle_connections`` are closed when they come back."""
    async with serving(hello) as server, opened(library, idle_connections=2) as transport:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(transport.send, ask(server.url))
        assert 5 == server.connections
        await until(lambda: server.open == 2)


async def test_no_connection_grows_older_than_max_age(library: str) -> None:
    """A connection past its age is closed on its return."""
    async with serving(hello) as server, opened(library, max_age=0.0) as transport:
        for _ in range(2):
            await transport.send(ask(server.url))
        assert 2 == server.connections
        await until(lambda: server.open == 0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/net/tcp")
async def test_no_socket_stays_in_close_wait(library: str) -> None:
    """A connection that the server closed while it was idle is closed here too, by the timer."""

    async def script(peer: Peer, visit: Visit) -> bool:
        await peer.send(answer())
        return False

    async with serving(script) as server, opened(library, keepalive=0.1) as transport:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(transport.send, ask(server.url))
        await until(lambda: close_waits(server.port) == 0 and server.open == 0)


async def test_requests_over_the_limit_wait_their_turn(library: str) -> None:
    """With one connection, calls are served one by one in the order in which they came."""

    async def script(peer: Peer, visit: Visit) -> None:
        await anyio.sleep(0.005)
        await peer.send(answer())

    async with serving(script) as server, opened(library, max_connections=1) as transport:
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(transport.send, ask(server.url, b"%d" % number))
                await anyio.sleep(0.002)  # trio starts tasks in any order
        assert (1, [b"%d" % n for n in range(6)]) == (server.connections, [visit.body for visit in server.visits])


async def test_a_closed_transport_says_so(library: str) -> None:
    """After ``aclose`` every connection is closed and a call is refused."""
    async with serving(hello) as server:
        async with opened(library) as transport:
            await transport.send(ask(server.url))
            exchange = await transport.stream(ask(server.url))
        await transport.aclose()
        await until(lambda: server.open == 0)
        with pytest.raises(ConnectionLostError):
            await exchange.receive()
        with pytest.raises(ClientStateError):
            await transport.send(ask(server.url))


async def test_a_call_under_way_ends_when_the_transport_closes(library: str) -> None:
    """A call that waits for its answer, or for its turn, while the transport is closed fails at once."""
    failures = []

    async def script(peer: Peer, visit: Visit) -> None:
        await peer.hang()

    async def call() -> None:
        try:
            await transport.send(ask(server.url))
        except (ClientStateError, ConnectionLostError) as error:
            failures.append(error)

    with anyio.fail_after(10):
        async with serving(script) as server, opened(library, max_connections=1) as transport:
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(call)
                await until(lambda: len(server.visits) == 1)
                await transport.aclose()
            assert 3 == len(failures)
            await until(lambda: server.open == 0)


async def test_a_stream_read_to_its_end_after_closing_is_not_kept(library: str) -> None:
    """A connection that comes back to a closed transport is closed."""
    async with serving(hello) as server, opened(library) as transport:
        exchange = await transport.stream(ask(server.url))
        transport._closed = True
        assert [b"hello", None] == [await exchange.receive(), await exchange.receive()]
        await until(lambda: server.open == 0)


async def test_many_addresses_are_remembered_only_so_long(library: str) -> None:
    """What is worked out for an address is forgotten when there are too many."""
    async with serving(hello) as server, opened(library) as transport:
        for number in range(520):
            transport._target(f"{server.url}?page={number}")
        assert 8 == len(transport._targets)
        await transport.send(ask(server.url))


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown library, and one that is not installed, are errors of the configuration that say what to do."""
    with pytest.raises(ConfigurationError, match="must be one of"):
        HTTPTransport(HTTPSettings(library="requests"), spawn=Spawner())  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'asyncllm-client\[httpx2\]'"):
        HTTPTransport(HTTPSettings(library="httpx2"), spawn=Spawner())


@pytest.mark.parametrize("lane", ["httpx", "aiohttp"])
async def test_socks_works_where_it_can(lane: str, anyio_backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socks proxy is handed to httpx with its credentials; aiohttp cannot use one and says so."""
    pytest.importorskip("httpx_aiohttp")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    transport = HTTPTransport(
        HTTPSettings(library=lane, proxy=SecretStr("socks5://user:pass@127.0.0.1:1")), spawn=Spawner()
    )  # type: ignore[arg-type]
    if lane == "aiohttp":
        with pytest.raises(ConfigurationError, match="socks"):
            await transport.send(ask("http://host/"))
    else:
        assert ("user", "pass") == transport._lane._proxy("socks5://user:pass@127.0.0.1:1", None).auth
