"""The client: the verbs that ask a model. It has no logic of its own."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from importlib import import_module
from itertools import dropwhile
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, overload

from typing_extensions import TypeForm, Unpack

from ._checks import JSONFormat
from ._conversation_rules import Compact, Keep, check_rules
from ._engine.call import Call, Patience, Payer
from ._engine.forecast import CostEstimate, forecast
from ._engine.intake import Messages, read_call, read_messages
from ._engine.routing import Choice
from ._engine.sending import send, send_hooked
from ._engine.stream import Stream, StreamPlan
from ._options import Arguments, CallOptions, with_keywords
from ._run_options import MapOptions, RunOptions, with_map_keywords, with_run_keywords
from ._schema.advice import FallbackReason
from ._schema.messages import Message
from ._schema.request import Request
from ._schema.response import Response
from ._verbs import Verbs
from .conversation import Conversation, read_saved
from .errors import AsyncLLMError, BadRequestError, ConfigurationError

if TYPE_CHECKING:
    from ._bulk_job import BulkJob
    from ._conversation_store import Conversations, ConversationStore
    from ._engine.target import Target
    from ._map.item import Item
    from ._response_cache.response_cache import CachedRequest
    from ._run_stream import RunStream
    from .bulk import Inputs, MapStream
    from .runs import Run

T = TypeVar("T")


class Client(Verbs):
    """Talks to every configured provider.

    Works with or without ``async with``; `aclose` ends it. It belongs to the event loop of its first call.

    Args:
        config: the path of a config file, a mapping of the same shape, or `Settings`. Without it the client is made
            of ``provider``, of ``providers``, or of the environment's keys as by `from_env`.
        provider: instead of ``config``: the kind of the one provider, such as ``"openai"``.
        model: with ``provider``: the model that calls ask when they name none.
        api_key: with ``provider``: its key; by default the environment's.
        base_url: with ``provider``: where its API is.
        providers: hosts of your own; an entry of the configuration with the same name holds their models and timeouts.
            Without ``config`` the first of them is the active one.
        http_client: an ``httpx.AsyncClient`` of your own to send everything through; never closed here.
        environ: where ``${VAR}`` and keys are looked up; the process's environment by default.
        on_alert: called when a budget reaches 90% and 100%, once a window, on a thread of the ledger's own.
        hooks: code of yours that sees each call on its way, in this order; see `Hook`.

    Raises:
        ConfigurationError: the configuration is wrong; the sentence names file, line and key.
    """

    @overload
    async def send(
        self, messages: Messages, *, response_format: None = None, **options: Unpack[CallOptions]
    ) -> Response[None]: ...
    @overload
    async def send(
        self, messages: Messages, *, response_format: JSONFormat, **options: Unpack[CallOptions]
    ) -> Response[Any]: ...
    @overload
    async def send(
        self, messages: Messages, *, response_format: TypeForm[T], **options: Unpack[CallOptions]
    ) -> Response[T]: ...
    @with_keywords
    async def send(
        self, messages: Messages, *, response_format: Any = None, **options: Unpack[CallOptions]
    ) -> Response[Any]:
        """Sends the messages and returns the whole reply.

        Args:
            messages: a string, or a list of `Message` or ``{"role", "content"}`` dicts.
            response_format: the type or format of the answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The reply. ``parsed`` is the answer as ``response_format``; ``attempts`` lists every HTTP attempt.

        Raises:
            BadRequestError: a message or a keyword is wrong; nothing was sent.
            StructuredOutputError: the answer does not fit ``response_format``, or was cut or refused.
            AsyncLLMError: one of `asyncllm.errors`; each says what to do.
        """
        given = {**self._defaults, **options} if self._defaults else options
        asked = read_call(messages, response_format, given, self._formats, model=self._routing.usual)
        spent = 0.0 if self._preparation.done else await self._preparation.run()
        engine = self._lifetime.engine()
        plan = self._plan(asked)
        call = Call(engine, **plan)
        call.deadline -= spent
        if self._replies is not None or asked.cache_response:
            call.cache = self._cached(asked, plan)
        if engine.hooks is None:
            return await send(call, parse=asked.parse, reasks=asked.validation_retries)
        call.hooks = hooks = engine.hooks.begin(call, asked.user, asked.agent, asked.tags)
        return await send_hooked(call, hooks, parse=asked.parse, reasks=asked.validation_retries)

    @overload
    def stream(
        self, messages: Messages, *, response_format: None = None, **options: Unpack[CallOptions]
    ) -> Stream[None]: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: JSONFormat, **options: Unpack[CallOptions]
    ) -> Stream[Any]: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: TypeForm[T], **options: Unpack[CallOptions]
    ) -> Stream[T]: ...
    @with_keywords
    def stream(self, messages: Messages, *, response_format: Any = None, **options: Unpack[CallOptions]) -> Stream[Any]:
        """Sends the messages and returns the reply as it comes: iterate the result, or use it in ``async with``.

        Args:
            messages: a string, or a list of `Message` or ``{"role", "content"}`` dicts.
            response_format: the type or format of the answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The stream; it connects at the first step of the iteration. At its end ``stream.response`` is the whole
            reply.

        Raises:
            BadRequestError: a message or a keyword is wrong; at once.
            StructuredOutputError: at the end of the iteration, as `send` raises it.
            AsyncLLMError: everything else, at the first step of the iteration or later.
        """
        given = {**self._defaults, **options} if self._defaults else options
        asked = read_call(messages, response_format, given, self._formats, stream=True, model=self._routing.usual)
        plan = self._plan(asked)
        return Stream(
            StreamPlan(
                engine=self._prepared,
                parse=asked.parse,
                on_interrupt=asked.on_interrupt,
                reasks=asked.validation_retries,
                cache=self._cached(asked, plan) if self._replies is not None or asked.cache_response else None,
                asked=response_format,
                **plan,
            )
        )

    @with_keywords
    async def estimate(
        self, messages: Messages, *, response_format: Any = None, **options: Unpack[CallOptions]
    ) -> CostEstimate:
        """What a call would take and cost at most, before it is made; nothing is sent.

        The request is written as `send` would write it for its first target. Without ``max_tokens`` as much output is
        reckoned with as budgets assume.

        Args:
            messages: as for `send`.
            response_format: the type or format of the answer.
            **options: every keyword of `CallOptions`.

        Raises:
            ConfigurationError: the configuration names no such provider.
            BadRequestError: a message or a keyword is wrong.
            UnsupportedError: the model cannot be asked this.
        """
        asked = read_call(messages, response_format, {**self._defaults, **options}, self._formats)
        target = self._target(asked.provider, asked.model)
        facts = self._catalog.facts(target.provider.name, target.provider.kind, target.model)
        return forecast(self._books, target, replace(asked.request, model=target.model), facts, self._json)

    @overload
    async def run(
        self, messages: Messages | Run[Any], *, response_format: None = None, **options: Unpack[RunOptions]
    ) -> Run[None]: ...
    @overload
    async def run(
        self, messages: Messages | Run[Any], *, response_format: JSONFormat, **options: Unpack[RunOptions]
    ) -> Run[Any]: ...
    @overload
    async def run(
        self, messages: Messages | Run[Any], *, response_format: TypeForm[T], **options: Unpack[RunOptions]
    ) -> Run[T]: ...
    @with_run_keywords
    async def run(
        self, messages: Messages | Run[Any], *, response_format: Any = None, **options: Unpack[RunOptions]
    ) -> Run[Any]:
        """Lets the model call tools until it answers, and returns the whole run.

        Each step is one reply of the model, made as by `send`, and the answers to the calls in it.

        Args:
            messages: as for `send`; or a `Run` that stopped early, which goes on.
            response_format: the type or format of the last answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The run: ``text``, ``parsed``, ``messages``, ``steps``, ``usage``, ``cost``, ``attempts``; ``stopped`` says
            why it ended.

        Raises:
            BadRequestError: a message or a keyword is wrong; nothing was sent.
            AsyncLLMError: as `send` raises it. Its ``run`` is the run so far; give it as ``messages`` to go on.
        """
        from ._run_loop import begin, run_tools

        trace = None if self._hooks is None else self._hooks.trace_run(options.get("agent"))
        return await run_tools(self.send, begin(messages, response_format, options, self._signatures), trace)

    @overload
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: None = None, **options: Unpack[RunOptions]
    ) -> RunStream[None]: ...
    @overload
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: JSONFormat, **options: Unpack[RunOptions]
    ) -> RunStream[Any]: ...
    @overload
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: TypeForm[T], **options: Unpack[RunOptions]
    ) -> RunStream[T]: ...
    @with_run_keywords
    def run_stream(
        self, messages: Messages | Run[Any], *, response_format: Any = None, **options: Unpack[RunOptions]
    ) -> RunStream[Any]:
        """Does what `run` does, and returns the events as they come: those of each reply, and those of its tools.

        Args:
            messages: as for `run`.
            response_format: the type or format of the last answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The events: iterate them, or use them in ``async with``. ``result`` is the `Run` so far, and the whole one
            after the last event.

        Raises:
            BadRequestError: a message or a keyword is wrong; at once.
            AsyncLLMError: everything else, while it is iterated.
        """
        from ._run_loop import begin
        from ._run_stream import RunStream

        trace = None if self._hooks is None else self._hooks.trace_run(options.get("agent"))
        return RunStream(self.stream, begin(messages, response_format, options, self._signatures), self._spawn, trace)

    @overload
    def map(
        self, inputs: Inputs, *, response_format: None = None, **options: Unpack[MapOptions]
    ) -> MapStream[None]: ...
    @overload
    def map(self, inputs: Inputs, *, response_format: JSONFormat, **options: Unpack[MapOptions]) -> MapStream[Any]: ...
    @overload
    def map(self, inputs: Inputs, *, response_format: TypeForm[T], **options: Unpack[MapOptions]) -> MapStream[T]: ...
    @with_map_keywords
    def map(self, inputs: Inputs, *, response_format: Any = None, **options: Unpack[MapOptions]) -> MapStream[Any]:
        """Answers many inputs at the same time, and returns an item for each.

        Args:
            inputs: prompts, lists of messages, or dicts with ``messages`` and keywords of their own; any iterable or
                async iterable. It is read lazily.
            response_format: the type or format of each answer.
            **options: every keyword of `CallOptions`.

        Returns:
            The items: iterate them, or use them in ``async with``, which ends the work for certain.

        Raises:
            BadRequestError: a keyword is wrong; at once.
        """
        from .bulk import begin_map

        parse = self._formats.read(response_format).parse

        def parsed(reply: Response[Any]) -> Response[Any]:
            return reply if parse is None else replace(reply, parsed=parse(reply))

        if options.get("via") == "batch":
            from ._batches.batch_map import begin_batch_map

            return begin_batch_map(
                inputs,
                response_format,
                options,
                make=partial(self._batch_for_map, response_format),
                parse=parsed,
                spawn=self._spawn,
                place=self._place_of(options.get("provider"), options.get("model")),
            )
        return begin_map(
            inputs,
            response_format,
            options,
            send=self.send,
            run=self.run,
            parse=parsed,
            spawn=self._spawn,
            place=self._place_of(options.get("provider"), options.get("model")),
        )

    @overload
    async def map_all(
        self, inputs: Inputs, *, response_format: None = None, **options: Unpack[MapOptions]
    ) -> list[Item[None]]: ...
    @overload
    async def map_all(
        self, inputs: Inputs, *, response_format: JSONFormat, **options: Unpack[MapOptions]
    ) -> list[Item[Any]]: ...
    @overload
    async def map_all(
        self, inputs: Inputs, *, response_format: TypeForm[T], **options: Unpack[MapOptions]
    ) -> list[Item[T]]: ...
    @with_map_keywords
    async def map_all(
        self, inputs: Inputs, *, response_format: Any = None, **options: Unpack[MapOptions]
    ) -> list[Item[Any]]:
        """Does what `map` does, and returns all items as a list, in the order of the inputs.

        Args:
            inputs: as for `map`.
            response_format: the type or format of each answer.
            **options: every keyword of `CallOptions`.

        Raises:
            BadRequestError: a keyword is wrong.
        """
        async with self.map(inputs, response_format=response_format, **options) as items:
            return sorted([item async for item in items], key=lambda item: item.index)

    def bulk(
        self,
        name: str,
        rows: Any,
        *,
        key: str | Callable[[Mapping[str, Any]], str],
        prompt: str | Callable[[Mapping[str, Any]], Any],
        engine: Literal["local", "ray", "dbos"] = "local",
        response_format: Any = None,
        workers: int = 2,
        batch_size: int = 64,
        concurrency: int | Literal["auto"] = 16,
        progress: bool | Callable[..., None] = False,
        **options: Unpack[RunOptions],
    ) -> BulkJob[Any]:
        """A job over many rows, whose answers are kept in the ledger's database under its name.

        A row with an answer is never asked for again, whatever dies meanwhile. The same line in another process joins
        the job, and goes on with it after a crash.

        Args:
            name: of the job.
            rows: a path (.parquet, .csv, .jsonl), a DataFrame, or an iterable of mappings from column to value.
            key: the column whose values name the rows, or a function from a row to a text.
            prompt: what is asked: a text with columns in braces, or a function from a row to an input of `map`.
            engine: who spreads the work: ``"local"`` is this process, ``"ray"`` is Ray Data on a cluster, ``"dbos"`` is
                every process that runs this line, by a queue in the ledger's PostgreSQL.
            response_format: the type or format of each answer.
            workers: on Ray, how many actors work.
            batch_size: on Ray and DBOS, how many rows an actor or process gets at a time.
            concurrency: as for `map`, in each process or actor.
            progress: as for `map`; on DBOS it tells of the whole job; not on Ray.
            **options: every keyword of `CallOptions` and of `run`.

        Returns:
            The job: iterate it for the items (local only), or ``await job.run()``; `status` and `answers` read it.

        Raises:
            BadRequestError: an argument is wrong.
            ConfigurationError: the ledger is in memory.
        """
        from ._bulk_job import BulkJob
        from .bulk import begin_job, check_job

        given: dict[str, Any] = {"concurrency": concurrency, **options}
        # Another value, or a name that is none, is refused below.
        if isinstance(own := given.get("tags") or {}, Mapping) and isinstance(name, str) and name:
            given["tags"] = {"bulk_job": name, **own}
        if progress and engine == "ray":
            raise BadRequestError("progress is not for engine='ray'; job.status() tells from anywhere")
        if progress and engine == "local":
            given["progress"] = progress
        check_job(given, response_format)
        parse = self._formats.read(response_format).parse

        def parsed(reply: Response[Any]) -> Response[Any]:
            return reply if parse is None else replace(reply, parsed=parse(reply))

        spread = None
        if engine == "dbos":  # an engine is optional, and found by its name
            over = import_module(".contrib.dbos", __package__).spread_over
            spread = partial(over, batch_size=batch_size, concurrency=concurrency, progress=progress)
        if engine == "ray":
            spread = partial(
                import_module(".contrib.ray", __package__).spread_over,
                settings=self.settings,
                key=key,
                prompt=prompt,
                response_format=response_format,
                workers=workers,
                batch_size=batch_size,
                options=given,
            )
        return BulkJob(
            name,
            rows,
            url=self.settings.cost_tracking.database.get_secret_value(),
            key=key,
            prompt=prompt,
            engine=engine,
            start=partial(
                begin_job, response_format, given, send=self.send, run=self.run, parse=parsed, spawn=self._spawn
            ),
            spread=spread,
            spawn=self._spawn,
        )

    def _place_of(self, provider: str | None, model: str | None) -> str:
        """What a call is answered by: the names of provider and model. Empty where that is not clear beforehand."""
        try:
            target = self._targeting.resolve(provider, model, [])[0]
        except AsyncLLMError:
            return ""  # each item has the error
        return f"{target.provider.name}/{target.model}"

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._lifetime.engine().background.spawn(work)

    def conversation(
        self,
        *,
        system: str | None = None,
        messages: Messages | None = None,
        saved: str | None = None,
        keep: Keep | None = None,
        compact: Compact | None = None,
        **options: Unpack[RunOptions],
    ) -> Conversation:
        """Returns a conversation that keeps its history and stays with one provider.

        Args:
            system: instructions to the model, as the first message; in place of those in ``saved``.
            messages: what was said before, such as `asyncllm.load_messages` gives it.
            saved: what `Conversation.to_json` wrote: the conversation goes on with its messages, provider and cost.
            keep: how much of a long history is sent; all of it by default.
            compact: when the older part of a long history is summed up, and by whom; never by default.
            **options: ``provider`` (the active one by default) and ``model``; and keywords of `send` and `run`, such as
                ``temperature`` or ``tools``, for every call of it.

        Raises:
            ConfigurationError: there is no such provider.
            BadRequestError: a message or a keyword is wrong, or ``saved`` is no stored conversation.
            TypeError: there is no such keyword.
        """
        check_rules(keep, compact, options)
        kept: dict[str, Any] = {} if saved is None else dict(read_saved(saved))
        provider, model = options.pop("provider", None), options.pop("model", None)
        if provider is None:
            provider, model = kept.get("provider"), kept.get("model") if model is None else model
        target = self._target(provider, model)
        said = kept.get("messages", ())
        if system is not None:
            said = tuple(dropwhile(lambda message: message.role == "system", said))
        if messages is not None:
            said = (*said, *read_messages(messages))
        if system is not None:
            said = (Message.system(system), *said)
        return Conversation(
            self,
            provider=target.provider.name,
            model=target.model,
            messages=said,
            options=options,
            keep=keep,
            compact=compact,
            cost=kept.get("cost", Decimal(0)),
            unpriced=kept.get("unpriced", 0),
        )

    def conversations(self, store: str | ConversationStore) -> Conversations:
        """Conversations in a database, each under an id of yours: ``open``, ``list``, ``delete``.

        Args:
            store: ``"sqlite:///chats.db"``, ``":memory:"``, or a `ConversationStore` of your own.

        Raises:
            ConfigurationError: it is none of these.
        """
        from ._conversation_store import Conversations

        return Conversations(self, store)

    def _cached(self, asked: Arguments, plan: _Plan) -> CachedRequest | None:
        """The view of the response cache of a call."""
        if self._replies is not None:
            return self._replies.of(asked, plan["targets"])
        if self.settings.response_cache is None:
            raise ConfigurationError("cache_response=True needs `response_cache: {url: ...}` in the configuration")
        return None  # a view with a key of its own

    def _plan(self, asked: Arguments) -> _Plan:
        """Returns where a call goes and how it waits: as the call says, else as the configuration says."""
        key = (asked.provider, asked.model) if asked.fallback is None and asked.task is None else None
        choice = None if key is None else self._routing.fixed.get(key)
        if choice is None:
            if self._routing.named(asked.provider, asked.model, asked.fallback, asked.task):
                choice = Choice(self._targeting.resolve(asked.provider, asked.model, asked.fallback))
                self._routing.fix(key, choice)
            else:
                choice = self._routing.choose(asked.request, task=asked.task, sticky_key=asked.sticky_key)
        targets, request = choice.targets, asked.request
        if self._routing.has_deployments:
            targets = self._routing.spread(targets, request, asked.sticky_key)
        settings, first = self.settings, targets[0]
        if request.model != first.model:
            request = replace(request, model=first.model)
        after, percentile = settings.hedging.after, settings.hedging.percentile
        if asked.hedge is True and after is None and percentile is None:
            percentile = _HEDGE_PERCENTILE
        elif asked.hedge is False:
            after = percentile = None
        elif asked.hedge is not None and asked.hedge is not True:
            after, percentile = asked.hedge, None
        paid = asked.user is not None or asked.agent is not None or asked.tags is not None
        return {
            "targets": targets,
            "request": request,
            "patience": Patience(
                total=first.timeouts.total if asked.timeout is None else asked.timeout,
                whole=asked.timeout,
                priority=asked.priority,
                hedge=after,
                hedge_percentile=percentile,
            ),
            "payer": Payer(user=asked.user, agent=asked.agent, tags=asked.tags) if paid else None,
            "variant": choice.variant,
            "fallback_on": settings.fallback_on if asked.fallback_on is None else asked.fallback_on,
        }


_HEDGE_PERCENTILE = 95.0


class _Plan(TypedDict):
    """What a call in one piece and a stream are told alike: arguments of `Call` and of `StreamPlan`."""

    targets: tuple[Target, ...]
    request: Request
    patience: Patience
    payer: Payer | None
    variant: str | None
    fallback_on: Sequence[FallbackReason]
