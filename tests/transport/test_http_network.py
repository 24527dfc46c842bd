"""TLS, proxies, and what goes wrong before an answer begins."""

from __future__ import annotations

import base64
import socket
import ssl
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from loopback import SECRET, Peer, Visit, answer, ask, chunk, chunked, hello, opened, serving

from asyncllm._config.rules import SecretStr
from asyncllm._config.sections import HTTPSettings
from asyncllm.errors import AsyncLLMError, ConfigurationError, ConnectError, ConnectTimeoutError

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA) -> Iterator[str]:
    with authority.cert_pem.tempfile() as path:
        yield path


@pytest.fixture(scope="module")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


async def test_a_trusted_server_is_reached_over_tls(library: str, server_tls: ssl.SSLContext, bundle: str) -> None:
    """A certificate of an authority in the bundle is accepted, and its connection used again."""
    async with serving(hello, context=server_tls) as server, opened(library, ca_bundle=bundle) as transport:
        assert bundle == transport.ca_bundle
        for _ in range(3):
            assert b"hello" == (await transport.send(ask(server.url))).body
        assert 1 == server.handshakes


async def test_the_environment_can_name_the_bundle(library: str, server_tls: ssl.SSLContext, bundle: str) -> None:
    """``SSL_CERT_FILE`` counts where the environment is trusted, and only there."""
    environ = {"SSL_CERT_FILE": bundle}
    async with serving(hello, context=server_tls) as server:
        async with opened(library, trust_env=True, environ=environ) as transport:
            assert b"hello" == (await transport.send(ask(server.url))).body
        async with opened(library, environ=environ) as transport:
            with pytest.raises(ConnectError) as caught:
                await transport.send(ask(server.url))
            assert (True, False) == (caught.value.certificate, caught.value.should_retry)


