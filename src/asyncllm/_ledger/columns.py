"""The columns of the ledger: one row of `COLUMNS` for each fact of an attempt. All else follows from them.

An attempt has two halves. A `Head` is known before the first byte leaves; a `Settlement` when the attempt is over.
Together they are a `Record`. From the rows of `COLUMNS` follow the tables of every version in SQLite and PostgreSQL,
the values that are stored, the records that are read back, the exports, what reports can group by, and what budgets can
be limited to.

Rules:

- A new column is a field of `Head` or `Settlement` (or of the usage), one of `Record`, and a row of `COLUMNS` with the
  version of the database that brings it. No other file changes.
- A version that was released never changes; what is wrong with it is put right by the next one. `statements` gives the
  difference between a version and the one before it.
- Amounts are nano-dollars and durations seconds, stored as microseconds. What nobody knows is None, never 0.
- Text comes from callers and providers. What no database can store (lone surrogates, NUL, numbers beyond 64 bits) is
  made storable here, once.
- No content of a conversation, no key and no text of an error is ever part of a record.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

from .._schema.request import GENERATING, Operation
from .._schema.response import CostSource, Outcome
from .._schema.usage import UNKNOWN_USAGE, Usage
from .._schema.values import dataclass
from .units import MICROSECONDS, to_dollars, to_moment

CHAT: Operation = "chat"
UNBILLED = tuple(operation for operation in get_args(Operation) if operation not in GENERATING)
"""Operations that generate nothing: reports leave them out, unless they cost something or are asked for."""


class Head(NamedTuple):
    """An attempt that is about to begin. A tuple, as it is made and written for every attempt.

    Attributes:
        provider: the configured name of the provider.
        model: the model this attempt goes to.
        kind: the provider's kind, by which it is priced.
        deployment: the key, region or endpoint of the provider that is used; None where it has only one.
        operation: what the attempt is for: ``"chat"``, ``"embed"``, ``"count"``, ``"list"`` or ``"validate"``.
        requested_model: the model the call asked for.
        session: the client's session.
        call: what the attempts of one call have in common: the id of the first one; None for the first one itself.
        attempt: its number within the call, from 1.
        user: for whom, as the call says.
        agent: which agent, as the call says.
        tags: the call's own tags.
        variant: the branch of a split (A/B) that the router chose.
        input_estimate: input tokens as estimated before the call.
        output_estimate: the most output tokens to expect.
    """

    provider: str
    model: str
    kind: str = ""
    deployment: str | None = None
    operation: Operation = CHAT
    requested_model: str | None = None
    session: str = ""
    call: str | None = None
    attempt: int = 1
    user: str | None = None
    agent: str | None = None
    tags: Mapping[str, str] | None = None
    variant: str | None = None
    input_estimate: int | None = None
    output_estimate: int | None = None


class Settlement(NamedTuple):
    """How an attempt ended.

    Attributes:
        status: ``"ok"``, ``"error"``, ``"cancelled"``, ``"interrupted"``, ``"unknown"`` or ``"cached"``.
        error: the class name of the exception.
        http_status: the HTTP status, where there was an answer.
        cost: nano-dollars; None when a part of the bill is unknown.
        cost_source: who says so: ``"provider"``, the price ``"table"``, or an ``"estimate"``; None without a cost.
        unpriced_reason: why there is no cost; None where there is one.
        price_version: of the price data that ``cost`` comes from.
        saved: nano-dollars that a cache spared; None where nothing is known of one. It is what the provider's prompt
            cache spared (below 0 where writing to it cost more), or the cost of a reply that was not asked for again.
        latency: seconds from the first byte out to the end.
        first_token_latency: seconds to the first content of a stream.
        waited: seconds the attempt waited for its turn before it began.
        request_id: the provider's id of the request.
        usage: tokens by kind; its ``source`` says who counted.
    """

    status: Outcome
    error: str | None = None
    http_status: int | None = None
    cost: int | None = None
    cost_source: CostSource | None = None
    unpriced_reason: str | None = None
    price_version: str | None = None
    latency: float | None = None
    first_token_latency: float | None = None
    waited: float | None = None
    request_id: str | None = None
    saved: int | None = None
    usage: Usage = UNKNOWN_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One HTTP attempt, as the ledger keeps it; `Head` and `Settlement` say what the fields mean.

    Attributes:
        id: a ULID, made here.
        time: when the attempt was opened, UTC.
        nano_cost: nano-dollars; None when a part of the bill is unknown.
        nano_saved: what a cache spared, nano-dollars; None where nothing is known of one.
        nano_reserved: what hard and warning budgets had reserved for it, nano-dollars; None without a budget.
        recovered: its process died; it is charged at the estimate.
        score: how good somebody found the answer; see `Ledger.rate`.
        note: what they said of it.
    """

    id: str
    time: datetime
    session: str
    call: str
    attempt: int
    provider: str
    model: str
    requested_model: str
    status: Outcome
    operation: Operation = CHAT
    deployment: str | None = None
    error: str | None = None
    http_status: int | None = None
    usage: Usage = UNKNOWN_USAGE
    nano_cost: int | None = None
    cost_source: CostSource | None = None
    unpriced_reason: str | None = None
    nano_reserved: int | None = None
    nano_saved: int | None = None
    price_version: str | None = None
    latency: float | None = None
    first_token_latency: float | None = None
    waited: float | None = None
    request_id: str | None = None
    user: str | None = None
    agent: str | None = None
    tags: Mapping[str, str] | None = None
    variant: str | None = None
    recovered: bool = False
    score: float | None = None
    note: str | None = None

    @property
    def cost(self) -> Decimal | None:
        """US dollars; None when a part of the bill is unknown."""
        return None if self.nano_cost is None else to_dollars(self.nano_cost)

    @property
    def saved(self) -> Decimal | None:
        """US dollars that a cache spared; None where nothing is known of one."""
        return None if self.nano_saved is None else to_dollars(self.nano_saved)

    @property
    def excess(self) -> Decimal:
        """US dollars that it cost beyond what budgets had reserved for it; 0 without a reservation."""
        if self.nano_cost is None or self.nano_reserved is None:
            return Decimal(0)
        return to_dollars(max(0, self.nano_cost - self.nano_reserved))


