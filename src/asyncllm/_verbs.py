"""What a client does besides asking for replies: vectors, rankings, batches and files.

Each method reads its arguments and hands over to the file that does the work, which is imported at its first use.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

from typing_extensions import TypeForm, Unpack

from . import _checks
from ._checks import Fallback, JSONFormat
from ._engine.intake import read_call
from ._options import KEYWORDS, CallOptions
from ._runtime import Runtime
from ._schema.request import Request
from .errors import AsyncLLMError, ConfigurationError

T = TypeVar("T")
if TYPE_CHECKING:
    from ._batches.batch_facts import BatchDesk
    from ._batches.batch_job import Batch
    from ._batches.batch_making import BatchPlan
    from ._batches.batch_map import Make
    from ._embeddings import VerbCall
    from ._engine.attempt import Engine
    from ._engine.target import Target
    from ._files import Cabinet
    from ._map.item import Item
    from ._schema.response import Response
    from ._schema.stored_files import File
    from ._schema.vectors import Embeddings, Purpose, Ranking
    from .bulk import Inputs


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

    @overload
    async def batch(
        self,
        inputs: Inputs,
        *,
        id: str | None = None,
        storage: str | None = None,
        role: str | None = None,
        response_format: None = None,
        **options: Unpack[CallOptions],
    ) -> Batch[None]: ...
    @overload
    async def batch(
        self,
        inputs: Inputs,
        *,
        id: str | None = None,
        storage: str | None = None,
        role: str | None = None,
        response_format: JSONFormat,
        **options: Unpack[CallOptions],
    ) -> Batch[Any]: ...
    @overload
    async def batch(
        self,
        inputs: Inputs,
        *,
        id: str | None = None,
        storage: str | None = None,
        role: str | None = None,
        response_format: TypeForm[T],
        **options: Unpack[CallOptions],
    ) -> Batch[T]: ...
    async def batch(
        self,
        inputs: Inputs,
        *,
        id: str | None = None,
        storage: str | None = None,
        role: str | None = None,
        response_format: Any = None,
        **options: Unpack[CallOptions],
    ) -> Batch[Any]:
        """Gives many inputs to the provider at once, to be answered within a day at the price of batches.

        Args:
            inputs: prompts, lists of messages, or dicts with ``messages`` and keywords of their own.
            id: what the batch is called; the same line in another process then joins it. A ULID by default.
            storage: a folder of a bucket of yours, for Vertex AI ("gs://bucket/folder") and Bedrock
                ("s3://bucket/folder").
            role: the IAM role that Bedrock reads and writes the bucket with.
            response_format: the type or format of each answer.
            **options: keywords of `send` for every input; those about retries and fallback have no meaning here.

        Returns:
            The batch: ``wait()`` for it, then iterate it for an `Item` of each input.

        Raises:
            BadRequestError: an input or a keyword is wrong; nothing was sent.
            UnsupportedByProviderError: the provider has no batches.
            BudgetExceededError: a hard budget has no room for all inputs; nothing was sent.
            ConnectionLostError: whether the batch was made is not known, and the provider cannot be asked.
            AsyncLLMError: one of `asyncllm.errors`; each says what to do.
        """
        from ._batches.batch_making import make_batch

        plan = await self._prepare_batch(inputs, response_format, options)
        for item in plan.refused:
            error = item.error
            if isinstance(error, AsyncLLMError):
                error.tell(f"It is input {item.index} of the batch.")
            raise error or AssertionError
        return await make_batch(
            plan.desk,
            plan.target,
            plan.ready,
            id=id,
            parse=plan.parse,
            timeout=plan.timeout,
            storage=storage,
            role=role,
        )

    async def open_batch(self, id: str, *, response_format: Any = None) -> Batch[Any]:
        """Opens a batch that was made before, by any process on the same ledger.

        Args:
            id: of the batch.
            response_format: the type or format that each answer is read as.

        Raises:
            BatchError: the ledger has no such batch.
            ConfigurationError: the configuration has no such provider any more.
        """
        from ._batches.batch_job import open_batch

        parse = self._parse_of(response_format)
        return await open_batch(self._batch_desk(await self._ready()), _checks.name("id", id), parse)

    async def batches(self) -> tuple[Batch[Any], ...]:
        """All batches that the ledger knows of providers in the configuration, the newest first."""
        from ._batches.batch_job import Batch

        desk = self._batch_desk(await self._ready())
        found = []
        for row in await desk.ledger.jobs():
            with suppress(ConfigurationError):
                found.append(Batch(desk, row, self._parse_of(None), {}))
        return tuple(found)

    async def _prepare_batch(
        self, inputs: Any, response_format: Any, options: Mapping[str, Any], places: Sequence[int] | None = None
    ) -> BatchPlan:
        from ._batches.batch_making import BatchPlan, prepare

        given = {**self._defaults, **options}
        desk = self._batch_desk(await self._ready())

        place = {name: given.pop(name, None) for name in ("provider", "model")}
        hooks, engine = desk.engine.hooks, desk.engine

        async def read(messages: Any, said: Mapping[str, Any]) -> tuple[Request, Mapping[str, Any]]:
            asked = read_call(messages, response_format, said, self._formats)
            whose = {"user": asked.user, "agent": asked.agent, "tags": asked.tags}
            if hooks is None:
                return asked.request, whose
            target = desk.aim(place["provider"], place["model"], None)
            return await hooks.line(asked.request, target, engine.new_id, whose), whose

        ready, refused = await prepare(inputs, given, read, places)
        for name, value in place.items():
            if value is not None:
                KEYWORDS[name].read(name, value)
        timeout = given.get("timeout")
        return BatchPlan(
            desk=desk,
            target=desk.aim(place["provider"], place["model"], None),
            ready=ready,
            refused=refused,
            parse=self._parse_of(response_format),
            timeout=None if timeout is None else KEYWORDS["timeout"].read("timeout", timeout),
        )

    def _batch_for_map(self, response_format: Any, options: Mapping[str, Any]) -> Make:
        """What a map makes its batch with."""

        async def make(
            missing: Sequence[tuple[int, Any]], id: str | None
        ) -> tuple[Batch[Any] | None, Sequence[Item[Any]]]:
            from ._batches.batch_job import open_batch
            from ._batches.batch_making import make_batch

            desk = self._batch_desk(await self._ready())
            rows = [] if id is None else await desk.ledger.jobs(id)
            if rows and rows[0].state != "creating":
                return await open_batch(desk, rows[0].id, self._parse_of(response_format)), ()
            places = [index for index, _ in missing]
            plan = await self._prepare_batch([said for _, said in missing], response_format, options, places)
            if not plan.ready:
                return None, plan.refused
            made = await make_batch(desk, plan.target, plan.ready, id=id, parse=plan.parse, timeout=plan.timeout)
            return made, plan.refused

        return make

    def _batch_desk(self, engine: Engine) -> BatchDesk:
        from ._batches.batch_facts import BatchDesk, kept_ledger

        def aim(provider: str | None, model: str | None, deployment: str | None) -> Target:
            target = self._targeting.resolve(provider, model, [])[0]
            if not self._routing.has_deployments:
                return target
            if deployment is None:
                return self._routing.spread((target,), Request(model=target.model, messages=()), None)[0]
            group = self._targeting.group(target)
            named = [] if group is None else [one for one in group.targets if one.provider.deployment == deployment]
            if not named:
                raise ConfigurationError(f"providers.{provider} has no deployment {deployment!r} any more")
            return named[0]

        return BatchDesk(engine=engine, books=self._books, ledger=kept_ledger(self._books.ledger), aim=aim)

    def _parse_of(self, response_format: Any) -> Callable[[Response[Any]], Response[Any]]:
        parse = self._formats.read(response_format).parse
        return lambda reply: reply if parse is None else replace(reply, parsed=parse(reply))

    async def upload(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        name: str | None = None,
        media_type: str | None = None,
        provider: str | None = None,
        timeout: float | None = None,
    ) -> File:
        """Uploads a file to a provider, and returns it as something that messages to that provider take as a part.

        Content that is there already is not uploaded again.

        Args:
            source: the path of the file, or its content.
            name: its name; that of the path by default.
            media_type: of its content; by default what its first bytes and its name say.
            provider: a configured provider; the active one by default.
            timeout: seconds for each HTTP request; the configuration's by default.

        Raises:
            BadRequestError: the file cannot be read.
            UnsupportedByProviderError: the provider stores no files.
            AsyncLLMError: one of `asyncllm.errors`; each says what to do.
        """
        from ._files import read_file

        cabinet = await self._cabinet(provider, timeout)
        return await cabinet.upload(await read_file(source, name, media_type))

    async def files(self, provider: str | None = None) -> tuple[File, ...]:
        """The files that a provider stores for this account.

        Args:
            provider: a configured provider; the active one by default.

        Raises:
            UnsupportedByProviderError: the provider stores no files.
        """
        return await (await self._cabinet(provider, None)).list()

    async def delete_file(self, file: File | str, *, provider: str | None = None) -> None:
        """Deletes a file at its provider.

        Args:
            file: the file, or its id.
            provider: where an id belongs; the active one by default.

        Raises:
            NotFoundError: it is not there.
        """
        named = isinstance(file, str)
        cabinet = await self._cabinet(provider if named else file.provider, None)  # type: ignore[union-attr]
        await cabinet.delete(file if named else file.id)  # type: ignore[arg-type, union-attr]

    async def _cabinet(self, provider: str | None, timeout: float | None) -> Cabinet:
        from ._files import Cabinet

        seconds = None if timeout is None else KEYWORDS["timeout"].read("timeout", timeout)
        if provider is not None:
            _checks.name("provider", provider)
        engine = await self._ready()
        return Cabinet(engine, self._targeting.resolve(provider, None, [])[0], seconds)

    async def _verb_call(self, **given: Any) -> VerbCall:
        from ._embeddings import read_verb_call

        said = {**self._defaults, **{name: value for name, value in given.items() if value is not None}}
        spread = self._routing.spread if self._routing.has_deployments else None
        return read_verb_call(await self._ready(), self._targeting.resolve, self._meant, said, spread)

    def _meant(self, provider: str, model: str) -> str:
        """The model behind the name of a deployment."""
        entry = self.settings.providers.get(provider)
        return model if entry is None else entry.priced_as.get(model, model)
