"""Vectors of texts and rankings of documents: `Client.embed` and `Client.rerank`.

The rules:

* Texts are split by what the host takes in one request, sent at the same time, and given back in their order.
* Vectors of two models cannot be compared, so a failure goes on only to the same model at another host.
* A request that turns out too large for the host is halved.
* Each HTTP attempt is one of the engine's: booked, limited, budgeted, retried.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import anyio

from . import _checks
from ._checks import Fallback
from ._engine.attempt import Engine
from ._engine.call import Call, Patience, Payer, Question
from ._engine.questions import use_verb, verb_of, write_verb
from ._engine.target import Target
from ._models.text_tokens import likely_tokens, most_tokens
from ._options import KEYWORDS
from ._protocols.codec import Most
from ._schema.request import Operation, Request
from ._schema.response import Attempt
from ._schema.usage import Usage, add_usage
from ._schema.values import dataclass
from ._schema.vectors import Embedded, Embeddings, EmbedRequest, Purpose, Ranked, Ranking, Reranked, RerankRequest
from .errors import (
    AsyncLLMError,
    BadRequestError,
    ContextWindowExceededError,
    ProtocolError,
    RequestTooLargeError,
)

__all__ = ["VerbCall", "embed_texts", "read_verb_call", "rerank_documents"]

_PURPOSES: tuple[str, ...] = get_args(Purpose)
_QUESTION = Question(write=write_verb, free=False)
_log = logging.getLogger("asyncllm")


Spread = Callable[[Sequence[Target], Request, "str | None"], tuple[Target, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbCall:
    """What the calls of one verb have in common.

    Attributes:
        engine: of the client.
        targets: the same model at one host or several.
        spread: the targets in the order for one request, one for each deployment of an entry.
        patience: how each request waits.
        payer: for whom it is made.
        extra_body: merged into each body.
        extra_headers: added to each request.
    """

    engine: Engine
    targets: tuple[Target, ...]
    spread: Spread | None
    patience: Patience
    payer: Payer
    extra_body: Mapping[str, Any] | None = None
    extra_headers: Mapping[str, str] | None = None

    @property
    def model(self) -> str:
        """The model that is asked for."""
        return self.targets[0].model

    def most(self, operation: Operation) -> Most:
        """How much one request may hold, at each of the hosts.

        Raises:
            UnsupportedByProviderError: one of them has no such operation.
        """
        bounds = []
        for target in self.targets:
            host = target.provider
            verb, dialect = verb_of(host.resolve(operation, target.model, None).protocol, operation, host.name)
            bounds.append(verb.most(target.model, dialect))
        tokens = [bound.tokens for bound in bounds if bound.tokens is not None]
        return Most(items=min([bound.items for bound in bounds]), tokens=min(tokens, default=None))

    def call(self, request: EmbedRequest | RerankRequest, operation: Operation, tokens: int) -> Call:
        """One call of the engine."""
        text = request.texts[0] if isinstance(request, EmbedRequest) else request.query
        return Call(
            self.engine,
            self.targets if self.spread is None else self.spread(self.targets, request, text),
            request,
            self.patience,
            self.payer,
            operation=operation,
            question=_QUESTION,
            expected=(tokens, 0),
        )


def read_verb_call(
    engine: Engine,
    resolve: Callable[[str | None, str | None, Fallback], tuple[Target, ...]],
    meant: Callable[[str, str], str],
    given: Mapping[str, Any],
    spread: Spread | None = None,
) -> VerbCall:
    """Checks the keywords of a verb that have no special meaning for it.

    Args:
        engine: of the client.
        resolve: provider, model and fallback -> targets.
        meant: (provider, model) -> the model behind the name of a deployment.
        given: the keywords; None stands for not given.
        spread: orders the deployments of an entry; None where no entry has several.

    Raises:
        BadRequestError: one of them is wrong, or the fallback is another model.
        ConfigurationError: there is no such provider.
    """
    said = {name: KEYWORDS[name].read(name, value) for name, value in given.items() if value is not None}
    if "model" not in said:
        raise BadRequestError("model must name the model to ask, such as text-embedding-3-small")
    targets = resolve(said.get("provider"), said["model"], said.get("fallback", ()))
    names = [meant(target.provider.name, target.model).rpartition("/")[2].lower() for target in targets]
    for target, name in zip(targets, names, strict=True):
        if name != names[0]:
            raise BadRequestError(
                f"fallback names {target}, which is another model than {targets[0].model}: answers of two models "
                "cannot be compared; name the same model at another provider"
            )
    total = targets[0].timeouts.total
    return VerbCall(
        engine=engine,
        targets=targets,
        spread=spread,
        patience=Patience(total=said.get("timeout", total), priority=said.get("priority", 0)),
        payer=Payer(user=said.get("user"), agent=said.get("agent"), tags=said.get("tags")),
        extra_body=said.get("extra_body"),
        extra_headers=said.get("extra_headers"),
    )


def _read_texts(keyword: str, texts: Iterable[str]) -> tuple[str, ...]:
    if isinstance(texts, Mapping) or (not isinstance(texts, (str, list, tuple)) and hasattr(texts, "columns")):
        raise BadRequestError(  # iterating them gives the names of columns, or the keys
            f"{keyword} must be a list of strings, not a {type(texts).__name__}: give one of its columns"
        )
    given = (texts,) if isinstance(texts, str) else tuple(texts) if isinstance(texts, Iterable) else None
    if given is None:
        raise BadRequestError(f"{keyword} must be a list of strings, not {type(texts).__name__}")
    if not given:
        raise BadRequestError(f"{keyword} must hold at least one text")
    for at, text in enumerate(given):
        if not isinstance(text, str) or not text:
            raise BadRequestError(f"{keyword}[{at}] must be a string that is not empty")
    return given


# --- embeddings ------------------------------------------------------------------------------------------------------


async def embed_texts(
    asked: VerbCall,
    texts: Iterable[str],
    *,
    dimensions: int | None,
    purpose: Purpose | None,
    concurrency: int,
) -> Embeddings:
    """The vectors of some texts, in their order.

    Args:
        asked: what all requests have in common.
        texts: the texts.
        dimensions: the length of the vectors; None for the model's own.
        purpose: what they are for.
        concurrency: requests at the same time.

    Raises:
        BadRequestError: a text or a keyword is wrong; nothing was sent.
        AsyncLLMError: a request failed at every host.
    """
    given = _read_texts("texts", texts)
    if dimensions is not None:
        _checks.positive("dimensions", dimensions)
    if purpose is not None and purpose not in _PURPOSES:
        raise BadRequestError(f"purpose must be one of {', '.join(_PURPOSES)}, not {purpose!r}")
    _checks.positive("concurrency", concurrency)
    request = EmbedRequest(
        model=asked.model,
        messages=(),
        dimensions=dimensions,
        purpose=purpose,
        extra_body=asked.extra_body,
        extra_headers=asked.extra_headers,
    )
    chunks = [replace(request, texts=tuple(part)) for part in _split(given, asked.most("embed"))]
    answers = await _together([partial(_embed, asked, chunk) for chunk in chunks], concurrency)
    return _joined([found for part in answers for found in part], asked.model)


_Answer = tuple[Embedded, Call]


async def _embed(asked: VerbCall, request: EmbedRequest) -> list[_Answer]:
    """The vectors of one request, or of its halves where it is too large."""
    call = asked.call(request, "embed", sum([likely_tokens(text) for text in request.texts]))

    def check(value: Embedded) -> None:
        lengths = {len(vector) for vector in value.vectors}
        if len(value.vectors) != len(request.texts) or len(lengths) != 1:
            raise ProtocolError(
                f"the provider answered {len(value.vectors)} vectors of {len(lengths)} lengths to "
                f"{len(request.texts)} texts"
            )
        if request.dimensions is not None and lengths != {request.dimensions}:
            raise ProtocolError(
                f"the vectors have {lengths.pop()} dimensions instead of {request.dimensions}: this host or model does "
                "not know the keyword; leave dimensions out"
            )

    try:
        return [(await use_verb(call, check), call)]
    except (RequestTooLargeError, ContextWindowExceededError):
        if len(request.texts) == 1:
            raise
    half = len(request.texts) // 2
    first = await _embed(asked, replace(request, texts=request.texts[:half]))
    return [*first, *await _embed(asked, replace(request, texts=request.texts[half:]))]


def _split(texts: Sequence[str], most: Most) -> Iterator[Sequence[str]]:
    """The texts in parts that each fit into one request."""
    start, tokens = 0, 0.0
    for at, text in enumerate(texts):
        size = 0.0 if most.tokens is None else most_tokens(text)
        full = most.tokens is not None and tokens + size > most.tokens
        if at > start and (at - start >= most.items or full):
            yield texts[start:at]
            start, tokens = at, 0.0
        tokens += size
    yield texts[start:]


async def _together(works: Sequence[Callable[[], Any]], concurrency: int) -> list[Any]:
    """The results of all works, in their order; the first failure ends the others and is raised."""
    if len(works) == 1:
        return [await works[0]()]
    results: list[Any] = [None] * len(works)
    failures: list[AsyncLLMError] = []
    places = anyio.CapacityLimiter(concurrency)

    async def work(at: int) -> None:
        async with places:
            try:
                results[at] = await works[at]()
            except AsyncLLMError as error:
                failures.append(error)
                tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for at in range(len(works)):
            tasks.start_soon(work, at)
    if failures:
        raise failures[0]
    return results


def _joined(answers: Sequence[_Answer], model: str) -> Embeddings:
    vectors = tuple([vector for value, _ in answers for vector in value.vectors])
    lengths = sorted({len(vector) for vector in vectors})
    if len(lengths) != 1:
        raise ProtocolError(f"{model} answered vectors of different lengths: {', '.join(map(str, lengths))}")
    bill = _bill(answers)
    attempts = tuple([record for _, call in answers for record in call.records])
    found = Embeddings(
        vectors=vectors,
        dimensions=lengths[0],
        provider=attempts[-1].provider,
        model=answers[0][0].model or attempts[-1].model,
        requested_model=model,
        attempts=attempts,
        warnings=tuple(dict.fromkeys([warning for _, call in answers for warning in call.warnings])),
        **bill,
    )
    _log_line(found, f"{len(vectors)} vectors of {lengths[0]} dimensions")
    return found


def _bill(answers: Sequence[tuple[Any, Call]]) -> dict[str, Any]:
    """Usage and cost of the attempts that answered."""
    paid: list[Attempt] = [call.records[-1] for _, call in answers]
    usage: Usage = paid[0].usage
    for record in paid[1:]:
        usage = add_usage(usage, record.usage)
    costs = [record.cost for record in paid if record.cost is not None]
    if len(costs) < len(paid):
        reason = next(record.unpriced_reason for record in paid if record.cost is None)
        return {"usage": usage, "unpriced_reason": reason}
    sources = {record.cost_source for record in paid}
    source = sources.pop() if len(sources) == 1 else "estimate"
    return {"usage": usage, "cost": sum(costs[1:], costs[0]), "cost_source": source}


def _log_line(found: Embeddings | Ranking, what: str) -> None:
    if _log.isEnabledFor(logging.INFO):
        cost = "unknown" if found.cost is None else f"${found.cost:f}"
        _log.info(
            "%s/%s answered: %s, %s tokens in, cost %s",
            found.provider,
            found.model,
            what,
            found.usage.input_tokens,
            cost,
            extra={
                "event": what.partition(" ")[2] or what,
                "provider": found.provider,
                "model": found.model,
                "input_tokens": found.usage.input_tokens,
                "cost": found.cost,
            },
        )


# --- rankings --------------------------------------------------------------------------------------------------------


async def rerank_documents(asked: VerbCall, query: str, documents: Iterable[str], *, top: int | None) -> Ranking:
    """Documents in the order of how well they answer a query.

    Args:
        asked: what all requests have in common.
        query: the question.
        documents: the documents.
        top: only the best so many; None for all.

    Raises:
        BadRequestError: a text or a keyword is wrong; nothing was sent.
        AsyncLLMError: the request failed at every host.
    """
    query, given = _checks.name("query", query), _read_texts("documents", documents)
    if isinstance(documents, str):
        raise BadRequestError("documents must be a list of strings, not one string")
    if top is not None:
        _checks.positive("top", top)
    most = asked.most("rerank").items
    if len(given) > most:
        raise BadRequestError(f"documents has {len(given)} texts and the host takes at most {most}; rank fewer at once")
    request = RerankRequest(
        model=asked.model,
        messages=(),
        query=query,
        documents=given,
        top=top,
        extra_body=asked.extra_body,
        extra_headers=asked.extra_headers,
    )
    call = asked.call(request, "rerank", likely_tokens(query) + sum([likely_tokens(text) for text in given]))

    def check(value: Reranked) -> None:
        if any(not 0 <= place < len(given) for place, _ in value.scores):
            raise ProtocolError("the provider ranked a document that it was not given")

    value: Reranked = await use_verb(call, check)
    found = Ranking(
        results=tuple([Ranked(index=at, score=score, document=given[at]) for at, score in value.scores[:top]]),
        provider=call.records[-1].provider,
        model=value.model or call.records[-1].model,
        requested_model=asked.model,
        attempts=tuple(call.records),
        **_bill([(value, call)]),
    )
    _log_line(found, f"{len(found)} documents in order")
    return found