# What is stored in which form

Form = Literal["word", "text", "count", "money", "duration", "moment", "json", "flag", "bucket", "score"]
"""``word`` is text of our own, ``text`` is anybody's; the numbers are integers in every database (scores in
millionths).
"""

_MOST = (1 << 63) - 1
_BUCKET_BASE = math.log(1.02)  # a bucket is 2% wide, so its middle is within 1% of every latency in it


def bucket_of(microseconds: int) -> int:
    """The bucket of a latency; reports take percentiles from buckets."""
    return round(math.log(max(microseconds, 1)) / _BUCKET_BASE)


def latency_of(bucket: int) -> float:
    """Seconds in the middle of a bucket."""
    return math.exp(bucket * _BUCKET_BASE) / MICROSECONDS


def plain(text: str | None) -> str | None:
    """The text as every database can store it."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")


def number(value: int | None) -> int | None:
    """Returns the number if it fits into 64 bits. A larger one cannot be right, so it counts as unknown."""
    return value if value is None or -_MOST <= value <= _MOST else None


def _duration(seconds: float | None) -> int | None:
    return None if seconds is None or not math.isfinite(seconds) else number(round(seconds * MICROSECONDS))


def _json(values: Mapping[str, Any]) -> str | None:
    # ensure_ascii off: what `plain` replaced must not come back as an escape.
    if not values:
        return None
    return plain(json.dumps(dict(values), ensure_ascii=False, default=dict).replace("\\u0000", "�"))


_STORED: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {"text": plain, "count": number, "money": number, "duration": _duration, "json": _json, "flag": int}
)
_REPEATED = frozenset({"text", "count", "money"})
_READ: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "moment": to_moment,
        "duration": lambda microseconds: microseconds / MICROSECONDS,
        "score": lambda millionths: millionths / MICROSECONDS,
        "json": json.loads,
        "flag": bool,
    }
)


_HEAD = Head._fields
_END = Settlement._fields[:-1]
_USAGE = tuple(field.name for field in fields(Usage) if field.name != "stated_cost")  # it is the cost
FACTS = (_HEAD, (*_END, *_USAGE))
"""What frames of a journal hold, in this order: what is known before an attempt, and after it."""
_ALL = ("id", "time", *_HEAD, *_END, *_USAGE, "reserved", "charged", "recovered")
_AT: Mapping[str, int] = MappingProxyType({name: place for place, name in enumerate(_ALL)})
_Facts = tuple[Any, ...]


class Column(NamedTuple):
    """A fact about an attempt.

    Attributes:
        name: of the column.
        form: how it is stored, read back and exported.
        of: where its value is: a field of `Head`, `Settlement` or `Usage` (its own name where empty), or a function of
            all of them in the order of `_ALL`.
        field: the field of `Record`, or of its usage, that it is read into; its own name where empty, and None for a
            column that only the ledger itself uses, which is in no record and no export.
        since: the version of the database that brought it.
        default: what records of earlier versions have there.
        null: whether it may be unknown.
        dimension: whether reports group by it.
        scope: whether budgets can be limited to a value of it.
    """

    name: str
    form: Form
    of: str | Callable[[_Facts], Any] = ""
    field: str | None = ""
    since: int = 1
    default: str | None = None
    null: bool = True
    dimension: bool = False
    scope: bool = False


def _or(first: str, second: str) -> Callable[[_Facts], Any]:
    one, other = _AT[first], _AT[second]
    return lambda facts: facts[one] or facts[other]


def _bucket(facts: _Facts) -> int | None:
    latency = _duration(facts[_AT["latency"]])
    return bucket_of(latency) if latency is not None and facts[_AT["status"]] == "ok" else None


def _unknown(facts: _Facts) -> None:
    """What is known later only."""


_DETAILS = ("cache_write_tokens_by_ttl", "provider_tool_requests", "speed", "region")
_detail_values = itemgetter(*map(_AT.__getitem__, _DETAILS))


def _details(facts: _Facts) -> Mapping[str, Any] | None:
    values = _detail_values(facts)
    if values == (None,) * len(_DETAILS):
        return None
    return {name: value for name, value in zip(_DETAILS, values, strict=True) if value is not None}


COLUMNS: tuple[Column, ...] = (
    Column("id", "word", null=False),
    Column("time", "moment", null=False),
    Column("session", "word", null=False, dimension=True),
    Column("call", "word", _or("call", "id"), null=False),
    Column("attempt", "count", null=False),
    Column("operation", "word", since=3, default=CHAT, null=False, dimension=True),
    Column("provider", "text", null=False, dimension=True, scope=True),
    Column("deployment", "text", since=3, dimension=True, scope=True),
    Column("model", "text", null=False, dimension=True, scope=True),
    Column("requested_model", "text", _or("requested_model", "model"), null=False, dimension=True),
    Column("status", "word", null=False, dimension=True),
    Column("error", "word", dimension=True),
    Column("http_status", "count"),
    Column("input_tokens", "count"),
    Column("output_tokens", "count"),
    Column("total_tokens", "count"),
    Column("cache_read_tokens", "count"),
    Column("cache_write_tokens", "count"),
    Column("reasoning_tokens", "count"),
    Column("input_audio_tokens", "count"),
    Column("output_audio_tokens", "count"),
    Column("input_image_tokens", "count"),
    Column("output_image_tokens", "count"),
    Column("usage_details", "json", _details),
    Column("service_tier", "text", since=3, dimension=True),
    Column("usage_source", "word", "source", "source", null=False),
    Column("cost", "money", field="nano_cost"),
    Column("cost_source", "word", since=3, dimension=True),
    Column("unpriced_reason", "word", since=3, dimension=True),
    Column("reserved", "money", field="nano_reserved"),
    Column("charged", "money", field=None),
    Column("saved", "money", field="nano_saved", since=4),
    Column("price_version", "word"),
    Column("latency", "duration"),
    Column("first_token_latency", "duration"),
    Column("waited", "duration"),
    Column("latency_bucket", "bucket", _bucket, field=None),
    Column("request_id", "text"),
    Column("user", "text", dimension=True, scope=True),
    Column("agent", "text", dimension=True, scope=True),
    Column("tags", "json"),
    Column("variant", "text", dimension=True),
    Column("recovered", "flag", null=False),
    Column("score", "score", _unknown, since=5),
    Column("note", "text", _unknown, since=5),
)

NAMES = tuple(column.name for column in COLUMNS)
RATED = ("score", "note")
"""What is written after an attempt is settled; a record that is written once more keeps it."""
DIMENSIONS = tuple(column.name for column in COLUMNS if column.dimension)
SCOPES = tuple(column.name for column in COLUMNS if column.scope)
TOKENS = tuple(column.name for column in COLUMNS if column.name.endswith("_tokens"))
INTEGERS = frozenset(column.name for column in COLUMNS if column.form not in ("word", "text", "json"))
EXPORTED = tuple(column for column in COLUMNS if column.field is not None)
PLACE: Mapping[str, int] = MappingProxyType({name: place for place, name in enumerate(NAMES)})

# From the two halves of an attempt to a row

usage_facts: Callable[[Usage], tuple[Any, ...]] = attrgetter(*_USAGE)
"""The counts of a usage in the order of their columns."""


def end_facts(settlement: Settlement) -> tuple[Any, ...]:
    """What is known after an attempt, as one tuple."""
    return settlement[:-1] + usage_facts(settlement[-1])


_WRITTEN = tuple(
    (
        column.name,
        _AT[column.of or column.name] if isinstance(column.of, str) else 0,
        None if isinstance(column.of, str) else column.of,
        _STORED.get(column.form),
        column.form in _REPEATED,
    )
    for column in COLUMNS
)
"""How a column is filled: its name, the place of its value or a function, and how that is made storable."""


def record_columns(attempts: Sequence[_Facts]) -> dict[str, Sequence[Any]]:
    """Returns the values of `COLUMNS` for attempts that are over, column by column: name -> a value for each attempt.

    A thousand attempts have few different words and numbers in a column, so this takes a third of the time that they
    take one by one.

    Args:
        attempts: what is known of each, in the order of `_ALL`: the id, microseconds since 1970, the values of its
            `Head`, those of `end_facts`, the nano-dollars that budgets reserved and that they were charged, and whether
            its process died.
    """
    facts = list(zip(*attempts, strict=True))
    count = len(attempts)
    found: dict[str, Sequence[Any]] = {}
    for name, place, of, stored, repeated in _WRITTEN:
        values: Sequence[Any] = facts[place] if of is None else [of(one) for one in attempts]
        if stored is not None and values.count(None) != count:
            if repeated:  # each different value is looked at once
                changed = {one: new for one in set(values) if one is not None and (new := stored(one)) is not one}
                if changed:
                    values = [changed.get(one, one) for one in values]
            else:
                values = [None if one is None else stored(one) for one in values]
        found[name] = values
    return found


def record_rows(attempts: Sequence[_Facts]) -> list[tuple[Any, ...]]:
    """Returns a row of `COLUMNS` for each attempt. `record_columns` says what an attempt is."""
    return list(zip(*record_columns(attempts).values(), strict=True)) if attempts else []


_COUNTED = frozenset(_USAGE)


def record_of(row: Sequence[Any]) -> Record:
    """The record of a row of `COLUMNS`."""
    found: dict[str, Any] = {}
    counted: dict[str, Any] = {}
    for column, value in zip(COLUMNS, row, strict=True):
        name = column.name if column.field == "" else column.field
        if name is not None:
            read = None if value is None else _READ.get(column.form)
            (counted if name in _COUNTED else found)[name] = value if read is None else read(value)
    details = found.pop("usage_details") or {}
    return Record(usage=Usage(**{**counted, **details}), **found)


def head_text(head: tuple[Any, ...]) -> str:
    """A head as the JSON that a row of an open attempt holds."""
    known = {name: value for name, value in zip(_HEAD, head, strict=True) if value is not None}
    return plain(json.dumps(known, default=dict)) or ""


_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        **Head._field_defaults,
        **Settlement._field_defaults,
        **{field.name: field.default for field in fields(Usage) if field.default is not MISSING},
    }
)


def in_this_order(values: Sequence[Any], names: Sequence[str], wanted: Sequence[str]) -> tuple[Any, ...]:
    """Returns facts that another version wrote in its own order in our order. What it did not write is unknown."""
    known = dict(zip(names, values, strict=True))
    return tuple([known.get(name, _DEFAULTS.get(name)) for name in wanted])


def head_of(text: str) -> Head:
    """Returns the head of a row of an open attempt. Facts of a later version are left out."""
    return Head(**{name: value for name, value in json.loads(text).items() if name in _HEAD})


# The tables of every version

JOB_COLUMNS = ("id", "created", "expires_at", "state", "data")
OPEN_COLUMNS = ("id", "owner", "time", "head", "amount", "charges")
REFUSAL_KEYS = ("budget", "provider", "model", "user")
WINDOW_COLUMNS = ("spent", "reserved", "excess", "raised", "forgiven", "alerted")


class Types(NamedTuple):
    """The names of a database's types.

    Attributes:
        text: compared byte by byte, as ids are.
        integer: of 64 bits.
        keyed: what follows a table that is kept in the order of its key.
        covering: whether an index that holds all that a report reads pays.
    """

    text: str
    integer: str
    keyed: str
    covering: bool


SQLITE = Types("TEXT", "INTEGER", " WITHOUT ROWID", covering=True)
POSTGRES = Types('TEXT COLLATE "C"', "BIGINT", "", covering=False)

VERSION = 5
_BY_MODEL = "CREATE INDEX records_by_model ON records (provider, model, latency_bucket, id, time, status, cost, "
_ROLLED_UP_BY = (
    *("operation", "provider", "deployment", "model", "requested_model", "status", "error", "service_tier"),
    *("cost_source", "unpriced_reason", "user", "agent", "variant", "tags"),
)
_ROLLED_UP = (
    *("latency", "requests", "calls", "failures", "unpriced", "cost", "saved", "retry_cost", "fallback_cost", "rated"),
    *("score", "input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "input_audio_tokens", "output_audio_tokens", "input_image_tokens", "output_image_tokens"),
)
_V2_TOKENS = (
    "input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, input_audio_tokens, "
    "output_audio_tokens, input_image_tokens, output_image_tokens"
)


def statements(version: int, types: Types) -> Iterator[str]:
    """Returns the statements that bring a database from the previous version to this one. Run them in one
    transaction.
    """
    new = [_definition(column, types) for column in COLUMNS if column.since == version]
    if version == 1:
        yield f"CREATE TABLE records ({', '.join(new)}){types.keyed}"
        yield from _first_tables(types)
    else:
        yield from (f"ALTER TABLE records ADD COLUMN {definition}" for definition in new)
    if version == 2 and types.covering:
        yield f"{_BY_MODEL}{_V2_TOKENS})"
    if version == 3:
        yield "CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL)"
        yield (
            f"CREATE TABLE journals (owner TEXT NOT NULL, n {types.integer} NOT NULL, folded {types.integer} NOT NULL, "
            f"PRIMARY KEY (owner, n)){types.keyed}"
        )
    if version == 3 and not types.covering:
        yield "CREATE TABLE owners (owner TEXT PRIMARY KEY, alive_until TIMESTAMPTZ NOT NULL)"
    if version == 4:
        yield (
            f"CREATE TABLE jobs (id {types.text} PRIMARY KEY, created {types.integer} NOT NULL, "
            f"expires_at {types.integer}, state TEXT NOT NULL, data TEXT NOT NULL){types.keyed}"
        )
        named = [f'"{name}"' for name in REFUSAL_KEYS]
        yield (
            f"CREATE TABLE refusals (hour {types.integer} NOT NULL, "
            + "".join(f"{name} {types.text} NOT NULL, " for name in named)
            + f"count {types.integer} NOT NULL, PRIMARY KEY (hour, {', '.join(named)})){types.keyed}"
        )
    if version == 3 and types.covering:
        yield "DROP INDEX records_by_model"
        yield f"{_BY_MODEL}operation, attempt, latency, total_tokens, {_V2_TOKENS})"
    if version == 4 and types.covering:
        yield "DROP INDEX records_by_model"
        yield f"{_BY_MODEL}operation, attempt, latency, total_tokens, saved, {_V2_TOKENS})"
    if version == 5:
        yield from _roll_ups(types)


def _roll_ups(types: Types) -> Iterator[str]:
    """The tables of the roll-ups, and indexes for what they do not answer."""
    if types.covering:
        yield "DROP INDEX records_by_model"
    text, integer = types.text, types.integer
    yield 'CREATE INDEX records_by_user ON records ("user", id) WHERE "user" IS NOT NULL'
    yield "CREATE INDEX records_by_status ON records (status, id) WHERE status <> 'ok'"
    keys = "".join(f'"{name}" {text}, ' for name in _ROLLED_UP_BY)
    figures = "".join(f'"{name}" {integer}, ' for name in _ROLLED_UP)
    yield (
        f"CREATE TABLE sums (kind {integer} NOT NULL, level {integer} NOT NULL, start {integer} NOT NULL, "
        f"n {integer} NOT NULL, billed {integer} NOT NULL, {keys}singles {text}, runs {text}, {figures}"
        f"PRIMARY KEY (kind, level, start, n)){types.keyed}"
    )
    yield (
        f"CREATE TABLE rolled (start {integer} NOT NULL, level {integer} NOT NULL, state {integer} NOT NULL, "
        f"hourly {integer} NOT NULL, builder {text} NOT NULL, PRIMARY KEY (start, level)){types.keyed}"
    )


def _definition(column: Column, types: Types) -> str:
    kind = types.integer if column.name in INTEGERS else types.text
    key = " PRIMARY KEY" if column.name == "id" else " NOT NULL" if not column.null else ""
    default = "" if column.default is None else f" DEFAULT '{column.default}'"
    return f'"{column.name}" {kind}{key}{default}'


def _first_tables(types: Types) -> Iterator[str]:
    text, integer = types.text, types.integer
    yield (
        f"CREATE TABLE opened (id {text} PRIMARY KEY, owner TEXT NOT NULL, time {integer} NOT NULL, "
        f"head TEXT NOT NULL, amount {integer}, charges TEXT){types.keyed}"
    )
    amounts = ", ".join(f"{name} {integer}" for name in WINDOW_COLUMNS)
    yield (
        f"CREATE TABLE windows (key TEXT NOT NULL, start {integer} NOT NULL, {amounts}, "
        f"PRIMARY KEY (key, start)){types.keyed}"
    )
