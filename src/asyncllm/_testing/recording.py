"""`Recording`: real HTTP traffic in a file, stored once and replayed byte for byte.

The theory: a recording is a list of exchanges. A request is known by its method, its URL and its JSON; its headers are
neither stored nor compared. Equal requests are replayed in the order in which they were recorded, each once. The answer
is stored in the pieces in which it came, each with the seconds since the piece before it.

The rules:

* Nothing is asked of a provider unless the mode says so: ``"replay"``, the default, raises `UnrecordedRequestError`.
* What is written is scrubbed first, the request and the answer alike (`scrub`). A request is scrubbed before it is
  looked up, so it is found whatever key it was made with.
* The file is JSON with one piece of a body a line, so that a change can be read in a review. Bytes that are not UTF-8
  stand as ``{"base64": ...}``.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..errors import ConfigurationError
from .scrub import Scrubber

if TYPE_CHECKING:
    from re import Pattern
    from types import TracebackType

    import httpx
    from typing_extensions import Self

    from ..client import Client
    from ..sync import SyncClient

RecordMode = Literal["replay", "new", "all"]
"""``"replay"`` asks nobody; ``"new"`` asks the provider what the file does not have; ``"all"`` asks it everything."""

_FORMAT = "asyncllm recording 1"
_STAND_IN = "replayed-no-key-needed"
_MOST_DIFFERENCES = 5


class UnrecordedRequestError(AssertionError):
    """Tells that the recording does not have a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAnswer:
    """Holds an answer as it came.

    Attributes:
        chunks: (seconds since the piece before it, or since the request; the bytes).
    """

    status: int
    headers: Mapping[str, str]
    chunks: Sequence[tuple[float, bytes]]


@dataclass(slots=True, kw_only=True)
class _Exchange:
    method: str
    url: str
    body: Any
    answer: RecordedAnswer
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """Holds a request in the form in which it is stored and looked up."""

    method: str
    url: str
    body: Any = field(repr=False)


