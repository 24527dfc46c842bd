"""Finds the proxy for an address.

Explicit settings come first, then (where the environment is trusted) ``https_proxy``, ``http_proxy`` and
``all_proxy`` in lower or upper case, as curl reads them. ``no_proxy`` entries are:

==================  =====================================================================
``*``               everything is reached directly
``example.com``     that host and its subdomains; ``.example.com`` says the same, as in curl
``*.example.com``   its subdomains only
``10.0.0.0/8``      addresses in that network (only for hosts that are written as addresses)
``[::1]``           an IPv6 address, with or without brackets; ``[fd00::]/8`` is a network
``host:8443``       any of the above, for one port
==================  =====================================================================

Entries are told apart by commas or blanks, also within one entry of the configuration.
"""

from __future__ import annotations

import base64
import importlib.util
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ..errors import ConfigurationError

_PORTS: Mapping[str, int] = {"http": 80, "https": 443}
_PROXY_VARIABLES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True, slots=True)
class Direct:
    """One ``no_proxy`` rule."""

    host: str
    port: int | None

    def covers(self, host: str, port: int) -> bool:
        """Whether this address is reached directly."""
        if self.port is not None and self.port != port:
            return False
        if self.host == "*":
            return True
        if (network := _network(self.host)) is not None:
            return _within(host, network)
        if self.host.startswith("*."):
            return host.endswith(self.host[1:])
        return host == self.host or host.endswith("." + self.host)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _within(host: str, network: Network) -> bool:
    try:
        return ipaddress.ip_address(host) in network
    except ValueError:
        return False


def _network(host: str) -> Network | None:
    try:
        return ipaddress.ip_network(host, strict=False)
    except ValueError:
        return None


def parse_direct(entry: str) -> Direct | None:
    """A ``no_proxy`` entry as a rule; None for an empty one."""
    entry = entry.strip().lower().rstrip(".")
    if not entry:
        return None
    host, port = entry, None
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        port = int(rest[1:]) if rest.startswith(":") and rest[1:].isdigit() else None
        host += rest if rest.startswith("/") else ""
    elif entry.count(":") == 1:
        head, _, tail = entry.partition(":")
        if tail.isdigit():
            host, port = head, int(tail)
    return Direct(host if host.startswith("*.") else host.lstrip("."), port)


class ProxyURL(str):
    """A proxy's URL, which may hold a password: a repr, and so a frame that an error leaves, shows only its scheme."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{self.partition(':')[0]} proxy>"


class ProxyRules:
    """Decides for every address whether a proxy is used, and which.

    Args:
        proxy: the proxy for everything, ``http``, ``https`` or ``socks5``, with credentials if it needs any.
        no_proxy: hosts that are reached directly.
        environ: the environment, where it is trusted; otherwise empty.

    Attributes:
        names: scheme of an address -> the key or the variable that names its proxy.

    Raises:
        ConfigurationError: a proxy whose scheme cannot be used.
    """

    def __init__(self, *, proxy: str | None, no_proxy: Iterable[str], environ: Mapping[str, str]) -> None:
        proxy = None if proxy is None else ProxyURL(proxy)
        self._proxies: dict[str, ProxyURL] = {}
        self.names: dict[str, str] = {}
        for scheme in _PORTS:
            name, found = ("http.proxy", proxy) if proxy else _from(environ, scheme)
            if found:
                self._proxies[scheme], self.names[scheme] = checked(found, name), name
        told = [*no_proxy, environ.get("no_proxy") or environ.get("NO_PROXY") or ""]
        entries = [entry for one in told for entry in one.replace(",", " ").split()]
        self._direct = tuple(rule for entry in entries if (rule := parse_direct(entry)) is not None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._proxies)})"

    def resolve(self, scheme: str, host: str, port: int | None = None) -> ProxyURL | None:
        """The proxy's URL, credentials included; None for a direct connection."""
        proxy = self._proxies.get(scheme)
        if proxy is None:
            return None
        host, port = host.lower().strip("[]").rstrip("."), port or _PORTS[scheme]
        return None if any(rule.covers(host, port) for rule in self._direct) else proxy

    def resolve_url(self, url: str) -> ProxyURL | None:
        """The same for a whole URL."""
        parts = urlsplit(url)
        return self.resolve(parts.scheme, parts.hostname or "", parts.port)


def _from(environ: Mapping[str, str], scheme: str) -> tuple[str, ProxyURL | None]:
    """The variable that names a proxy for this scheme, and the proxy."""
    names = [f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY"]
    if "REQUEST_METHOD" in environ:  # under CGI a client sets HTTP_PROXY by sending a header named Proxy
        names = [name for name in names if name != "HTTP_PROXY"]
    name = next((name for name in names if environ.get(name)), None)
    if name is None:
        return "", None
    return name, ProxyURL(environ[name] if "://" in environ[name] else f"http://{environ[name]}")


def checked(proxy: str, name: str = "http.proxy") -> ProxyURL:
    """Returns the proxy's URL, if it can be used.

    Args:
        proxy: the URL.
        name: the key or the variable that it stands in.

    Raises:
        ConfigurationError: it is no URL of a proxy, or needs a package that is not installed.
    """
    proxy = ProxyURL(proxy)
    if not _is_proxy(proxy):
        raise ConfigurationError(
            f"{name}: a proxy must be a URL that begins with http://, https:// or socks5:// and names a host and, if "
            "need be, a port; in a password write %40 for @, %2F for / and %3A for :."
        )
    if proxy.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ConfigurationError(
            f"{name}: a socks5 proxy needs the package socksio: python -m pip install 'httpx[socks]'."
        )
    return proxy


def _is_proxy(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # its text quotes the URL
        return False


def unread(environ: Mapping[str, str], *, trust_env: bool, certificate: bool) -> str:
    """Returns variables of the environment that we do not read and that may explain a failed connection; mostly none.

    Args:
        environ: the process's environment.
        trust_env: whether its proxy and certificate variables are obeyed.
        certificate: whether it was the certificate that was refused.
    """
    obeyed = _CERTIFICATE_VARIABLES if certificate else _PROXY_VARIABLES
    found = [] if trust_env else [name for name in obeyed if environ.get(name)]
    told = []
    if found:
        are, them = ("are", "them") if len(found) > 1 else ("is", "it")
        told.append(f"{' and '.join(found)} {are} set but not read; http: {{trust_env: true}} reads {them}")
    if certificate:
        never = [name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if environ.get(name)]
        told += [f"{name} is never read; http: {{ca_bundle: ...}} names a file" for name in never]
    return "; ".join(told)


def split_credentials(proxy: str) -> tuple[str, str]:
    """The proxy's URL without its credentials, and the ``authorization`` value for them ("" where there are none)."""
    parts = urlsplit(proxy)
    host = parts.netloc.rpartition("@")[2]
    if parts.username is None:
        return f"{parts.scheme}://{host}", ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"{parts.scheme}://{host}", "Basic " + base64.b64encode(pair.encode()).decode()