@pytest.fixture
def client_files(authority: trustme.CA, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A certificate of a client, its key, and the same key behind the password "letmein"."""
    issued = authority.issue_cert("client@example.com")
    certificate, key, locked = tmp_path / "client.pem", tmp_path / "client.key", tmp_path / "locked.key"
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    loaded = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    locked.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"letmein"),
        )
    )
    return certificate, key, locked


@pytest.fixture
def strict_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server that answers only clients with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_a_client_certificate_is_shown_to_the_server(
    library: str, strict_tls: ssl.SSLContext, bundle: str, client_files: tuple[Path, Path, Path]
) -> None:
    """A server that wants to know its clients answers, also with a key that a password protects."""
    certificate, key, locked = client_files
    known: tuple[dict[str, Any], ...] = (
        {"client_certificate": certificate, "client_key": key},
        {"client_certificate": certificate, "client_key": locked, "client_key_password": SecretStr("letmein")},
    )
    async with serving(hello, context=strict_tls) as server:
        for options in known:
            async with opened(library, ca_bundle=bundle, **options) as transport:
                assert b"hello" == (await transport.send(ask(server.url))).body


async def test_a_client_key_that_cannot_be_used_is_a_configuration_error(
    bundle: str, client_files: tuple[Path, Path, Path]
) -> None:
    """A wrong password is said by the name of its key, and stands in no frame."""
    certificate, _, locked = client_files
    wrong: dict[str, Any] = {"client_certificate": certificate, "client_key": locked}
    wrong["client_key_password"] = SecretStr("wrong-password")
    async with opened(ca_bundle=bundle, **wrong) as transport:
        with pytest.raises(ConfigurationError, match="client_key_password") as caught:
            await transport.send(ask("https://127.0.0.1:1/"))
    assert "wrong-password" not in frames_of(caught.value)


async def test_the_trust_store_of_the_operating_system_is_used_by_one_word(
    library: str, server_tls: ssl.SSLContext
) -> None:
    """``ca_bundle: system`` asks the operating system, which does not know the authority of this test."""
    pytest.importorskip("truststore")
    async with serving(hello, context=server_tls) as server, opened(library, ca_bundle=Path("system")) as transport:
        with pytest.raises(ConnectError) as caught:
            await transport.send(ask(server.url))
    assert caught.value.certificate


async def test_many_calls_at_once_cost_one_handshake_each_at_most(
    library: str, server_tls: ssl.SSLContext, bundle: str
) -> None:
    """Sixty-four calls at a time never shake hands more often than there are connections."""

    async def script(peer: Peer, visit: Visit) -> None:
        await anyio.sleep(0.001)
        await peer.send(answer())

    async with (
        serving(script, context=server_tls) as server,
        opened(library, ca_bundle=bundle, idle_connections=64) as transport,
    ):

        async def three() -> None:
            for _ in range(3):
                await transport.send(ask(server.url))

        async with anyio.create_task_group() as tasks:
            for _ in range(64):
                tasks.start_soon(three)
        assert server.handshakes == server.connections <= 64


def test_a_bundle_that_cannot_be_used_is_a_configuration_error(tmp_path: Any) -> None:
    """A missing bundle is refused when the transport is made."""
    from asyncllm._transport.tls import TLS

    for key in ("ca_bundle", "client_certificate"):
        with pytest.raises(ConfigurationError, match=rf"{key}.*does not exist"):
            TLS(HTTPSettings(**{key: tmp_path / "missing.pem"}), {})
    empty = TLS(HTTPSettings(ca_bundle=tmp_path), {})
    assert ssl.CERT_REQUIRED == empty.context(verify=True).verify_mode
    assert 0 < len(TLS(HTTPSettings(), {}).context(verify=True).get_ca_certs())


async def test_a_bundle_without_certificates_is_a_configuration_error() -> None:
    """A file that holds no certificate is named when the first server is called."""
    with tempfile.NamedTemporaryFile() as file:
        async with opened(ca_bundle=file.name) as transport:
            with pytest.raises(ConfigurationError, match="no certificates"):
                await transport.send(ask("https://127.0.0.1:1/"))


async def test_a_refused_connection_is_a_connect_error(library: str) -> None:
    """Nobody listening is told apart from a server that goes away."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with opened(library) as transport:
        with pytest.raises(ConnectError, match=r"127\.0\.0\.1") as caught:
            await transport.send(ask(f"http://127.0.0.1:{port}/?key={SECRET}"))
    assert not isinstance(caught.value, ConnectTimeoutError)
    assert not caught.value.certificate


async def test_an_unknown_host_is_a_connect_error(library: str) -> None:
    """A name that does not resolve is a failure to connect."""
    async with opened(library) as transport:
        with pytest.raises(ConnectError):
            await transport.send(ask("http://no-such-host.invalid/"))


async def test_a_handshake_that_hangs_is_a_connect_timeout(library: str) -> None:
    """The connect timeout covers TLS."""

    async def deaf(peer: Peer) -> None:
        await anyio.sleep(5)

    async with serving(hello) as server, opened(library) as transport:
        server.greet = deaf
        with pytest.raises(ConnectTimeoutError):
            await transport.send(ask(f"https://127.0.0.1:{server.port}/", connect_timeout=0.05))


async def test_a_handshake_that_is_cancelled_leaves_no_socket(library: str) -> None:
    """A connection given up in the middle of TLS is closed."""
    begun, closed = anyio.Event(), anyio.Event()

    async def deaf(peer: Peer) -> None:
        begun.set()
        try:
            await peer.hang()
        finally:
            closed.set()

    async with serving(hello) as server, opened(library) as transport:
        server.greet = deaf
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(transport.send, ask(f"https://127.0.0.1:{server.port}/"))
            await begun.wait()
            await anyio.sleep(0.02)
            tasks.cancel_scope.cancel()
        with anyio.fail_after(10):
            await closed.wait()


@pytest.mark.parametrize("url", ["ftp://host/", "//host/", "http://", "http://[::1/"])
async def test_an_address_that_cannot_be_called_is_a_configuration_error(library: str, url: str) -> None:
    """What is no http URL is refused before anything is sent."""
    async with opened(library) as transport:
        with pytest.raises(ConfigurationError):
            await transport.send(ask(url))


async def test_a_key_with_a_line_break_is_refused_without_being_shown(library: str) -> None:
    """A header value that HTTP does not allow is named, not repeated."""
    from asyncllm._transport.base import Headers, TransportRequest

    async with serving(hello) as server, opened(library, max_connections=1) as transport:
        for value in (SECRET + "\n", SECRET + " ", SECRET + "é"):
            with pytest.raises(ConfigurationError, match="'x-api-key'") as caught:
                await transport.send(
                    TransportRequest(method="POST", url=server.url, headers=Headers((("x-api-key", value),)))
                )
            assert SECRET not in str(caught.value)
        assert b"hello" == (await transport.send(ask(server.url))).body


def frames_of(error: BaseException) -> str:
    """What a thorough crash report would show below the test: frames with locals, and what hangs on the error."""
    below = error.__traceback__ and error.__traceback__.tb_next
    return "".join(traceback.TracebackException(type(error), error, below, capture_locals=True).format())


@pytest.mark.parametrize(
    "wire", [b"", b"garbage\r\n\r\n", chunked() + chunk(b"x"), answer(b"x", "content-encoding: br")]
)
async def test_no_secret_is_in_reach_of_an_exception(library: str, wire: bytes) -> None:
    """Neither the text nor any frame of an exception, nor its causes, hold a key; nothing of the HTTP library does."""

    async def script(peer: Peer, visit: Visit) -> bool:
        await peer.send(wire) if wire else None
        return False

    async with serving(script) as server, opened(library) as transport:
        with pytest.raises(AsyncLLMError) as caught:
            await transport.send(ask(server.url))
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)
    shown = frames_of(caught.value)
    assert "transport" in shown
    assert SECRET not in shown
    assert not [name for name in ("httpx", "httpcore", "httpx2", "httpcore2", "h11", "aiohttp") if f"/{name}/" in shown]


