"""The blocking HTTP of credential traffic: proxies, certificates, redirects."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from asyncllm._config.sections import HTTPSettings
from asyncllm._transport.blocking import BlockingClient, Network
from asyncllm.errors import ConfigurationError, ConnectError
from credential_server import Asked, Told, credential_server


def ask(http: BlockingClient, url: str) -> bytes:
    return http.send(url, "POST", b"body", {"x-a": "1"}, 5).data


def test_a_request_as_it_was_meant() -> None:
    """Method, path, query, headers and body arrive; a redirect is given back, not followed."""
    with credential_server(lambda asked: Told("moved", 302, {"location": "/elsewhere"})) as server:
        answer = BlockingClient(None, {}).send(f"{server.url}/a?b=c", "POST", b"body", {"x-a": "1"}, 5)
    assert (302, b"moved", "/elsewhere") == (answer.status, answer.data, answer.headers["Location"])
    assert [("POST", "/a?b=c", b"body", "1")] == [
        (asked.method, asked.path, asked.body, asked.headers["x-a"]) for asked in server.asked
    ]


def test_through_a_proxy() -> None:
    """A proxy is asked for the whole address, with its own password, and not for the hosts that need none."""
    with (
        credential_server(lambda asked: Told("by proxy")) as proxy,
        credential_server(lambda asked: Told("x")) as server,
    ):
        url = f"http://me:p%40ss@{proxy.host}"
        http = BlockingClient(Network(http=HTTPSettings(proxy=SecretStr(url), no_proxy=("127.0.0.1",))), {})
        assert b"by proxy" == ask(http, "http://sts.test/a")
        assert ("http://sts.test/a", "Basic bWU6cEBzcw==") == (
            proxy.asked[0].path,
            proxy.asked[0].headers["proxy-authorization"],
        )
        assert b"x" == ask(http, server.url)
        assert 1 == len(proxy.asked)


def test_a_secure_server_is_asked_through_a_tunnel() -> None:
    """For an https address the proxy sees the host and nothing else."""
    with credential_server(lambda asked: Told(status=403)) as proxy:
        http = BlockingClient(Network(http=HTTPSettings(proxy=SecretStr(f"http://{proxy.host}"))), {})
        with pytest.raises(ConnectError, match="ProxyError"):
            ask(http, "https://sts.test/secret")
    assert [("CONNECT", "sts.test:443", b"")] == [(asked.method, asked.path, asked.body) for asked in proxy.asked]
    assert "x-a" not in proxy.asked[0].headers


def test_the_environment_names_a_proxy_only_if_it_is_trusted() -> None:
    """Proxies of the environment count where the configuration says so; metadata servers never have one."""
    environ = {"https_proxy": "http://proxy.test:1"}
    assert BlockingClient(Network(), environ).proxy_of("https://sts.test/") is None
    trusting = BlockingClient(Network(http=HTTPSettings(trust_env=True)), environ)
    assert "http://proxy.test:1" == trusting.proxy_of("https://sts.test/")
    named = BlockingClient(Network(http=HTTPSettings(proxy=SecretStr("http://proxy.test:2"))), environ)
    assert "http://proxy.test:2" == named.proxy_of("https://sts.test/")
    for host in ("169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "metadata.google.internal"):
        assert named.proxy_of(f"http://{host}/latest") is None


def test_a_proxy_that_cannot_be_reached() -> None:
    """The error of a proxy holds neither its password nor the exception that does."""
    http = BlockingClient(Network(http=HTTPSettings(proxy=SecretStr("https://me:canary@127.0.0.1:9"))), {})
    with pytest.raises(ConnectError) as info:
        ask(http, "https://sts.test/")
    assert ("ConnectError", None, None) == (str(info.value), info.value.__cause__, info.value.__context__)
    assert "canary" not in repr(Network(http=HTTPSettings(proxy=SecretStr("https://me:canary@proxy.test"))))


def test_certificates(tmp_path: Path) -> None:
    """A server's certificate is checked against certifi's authorities, or against the bundle that is configured."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    (tmp_path / "empty").mkdir()
    with credential_server(lambda asked: Told("secure"), context) as server:
        url = f"https://{server.host}/"
        assert b"secure" == ask(BlockingClient(Network(http=HTTPSettings(ca_bundle=bundle)), {}), url)
        assert b"secure" == ask(
            BlockingClient(Network(http=HTTPSettings(trust_env=True)), {"SSL_CERT_FILE": str(bundle)}), url
        )
        for strange in (None, Network(http=HTTPSettings(ca_bundle=tmp_path / "empty"))):
            with pytest.raises(ConnectError):
                ask(BlockingClient(strange, {}), url)


def test_a_bundle_that_cannot_be_read(tmp_path: Path) -> None:
    """A bundle that is none is named."""
    (tmp_path / "ca.pem").write_text("nothing", encoding="utf8")
    http = BlockingClient(Network(http=HTTPSettings(ca_bundle=tmp_path / "ca.pem")), {})
    with pytest.raises(ConfigurationError, match=r"ca\.pem' holds no certificates"):
        ask(http, "https://127.0.0.1:9/")


def test_a_long_answer_is_cut() -> None:
    """No more than a mebibyte is read of any answer."""

    def script(asked: Asked) -> Told:
        return Told("x" * (1 << 21))

    with credential_server(script) as server:
        assert 1 << 20 == len(ask(BlockingClient(None, {}), server.url))