class Recording:
    """Stores real traffic in a file, and replays it.

    Use `client` or `sync_client`, or give `http_client` to anything that takes an ``httpx.AsyncClient``. In a ``with``
    block the file is written at the end, if there is something new; `save` does it at any time.

    Args:
        path: the file; folders are made as needed.
        mode: what happens to a request that the file does not have.
        timing: 1 replays the pauses of the real answer, 0.1 a tenth of them, 0 none.
        scrub: patterns of your own; what they match is taken out of requests and answers.
        ignore: names of top-level members of the request's JSON that are not compared.

    Raises:
        ConfigurationError: the file is not there and the mode is ``"replay"``, or it is no recording.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mode: RecordMode = "replay",
        timing: float = 0.0,
        scrub: Sequence[str | Pattern[str]] = (),
        ignore: Sequence[str] = (),
    ) -> None:
        if mode not in get_args(RecordMode):
            raise ConfigurationError(f"mode is {mode!r}; it must be one of {', '.join(get_args(RecordMode))}")
        self.path: Path = Path(path)
        self.mode: RecordMode = mode
        self.timing = timing
        self._ignore = frozenset(ignore)
        self._scrubber = Scrubber(scrub)
        self._exchanges: list[_Exchange] = []
        self._changed = False
        self.under_way: list[Callable[[], None]] = []  # each stores what has come of an answer
        if mode != "all" and self.path.is_file():
            self._exchanges = _read(self.path)

    # --- what tests use ------------------------------------------------------------------------------------------

    def client(self, config: Any = None, **options: Any) -> Client:
        """Makes a `Client` whose traffic goes through this recording; the arguments are those of `Client`.

        While replaying no key has to be set: every variable of a key that is missing has a stand-in.
        """
        from ..client import Client

        options.setdefault("environ", self.environ)
        return Client(config, http_client=self.http_client(), **options)

    def sync_client(self, config: Any = None, **options: Any) -> SyncClient:
        """Makes a `SyncClient` in the same way as `client`."""
        from ..sync import SyncClient

        options.setdefault("environ", self.environ)
        return SyncClient(config, http_client=self.http_client(), **options)

    def http_client(self, **options: Any) -> httpx.AsyncClient:
        """Makes an ``httpx.AsyncClient`` whose traffic goes through this recording."""
        from .recorded_transport import http_client

        return http_client(self, **options)

    @property
    def environ(self) -> dict[str, str]:
        """Returns the environment; while replaying, with stand-ins for the variables of keys that are not set."""
        found = dict(os.environ)
        if self.mode == "replay":
            from .._providers.spec import every_host

            for spec in every_host().values():
                secret = spec.keys.get(spec.credential)
                for name in secret.variables[:1] if secret and spec.base_url else ():
                    found.setdefault(name, _STAND_IN)
        return found

    @property
    def unused(self) -> int:
        """Returns how many recorded exchanges nobody has asked for."""
        return sum(not exchange.used for exchange in self._exchanges)

    def __len__(self) -> int:
        return len(self._exchanges)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.save()

    def save(self) -> None:
        """Writes the file, if there is something new."""
        for store in list(self.under_way):
            store()
        if not self._changed:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = [exchange for exchange in self._exchanges if exchange.used or self.mode != "all"]
        text = json.dumps(
            {"format": _FORMAT, "exchanges": [_written(one) for one in kept]}, indent=1, ensure_ascii=False
        )
        partial = self.path.with_name(self.path.name + ".partial")
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(self.path)
        self._changed = False

    # --- what transports and servers use -------------------------------------------------------------------------

    def described(self, method: str, url: str, content: bytes) -> RecordedRequest:
        """Returns a request in the form in which it is stored: without secrets."""
        return RecordedRequest(method=method, url=self._scrubber.url(url), body=self._json(content))

    def find(self, request: RecordedRequest) -> RecordedAnswer | None:
        """Returns the answer to a request; None if the provider is to be asked.

        Raises:
            UnrecordedRequestError: the mode is ``"replay"`` and the recording has no such request left.
        """
        fitting = [exchange for exchange in self._exchanges if self._same(exchange, request)]
        for exchange in fitting:
            if not exchange.used:
                exchange.used = True
                return exchange.answer
        if self.mode != "replay":
            return None
        raise UnrecordedRequestError(self._unrecorded(request, len(fitting)))

    def add(self, request: RecordedRequest, headers: Mapping[str, str], answer: RecordedAnswer) -> None:
        """Stores what a provider answered.

        Args:
            request: as `described` gave it.
            headers: those of the request; the credentials in them are taken out of everything.
            answer: as it came.
        """
        scrubber = self._scrubber.knowing(headers)
        scrubbed = scrubber.body(b"".join(chunk for _, chunk in answer.chunks), answer.headers.get("content-type", ""))
        chunks, start = [], 0
        for seconds, chunk in answer.chunks:
            chunks.append((round(seconds, 3), scrubbed[start : start + len(chunk)]))
            start += len(chunk)
        kept = RecordedAnswer(status=answer.status, headers=scrubber.headers(answer.headers), chunks=chunks)
        body = json.loads(scrubber.text(json.dumps(request.body, ensure_ascii=False)))
        self._exchanges.append(_Exchange(method=request.method, url=request.url, body=body, answer=kept, used=True))
        self._changed = True

    # --- how a request is known ----------------------------------------------------------------------------------

    def _json(self, content: bytes) -> Any:
        text = self._scrubber.text(content.decode("utf-8", "replace"))
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text

    def _same(self, exchange: _Exchange, request: RecordedRequest) -> bool:
        return (exchange.method, exchange.url) == (request.method, request.url) and self._compared(
            exchange.body
        ) == self._compared(request.body)

    def _compared(self, body: Any) -> Any:
        if isinstance(body, dict) and self._ignore:
            return {name: value for name, value in body.items() if name not in self._ignore}
        return body

    def _unrecorded(self, request: RecordedRequest, fitting: int) -> str:
        what = f"{request.method} {request.url}"
        advice = (
            "To record it, run pytest with --llm-record=new, or open the Recording with mode='new'; "
            "that asks the provider and needs its key."
        )
        if fitting:
            times = "once" if fitting == 1 else f"{fitting} times"
            return f"{self.path} has the request {what} {times}, and it was made once more. {advice}"
        if not self.path.is_file():
            return f"There is no recording {self.path} yet, and the request {what} was made. {advice}"
        near = [exchange for exchange in self._exchanges if exchange.url == request.url]
        if not near:
            known = ", ".join(sorted({exchange.url for exchange in self._exchanges})) or "nothing"
            return f"{self.path} has no request {what}; it has {known}. {advice}"
        found = [
            list(_differences(self._compared(exchange.body), self._compared(request.body), "")) for exchange in near
        ]
        closest = min(found, key=len)
        shown = "; ".join(closest[:_MOST_DIFFERENCES])
        more = f"; and {len(closest) - _MOST_DIFFERENCES} more" if len(closest) > _MOST_DIFFERENCES else ""
        return f"{self.path} has no such request {what}. The nearest one differs in: {shown}{more}. {advice}"


def _differences(recorded: Any, made: Any, path: str) -> Any:
    """Yields a line for each place where two JSON values differ."""
    if isinstance(recorded, dict) and isinstance(made, dict):
        for name in sorted({*recorded, *made}):
            at = f"{path}.{name}" if path else name
            if name not in recorded:
                yield f"{at} is new: {_short(made[name])}"
            elif name not in made:
                yield f"{at} is missing (recorded: {_short(recorded[name])})"
            else:
                yield from _differences(recorded[name], made[name], at)
    elif isinstance(recorded, list) and isinstance(made, list) and len(recorded) == len(made):
        for number, (one, other) in enumerate(zip(recorded, made, strict=True)):
            yield from _differences(one, other, f"{path}[{number}]")
    elif recorded != made:
        yield f"{path or 'the body'} is {_short(made)} (recorded: {_short(recorded)})"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"


def _written(exchange: _Exchange) -> dict[str, Any]:
    answer = exchange.answer
    return {
        "request": {"method": exchange.method, "url": exchange.url, "body": exchange.body},
        "answer": {
            "status": answer.status,
            "headers": dict(answer.headers),
            "chunks": [{"after": seconds, **_piece(chunk)} for seconds, chunk in answer.chunks],
        },
    }


def _piece(chunk: bytes) -> dict[str, str]:
    try:
        return {"text": chunk.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": b64encode(chunk).decode("ascii")}


def _read(path: Path) -> list[_Exchange]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["format"] != _FORMAT:
            raise ConfigurationError(f"{path} is of the format {found['format']!r}; this version reads {_FORMAT!r}")
        return [_exchange(one) for one in found["exchanges"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is no recording of asyncllm: {error!r}") from None


def _exchange(one: Mapping[str, Any]) -> _Exchange:
    chunks = [
        (piece["after"], piece["text"].encode("utf-8") if "text" in piece else b64decode(piece["base64"]))
        for piece in one["answer"]["chunks"]
    ]
    answer = RecordedAnswer(status=one["answer"]["status"], headers=one["answer"]["headers"], chunks=chunks)
    return _Exchange(**one["request"], answer=answer)
