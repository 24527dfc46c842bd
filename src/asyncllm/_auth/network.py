"""What the configuration says of the network, for the AWS and Google libraries, which open connections of their own."""

from __future__ import annotations

from dataclasses import dataclass

from .keys import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The configuration's ``http`` section, as far as it concerns credential traffic.

    Attributes:
        proxy: for everything; its URL may hold a password.
        no_proxy: hosts that are reached directly.
        ca_bundle: a file or a directory of certificate authorities; None for certifi's.
        trust_env: whether the environment may name proxies.
    """

    proxy: Secret | None = None
    no_proxy: tuple[str, ...] = ()
    ca_bundle: str | None = None
    trust_env: bool = False
