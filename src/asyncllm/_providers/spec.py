"""What is known of a host before it is built: `HostSpec`, and the functions that find a host by its kind.

Rules:

* A host is one file of this folder, named after its kind, with a ``HOST``. A server that speaks OpenAI's chat format is
  a row of ``compatible.ROWS`` instead. Nothing else has to be told of a new host: the configuration, ``from_env``, the
  simulator and the tests of the docs read what is written there.
* A spec is cheap. A host's file imports codecs and the libraries of vendors inside its ``build`` only, so that a client
  of one host never loads the code of another.
* `find_host` imports the one file it needs. `every_host` imports them all; only ``from_env``, error sentences and tools
  ask for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal

from .._schema.values import dataclass
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from .provider import Provider

Environ = Mapping[str, str]
Build = Callable[[str, Mapping[str, Any], Environ], "Provider"]
"""(the name of the entry, its options, the environment) -> the host. Raises `ConfigurationError`."""

_FILE_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigKey:
    """A key that an entry of one kind may hold.

    Attributes:
        about: what it is for; editors show it.
        form: what its value is. ``secret`` is a text that is never shown, ``path`` the path of a file, ``texts`` a list
            of texts, ``objects`` a list of objects.
        variables: the environment variables that hold it, the first one that is set wins.
        choices: the texts that it may be; empty for any.
        pattern: the regular expression that the text must match; empty for any.
        signs_in: it says who we are, though it is no secret (the name of a profile).
    """

    about: str
    form: Literal["text", "secret", "path", "texts", "objects"] = "text"
    variables: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    pattern: str = ""
    signs_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """What is known of a kind of host before one is built.

    Attributes:
        kind: what the configuration calls it.
        build: makes the host of an entry.
        keys: the keys that its entries may hold besides those of every entry.
        found_by: sets of environment variables; with every variable of one set present, ``from_env`` finds the host.
        found: finds it by other signs than variables with a key (files, a role of the machine).
        complete: whether the environment has all it needs besides a credential; ``from_env`` passes the host over if
            not, unless it is the only one.
        together: keys that are taken from the environment all together or not at all, and never beside ``api_key``.
        pairs: keys of which none goes without the other.
        base_url: where it is when nothing says where; None where that depends on the entry.
        needs_base_url: nothing else says where it is.
        models: what ``from_env`` puts into ``fallback_models``: current models, the cheap one first.
        synonyms: other names that people use for it; errors about an unknown kind suggest this one.
        rank: the order in which ``from_env`` looks: the first host found is the active one.
        wires: the wire formats that it speaks, by the names that parts carry as ``Origin.protocol``.
        url_suffix: what its base URL ends in, as its vendor's own SDK takes it.
        example: values for the keys that an entry needs besides a credential.
    """

    kind: str
    build: Build
    keys: Mapping[str, ConfigKey] = field(default_factory=dict)
    found_by: tuple[frozenset[str], ...] = ()
    found: Callable[[Environ], bool] | None = None
    complete: Callable[[Environ], bool] | None = None
    together: frozenset[str] = frozenset()
    pairs: tuple[tuple[str, str], ...] = ()
    base_url: str | None = None
    needs_base_url: bool = False
    models: tuple[str, ...] = ()
    synonyms: tuple[str, ...] = ()
    rank: int = 100
    wires: tuple[str, ...] = ()
    url_suffix: str = ""
    example: Mapping[str, str] = field(default_factory=dict)

    @property
    def credential(self) -> str:
        """The key that holds the credential; ``""`` if there is none."""
        return next((name for name, key in self.keys.items() if key.form == "secret"), "")

    def without_credentials(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options of an entry without its credentials."""
        known = self.keys
        return {
            name: value
            for name, value in options.items()
            if name not in known or not (known[name].signs_in or known[name].form in ("secret", "path"))
        }

    def is_found(self, environ: Environ) -> bool:
        """Returns whether the environment has what this host needs."""
        if any(all(environ.get(name, "").strip() for name in names) for names in self.found_by):
            return True
        return self.found is not None and self.found(environ)

    def is_complete(self, environ: Environ) -> bool:
        """Returns whether the environment has all that this host needs besides its credentials."""
        return self.complete is None or self.complete(environ)

    def look_up(self, key: str, options: Mapping[str, Any], environ: Environ) -> Any:
        """Returns the value of a key: from the entry, else from the first of its variables that is set, else None."""
        value = options.get(key)
        return value or first_set(environ, self.keys[key].variables)


