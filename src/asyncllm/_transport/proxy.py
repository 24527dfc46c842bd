"""Which proxy an address is reached through.

Explicit settings come first, then (where the environment is trusted) ``https_proxy``, ``http_proxy`` and
``all_proxy`` in lower or upper case, as curl reads them. ``no_proxy`` entries are:

==================  =====================================================================
``*``               everything is reached directly
``example.com``     that host and its subdomains
``.example.com``    its subdomains only; ``*.example.com`` says the same
``10.0.0.0/8``      addresses in that network (only for hosts that are written as addresses)
``host:8443``       any of the above, for one port
==================  =====================================================================
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
        if self.host.startswith("."):
            return host.endswith(self.host)
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
    entry = entry.strip().lower()
    if not entry:
        return None
    host, port = entry, None
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        port = int(rest[1:]) if rest[1:].isdigit() else None
    elif entry.count(":") == 1:
        head, _, tail = entry.partition(":")
        if tail.isdigit():
            host, port = head, int(tail)
    return Direct(host.removeprefix("*") if host.startswith("*.") else host, port)


class ProxyRules:
    """Says for every address whether a proxy is used, and which.

    Args:
        proxy: the proxy for everything, ``http``, ``https`` or ``socks5``, with credentials if it needs any.
        no_proxy: hosts that are reached directly.
        environ: the environment, where it is trusted; otherwise empty.

    Raises:
        ConfigurationError: a proxy whose scheme cannot be used.
    """

    def __init__(self, *, proxy: str | None, no_proxy: Iterable[str], environ: Mapping[str, str]) -> None:
        self._proxies = {scheme: checked(found) for scheme in _PORTS if (found := proxy or _from(environ, scheme))}
        entries = [*no_proxy, *(environ.get("no_proxy") or environ.get("NO_PROXY") or "").split(",")]
        self._direct = tuple(rule for entry in entries if (rule := parse_direct(entry)) is not None)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._proxies)})"

    def resolve(self, scheme: str, host: str, port: int | None = None) -> str | None:
        """The proxy's URL, credentials included; None for a direct connection."""
        proxy = self._proxies.get(scheme)
        if proxy is None:
            return None
        host, port = host.lower().strip("[]"), port or _PORTS[scheme]
        return None if any(rule.covers(host, port) for rule in self._direct) else proxy

    def resolve_url(self, url: str) -> str | None:
        """The same for a whole URL."""
        parts = urlsplit(url)
        return self.resolve(parts.scheme, parts.hostname or "", parts.port)


def _from(environ: Mapping[str, str], scheme: str) -> str | None:
    names = [f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY"]
    if "REQUEST_METHOD" in environ:  # under CGI a client sets HTTP_PROXY by sending a header named Proxy
        names = [name for name in names if name != "HTTP_PROXY"]
    found = next((environ[name] for name in names if environ.get(name)), None)
    return found if found is None or "://" in found else f"http://{found}"


def checked(proxy: str) -> str:
    """The proxy's URL, if it can be used.

    Raises:
        ConfigurationError: the scheme is unknown, or needs a package that is not installed.
    """
    parts = urlsplit(proxy)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ConfigurationError(
            "A proxy must be a URL that begins with http://, https:// or socks5:// and names a host."
        )
    if parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ConfigurationError("A socks5 proxy needs the package socksio: pip install 'httpx[socks]'.")
    return proxy


def split_credentials(proxy: str) -> tuple[str, str]:
    """The proxy's URL without its credentials, and the ``authorization`` value for them ("" where there are none)."""
    parts = urlsplit(proxy)
    host = parts.netloc.rpartition("@")[2]
    if parts.username is None:
        return f"{parts.scheme}://{host}", ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"{parts.scheme}://{host}", "Basic " + base64.b64encode(pair.encode()).decode()
