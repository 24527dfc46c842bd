"""What a client does besides asking for replies: vectors and rankings.

Each method reads its arguments and hands over to the file that does the work, which is imported at its first use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ._checks import Fallback
from ._runtime import Runtime

if TYPE_CHECKING:
    from ._embeddings import VerbCall
    from ._schema.vectors import Embeddings, Purpose, Ranking


class Verbs(Runtime):
    """The verbs of `asyncllm.Client` whose answer is no reply; made through it."""

    async def embed(
        self,
        texts: Iterable[str],
        *,
        model: str,
        provider: str | None = None,
        dimensions: int | None = None,
        purpose: Purpose | None = None,
        fallback: Fallback | None = None,
        concurrency: int = 8,
        timeout: float | None = None,
        priority: int | None = None,
        user: str | None = None,
        agent: str | None = None,
        tags: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        extra_headers: Mapping[str, str] | None = None,
    ) -> Embeddings:
        """Embeds texts and returns their vectors in the same order.

        Args:
            texts: the texts, none of them empty; one string counts as one text. They are split by what the host takes
                in one request.
            model: the embedding model.
            provider: a configured provider; the active one by default.
            dimensions: the length of the vectors, where the model has a choice.
            purpose: what the vectors are for: "query", "document", "similarity", "classification", "clustering".
            fallback: the same model at other hosts, as ("provider", "model").
            concurrency: requests at the same time.
            timeout: the total deadline of each request, in seconds.
            priority: a higher one is served first where calls wait under a limit.
            user: for whom, in the ledger.
            agent: which agent, in the ledger.
            tags: for the ledger.
            extra_body: merged into the body of each request.
            extra_headers: added to each request.

        Returns:
            The vectors, with usage, cost and attempts.

        Raises:
            BadRequestError: a text or a keyword is wrong; nothing was sent.
            UnsupportedByProviderError: the host has no embeddings.
            AsyncLLMError: one of `asyncllm.errors`; each says what to do.
        """
        from ._embeddings import embed_texts

        asked = await self._verb_call(
            model=model,
            provider=provider,
            fallback=fallback,
            timeout=timeout,
            priority=priority,
            user=user,
            agent=agent,
            tags=tags,
            extra_body=extra_body,
            extra_headers=extra_headers,
        )
        return await embed_texts(asked, texts, dimensions=dimensions, purpose=purpose, concurrency=concurrency)

    async def rerank(
        self,
        query: str,
        documents: Iterable[str],
        *,
        model: str,
        provider: str | None = None,
        top: int | None = None,
        fallback: Fallback | None = None,
        timeout: float | None = None,
        priority: int | None = None,
        user: str | None = None,
        agent: str | None = None,
        tags: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        extra_headers: Mapping[str, str] | None = None,
    ) -> Ranking:
        """Puts documents in the order of how well they answer a query.

        Args:
            query: the question.
            documents: the texts to choose from.
            model: the model that ranks.
            provider: a configured provider; the active one by default.
            top: only the best so many; all by default.
            fallback: the same model at other hosts, as ("provider", "model").
            timeout: the total deadline in seconds.
            priority: a higher one is served first where calls wait under a limit.
            user: for whom, in the ledger.
            agent: which agent, in the ledger.
            tags: for the ledger.
            extra_body: merged into the body.
            extra_headers: added to the request.

        Returns:
            The documents with their scores, the best first.

        Raises:
            BadRequestError: a text or a keyword is wrong; nothing was sent.
            UnsupportedByProviderError: the host does not rank documents.
            AsyncLLMError: one of `asyncllm.errors`; each says what to do.
        """
        from ._embeddings import rerank_documents

        asked = await self._verb_call(
            model=model,
            provider=provider,
            fallback=fallback,
            timeout=timeout,
            priority=priority,
            user=user,
            agent=agent,
            tags=tags,
            extra_body=extra_body,
            extra_headers=extra_headers,
        )
        return await rerank_documents(asked, query, documents, top=top)

    async def _verb_call(self, **given: Any) -> VerbCall:
        from ._embeddings import read_verb_call

        said = {**self._defaults, **{name: value for name, value in given.items() if value is not None}}
        spread = self._routing.spread if self._routing.has_deployments else None
        return read_verb_call(await self._ready(), self._targeting.resolve, self._meant, said, spread)

    def _meant(self, provider: str, model: str) -> str:
        """The model behind the name of a deployment."""
        entry = self.settings.providers.get(provider)
        return model if entry is None else entry.priced_as.get(model, model)