def first_set(environ: Environ, names: Iterable[str]) -> str | None:
    """Returns the value of the first of these variables that is set and not empty."""
    return next((environ[name] for name in names if environ.get(name)), None)


def api_key(*variables: str) -> ConfigKey:
    """Returns the key ``api_key`` of a host, with the variables that are read if the entry does not have it."""
    return ConfigKey(
        about="The key; without it the vendor's usual variables are looked at.", form="secret", variables=variables
    )


def found_by_each(*variables: str) -> tuple[frozenset[str], ...]:
    """Returns a check: the host can be used if one of these variables is set."""
    return tuple([frozenset({name}) for name in variables])


def find_host(kind: str) -> HostSpec | None:
    """Returns the host of this kind; None if there is none. Imports only the file of this host."""
    if not _FILE_NAME.fullmatch(kind):
        return None
    module = f"{__package__}.{kind}"
    try:
        found = getattr(import_module(module), "HOST", None)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        found = None
    if isinstance(found, HostSpec):
        return found
    from . import compatible

    return compatible.spec_of(kind)


def every_host() -> Mapping[str, HostSpec]:
    """Returns all hosts by kind, in the order in which ``from_env`` looks for them. Imports all their files."""
    package = import_module(__package__ or "")
    names = [module.name for module in iter_modules(package.__path__)]
    files = [getattr(import_module(f".{name}", __package__), "HOST", None) for name in names]
    own = sorted((found for found in files if isinstance(found, HostSpec)), key=lambda spec: spec.rank)
    from . import compatible

    rows = [spec for kind in compatible.ROWS if (spec := compatible.spec_of(kind)) is not None]
    return {spec.kind: spec for spec in (*own, *rows)}


def build_host(kind: str, name: str, options: Mapping[str, Any], environ: Environ) -> Provider:
    """Builds the host of a configured entry.

    Args:
        kind: what sort of host it is.
        name: what the configuration calls it.
        options: the entry's own keys, and ``headers`` and ``dialect``, which every entry may have.
        environ: where keys are looked up that the entry does not hold.

    Raises:
        ConfigurationError: a key is missing, there is no such kind of host, or no such field of its dialect.
    """
    spec = find_host(kind)
    if spec is None:
        raise ConfigurationError(f"providers.{name}: there is no kind {kind!r}; there are {', '.join(every_host())}")
    url, _, query = str(options.get("base_url") or "").partition("?")
    if query:
        host = spec.build(name, {**options, "base_url": url, "query": query}, environ)
        return adapted(replace(host, query=query), options)
    return adapted(spec.build(name, options, environ), options)


def adapted(provider: Provider, options: Mapping[str, Any]) -> Provider:
    """Returns the host with the ``headers`` and the ``dialect`` of its entry.

    Raises:
        ConfigurationError: a header that cannot be sent, or no such field of its dialect.
    """
    if options.get("dialect"):
        from .dialects import with_dialect

        provider = with_dialect(provider, options["dialect"])
    if not options.get("headers"):
        return provider
    own = {header.lower(): _header(provider.name, header, value) for header, value in options["headers"].items()}
    return replace(provider, headers={**provider.headers, **own}, secret_headers=frozenset(own))


_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_NOT_OURS = frozenset({"connection", "content-length", "expect", "host", "transfer-encoding", "upgrade"})


def _header(provider: str, name: str, value: Any) -> str:
    where = f"providers.{provider}.headers"
    if not _HEADER_NAME.fullmatch(name) or name.lower() in _NOT_OURS:
        raise ConfigurationError(f"{where}: {name!r} is no header that can be set here", provider=provider)
    text = str(value.get_secret_value() if hasattr(value, "get_secret_value") else value).strip()
    if not text.isascii() or not text.isprintable():
        raise ConfigurationError(f"{where}.{name} must be printable ASCII", provider=provider)
    return text
