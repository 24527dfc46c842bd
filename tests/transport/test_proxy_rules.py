"""Which proxy an address is reached through."""

from __future__ import annotations

import importlib.util

import pytest

from asyncllm._transport.proxy import ProxyRules, checked, split_credentials, unread
from asyncllm.errors import ConfigurationError

PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("entry", "url", "direct"),
    [
        ("*", "https://anything/", True),
        ("example.com", "https://example.com/", True),
        ("example.com", "https://api.EXAMPLE.com/", True),
        ("example.com", "https://notexample.com/", False),
        (".example.com", "https://api.example.com/", True),
        (".example.com", "https://example.com/", True),
        (".example.com", "https://notexample.com/", False),
        ("example.com.", "https://api.example.com/", True),
        ("a.com,example.com", "https://example.com/", True),
        ("a.com example.com", "https://example.com/", True),
        ("[fd00::]/8", "http://[fd12::1]/", True),
        ("[fd00::]/8", "http://[fe12::1]/", False),
        ("*.example.com", "https://api.example.com/", True),
        ("*.example.com", "https://example.com/", False),
        ("example.com:8443", "https://example.com:8443/", True),
        ("example.com:8443", "https://example.com/", False),
        ("example.com:443", "https://example.com/", True),
        ("10.0.0.0/8", "http://10.1.2.3/", True),
        ("10.0.0.0/8", "http://11.1.2.3/", False),
        ("10.0.0.0/8", "http://ten.example/", False),
        ("10.1.2.3", "http://10.1.2.3:8000/", True),
        ("::1", "http://[::1]/", True),
        ("[::1]:8000", "http://[::1]:8000/", True),
        ("[::1]:8000", "http://[::1]/", False),
        ("[::1]", "http://[::1]/", True),
        ("fd00::/8", "http://[fd12::1]/", True),
        ("fd00::/8", "http://10.1.2.3/", False),
        (" , ", "http://host/", False),
        ("host:name", "http://host/", False),
    ],
)
def test_no_proxy_rules(entry: str, url: str, direct: bool) -> None:
    """Each form of an entry covers what it says, and no more."""
    rules = ProxyRules(proxy=PROXY, no_proxy=[entry], environ={})
    assert (None if direct else PROXY) == rules.resolve_url(url)
    from_environment = ProxyRules(proxy=PROXY, no_proxy=[], environ={"no_proxy": f"other, {entry}"})
    assert (None if direct else PROXY) == from_environment.resolve_url(url)


@pytest.mark.parametrize(
    ("environ", "http", "https"),
    [
        ({}, None, None),
        ({"HTTP_PROXY": "http://a:1"}, "http://a:1", None),
        ({"https_proxy": "http://b:1", "HTTPS_PROXY": "http://c:1"}, None, "http://b:1"),
        ({"ALL_PROXY": "d:1", "http_proxy": "e:1"}, "http://e:1", "http://d:1"),
        ({"HTTP_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, None, None),
        ({"http_proxy": ""}, None, None),
    ],
)
def test_the_environment(environ: dict[str, str], http: str | None, https: str | None) -> None:
    """Variables are read as curl reads them, and never from a CGI request's headers."""
    rules = ProxyRules(proxy=None, no_proxy=[], environ=environ)
    assert (http, https) == (rules.resolve("http", "host"), rules.resolve("https", "host"))
    assert PROXY == ProxyRules(proxy=PROXY, no_proxy=[], environ=environ).resolve("http", "host")


@pytest.mark.parametrize("proxy", ["ftp://proxy", "proxy:3128", "http://", ""])
def test_what_is_no_proxy_is_refused(proxy: str) -> None:
    """A proxy has a scheme that can be used, and a host."""
    with pytest.raises(ConfigurationError, match=r"http\.proxy: a proxy must be a URL"):
        checked(proxy)


@pytest.mark.parametrize("value", ["http://[broken", "http://host:port", "ftp://proxy"])
def test_a_malformed_variable_is_named(value: str) -> None:
    """A proxy variable that is no URL is an error of the configuration that names the variable, and no more of it."""
    with pytest.raises(ConfigurationError, match=r"^HTTPS_PROXY: a proxy must be a URL") as caught:
        ProxyRules(proxy=None, no_proxy=[], environ={"HTTPS_PROXY": value})
    assert value not in str(caught.value)


def test_the_entries_of_no_proxy_may_be_parted_by_spaces() -> None:
    """Curl takes commas and spaces between the entries, and a dot at the end of a host's name."""
    rules = ProxyRules(proxy=PROXY, no_proxy=[], environ={"NO_PROXY": "one.com two.com,three.com."})
    assert [None] * 4 == [rules.resolve("http", host) for host in ("one.com", "a.two.com", "three.com", "one.com.")]


def test_variables_that_are_not_read_are_mentioned() -> None:
    """Where the environment is not trusted, what is set there and could matter is told with the error."""
    environ = {"HTTPS_PROXY": "http://p", "SSL_CERT_FILE": "/x", "REQUESTS_CA_BUNDLE": "/y", "HOME": "/z"}
    expected = "HTTPS_PROXY is set but not read; http: {trust_env: true} reads it"
    assert expected == unread(environ, trust_env=False, certificate=False)
    certificate = (
        "SSL_CERT_FILE is set but not read; http: {trust_env: true} reads it; REQUESTS_CA_BUNDLE is never read"
    )
    assert unread(environ, trust_env=False, certificate=True).startswith(certificate)
    assert "" == unread(environ, trust_env=True, certificate=False)
    assert "REQUESTS_CA_BUNDLE" in unread(environ, trust_env=True, certificate=True)


def test_socks_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socks proxy is accepted where its package is installed, and the missing package is named where not."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match="pip install"):
        checked("socks5://proxy:1080")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert "socks5://proxy:1080" == checked("socks5://proxy:1080")


def test_credentials_stay_out_of_sight() -> None:
    """Credentials are taken out of the URL, decoded, and not part of a repr."""
    proxy = "http://us%40er:p%3Ass@proxy:3128"
    assert ("http://proxy:3128", "Basic dXNAZXI6cDpzcw==") == split_credentials(proxy)
    assert ("https://[::1]:1", "") == split_credentials("https://[::1]:1")
    assert "ss" not in repr(ProxyRules(proxy=proxy, no_proxy=[], environ={})).removeprefix("ProxyRules")