async def test_no_secret_is_in_reach_of_a_cancellation(library: str) -> None:
    """A cancellation that passed through the HTTP library carries none of its frames."""

    async def script(peer: Peer, visit: Visit) -> None:
        await peer.hang()

    seen = []
    async with serving(script) as server, opened(library) as transport:
        with anyio.move_on_after(0.03):
            try:
                await transport.send(ask(server.url))
            except BaseException as error:
                seen.append(frames_of(error))
                raise
    assert SECRET not in seen[0]
    assert "httpcore" not in seen[0]


# ---------------------------------------------------------------------------------------------------------- proxies


@asynccontextmanager
async def proxying(*, password: str | None = None) -> Any:
    """A proxy that tunnels CONNECT and forwards absolute URLs."""
    wanted = b"Basic " + base64.b64encode(b"user:" + (password or "").encode())

    async def pump(source: Any, target: Any) -> None:
        try:
            async for data in source:
                await target.send(data)
            await target.send_eof()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass

    async def script(peer: Peer, visit: Visit) -> bool:
        method, url, _ = visit.head.split(b"\r\n")[0].split(b" ")
        if password is not None and wanted not in visit.head:
            await peer.send(answer(b"", status="407 Proxy Authentication Required"))
        elif method == b"CONNECT":
            host, _, port = url.decode().partition(":")
            async with await anyio.connect_tcp(host, int(port)) as upstream:
                await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(pump, peer.stream, upstream)
                    await pump(upstream, peer.stream)
                    tasks.cancel_scope.cancel()
            return False
        else:
            await peer.send(answer(b"via proxy: " + url))
        return True

    async with serving(script) as server:
        yield server


async def test_tls_goes_through_a_tunnel(library: str, server_tls: ssl.SSLContext, bundle: str) -> None:
    """A CONNECT proxy with credentials carries TLS to the server, and the tunnel is used again."""
    async with serving(hello, context=server_tls) as server, proxying(password="pa%ss") as proxy:
        options = {"ca_bundle": bundle, "proxy": f"http://user:pa%25ss@127.0.0.1:{proxy.port}"}
        async with opened(library, **options) as transport:
            for _ in range(2):
                assert b"hello" == (await transport.send(ask(server.url))).body
        assert (1, 1) == (proxy.connections, server.handshakes)
        assert SECRET.encode() not in proxy.visits[0].head


async def test_plain_http_is_forwarded(library: str) -> None:
    """An http address is asked for through the proxy by its whole URL."""
    async with proxying() as proxy, opened(library, proxy=f"http://127.0.0.1:{proxy.port}") as transport:
        reply = await transport.send(ask("http://provider.invalid/v1"))
        assert b"via proxy: http://provider.invalid/v1" == reply.body


async def test_a_proxy_that_refuses_is_a_connect_error(library: str, bundle: str) -> None:
    """Wrong credentials are the proxy's refusal, not the provider's."""
    async with proxying(password="right") as proxy:
        url = f"http://user:wrong@127.0.0.1:{proxy.port}"
        async with opened(library, proxy=url, ca_bundle=bundle) as transport:
            with pytest.raises(ConnectError) as caught:
                await transport.send(ask("https://provider.invalid/v1"))
            assert "wrong" not in frames_of(caught.value)


@pytest.mark.parametrize(
    ("status", "password", "told", "again"),
    [
        ("407 Proxy Authentication Required", "", "wants a user name and a password", False),
        ("407 Proxy Authentication Required", "user:hidden@", "refused the user name and the password", False),
        ("403 Forbidden", "", r"does not allow connections to provider\.invalid", False),
        ("502 Bad Gateway", "", r"could not connect to provider\.invalid", None),
    ],
)
@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_what_a_proxy_says_is_told_apart_from_the_provider(
    library: str, status: str, password: str, told: str, again: bool | None, scheme: str
) -> None:
    """A proxy's refusal names the proxy and the setting it comes from, in a tunnel and for a forwarded request."""

    async def script(peer: Peer, visit: Visit) -> bool:
        await peer.send(answer(b"no", "x-squid-error: ERR", status=status))
        return False

    async with (
        serving(script) as proxy,
        opened(library, proxy=f"http://{password}127.0.0.1:{proxy.port}") as transport,
    ):
        with pytest.raises(ConnectError, match=told) as caught:
            await transport.send(ask(f"{scheme}://provider.invalid/v1"))
    assert f"127.0.0.1:{proxy.port} (from http.proxy)" in str(caught.value)
    assert again == caught.value.should_retry
    assert "hidden" not in frames_of(caught.value)


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_proxy_that_is_down_is_named(library: str, scheme: str) -> None:
    """Nobody listens where the proxy should be: the sentence is about the proxy, not about the provider."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    environ = {"ALL_PROXY": f"http://127.0.0.1:{port}"}
    async with opened(library, trust_env=True, environ=environ) as transport:
        with pytest.raises(ConnectError, match=rf"to the proxy 127\.0\.0\.1:{port} \(from ALL_PROXY\)"):
            await transport.send(ask(f"{scheme}://provider.invalid/v1"))


async def test_an_answer_of_the_provider_through_a_proxy_is_the_providers(library: str) -> None:
    """A 403 that a proxy only carries is judged as the provider's answer."""

    async def script(peer: Peer, visit: Visit) -> None:
        await peer.send(answer(b"{}", "via: 1.1 proxy", status="403 Forbidden"))

    async with serving(script) as proxy, opened(library, proxy=f"http://127.0.0.1:{proxy.port}") as transport:
        assert 403 == (await transport.send(ask("http://provider.invalid/v1"))).status


async def test_no_proxy_is_reached_directly(library: str) -> None:
    """A host in ``no_proxy`` is called without the proxy, which comes from the environment here."""
    async with serving(hello) as server, proxying() as proxy:
        environ = {"http_proxy": f"127.0.0.1:{proxy.port}", "NO_PROXY": "127.0.0.0/8"}
        async with opened(library, trust_env=True, environ=environ) as transport:
            assert b"hello" == (await transport.send(ask(server.url))).body
            assert b"via proxy" in (await transport.send(ask("http://provider.invalid/"))).body
            assert (1, 1) == (server.connections, proxy.connections)
