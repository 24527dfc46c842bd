"""OpenAI itself: https://api.openai.com/v1, a bearer key, and the two headers that name an organization and a project.

It speaks two wire formats, and ``api: auto`` chooses by the request (see `OpenAIRoutes`). ``chat`` and ``responses``
settle it for every request.

Source: openai 3.57.0 (openai/lib/_client_auth.py, openai/_client.py, openai/_data_residency.py), November 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .._protocols.codec import JSONCodec, WireProtocol
from .._schema.content import Audio
from .._schema.facts import NOTHING_KNOWN, ModelFacts
from .._schema.hosted import HostedTool
from .._schema.request import WITHOUT_TEXT, Operation, ProviderTool, Request
from ..errors import UnsupportedParameterError
from .counting import Counting
from .entry import api_of, base_url_of, find_key, place_of
from .provider import Provider, Route
from .spec import ConfigKey, HostSpec, api_key, found_by_each

if TYPE_CHECKING:
    from .._protocols.batching import Batching
    from .._protocols.filing import Filing

BASE_URL = "https://api.openai.com/v1"
API = ConfigKey(about="auto (by the request), chat or responses (default auto).", choices=("auto", "chat", "responses"))
_KEYS: Mapping[str, ConfigKey] = {
    "api_key": api_key("OPENAI_API_KEY"),
    "api": API,
    "organization": ConfigKey(about="The OpenAI-Organization header.", variables=("OPENAI_ORG_ID",)),
    "project": ConfigKey(about="The OpenAI-Project header.", variables=("OPENAI_PROJECT_ID",)),
}


def build(name: str, options: Mapping[str, Any], environ: Mapping[str, str]) -> Provider:
    """Builds the host from the options of the entry and the environment.

    Args:
        name: what the configuration calls it.
        options: the keys of `HOST`, ``base_url``, and ``facts_of`` (model -> what is known of it).
        environ: the environment: the variables of `HOST`, ``OPENAI_BASE_URL``.

    Raises:
        ConfigurationError: there is no key, the base URL is none, or ``api`` is something else.
    """
    from .._auth.keys import HeaderKey
    from .._protocols.openai_chat import OpenAIChat
    from .._protocols.openai_responses import OpenAIResponses
    from .openai_listing import OpenAIListing

    base_url = base_url_of(name, options.get("base_url") or environ.get("OPENAI_BASE_URL") or BASE_URL)
    key, where = find_key(name, options, environ, HOST.keys["api_key"].variables, needed=base_url == BASE_URL)
    named = {
        "openai-organization": HOST.look_up("organization", options, environ),
        "openai-project": HOST.look_up("project", options, environ),
    }
    routes = OpenAIRoutes(
        kind="openai",
        api=api_of(name, options, API.choices),
        own_url=_is_openai(base_url),
        chat=OpenAIChat(),
        responses=OpenAIResponses(),
        facts_of=options.get("facts_of"),
    )
    counting = ResponsesCounting(path="/responses/input_tokens", protocol=routes.responses.protocol)
    return Provider(
        name=name,
        kind="openai",
        base_url=base_url,
        auth=HeaderKey(key, where=where),
        resolve=routes.resolve,
        headers={header: str(value) for header, value in named.items() if value},
        listing=OpenAIListing(single=True),
        counting=lambda model: counting,
        batching=lambda model: batching_of(routes, "/v1"),
        filing=_filing,
        place=place_of(base_url, ".api.openai.com"),
    )


def _filing() -> Filing:
    from .._protocols.openai_chat.upload import OpenAIFiling

    return OpenAIFiling()


def batching_of(routes: OpenAIRoutes, prefix: str) -> Batching:
    """Returns how batches are made: files and ``/batches``, for both APIs."""
    from .._protocols.openai_chat.batch import OpenAIBatching

    protocols = {"/chat/completions": routes.chat.protocol, "/responses": routes.responses.protocol}
    return OpenAIBatching(prefix, protocols)


HOST = HostSpec(
    kind="openai",
    build=build,
    keys=_KEYS,
    found_by=found_by_each("OPENAI_API_KEY"),
    base_url=BASE_URL,
    models=("gpt-5.4-mini", "gpt-6-luna"),
    synonyms=("chatgpt", "gpt", "open_ai", "oai"),
    rank=1,
    wires=("openai_chat", "openai_responses"),
    url_suffix="/v1",
)


def _is_openai(base_url: str) -> bool:
    """Returns whether the URL is OpenAI's own, such as https://eu.api.openai.com/v1 too."""
    host = urlsplit(base_url).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")


# --- chat completions or Responses ------------------------------------------------------------------------------------

# Fields of ``extra_body`` that one of the two APIs has and the other has not (openai 3.57.0, types/chat/
# completion_create_params.py and types/responses/response_create_params.py).
_CHAT_FIELDS = frozenset(
    {
        *("audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs"),
        *("max_completion_tokens", "messages", "modalities", "n", "prediction", "presence_penalty"),
        *("reasoning_effort", "response_format", "stop", "stream_options", "web_search_options"),
    }
)
_RESPONSES_FIELDS = frozenset(
    {
        *("background", "background_options", "context_management", "conversation", "include", "input"),
        *("instructions", "max_output_tokens", "max_tool_calls", "previous_response_id", "prompt", "reasoning"),
        *("text", "truncation"),
    }
)
_CHAT_TOOLS = frozenset({"function", "custom"})
_MOST_REMEMBERED = 1000


class OpenAIRoutes:
    """Chooses between chat completions and Responses, by the request and by what is known of the model.

    On OpenAI's and Azure's own URLs, under ``api: auto``:

    1. Responses where chat does not have the model, or refuses the request: function tools that its row of facts
       excludes (``chat_tools``, ``chat_tools_while_reasoning``), tools that OpenAI runs, fields of that API alone.
    2. Chat where only chat can: ``stop``, audio, fields of that API alone.
    3. Else the API that the history holds parts of, as they would be left out on the other one.
    4. Else chat.

    ``seed`` is a hint and decides nothing. What neither API can do is refused. Other URLs get chat: what stands behind
    them is not known.

    Args:
        kind: the kind of host, for the provenance of parts.
        api: ``auto``, ``chat`` or ``responses``.
        own_url: the vendor itself is behind the URL.
        chat: the codec of chat completions.
        responses: the codec of the Responses API.
        facts_of: model -> what is known of it; None where nothing is known of any.
    """

    __slots__ = ("_choose", "_facts_of", "_kind", "_known", "chat", "responses")

    def __init__(
        self,
        *,
        kind: str,
        api: str,
        own_url: bool,
        chat: WireProtocol,
        responses: WireProtocol,
        facts_of: Callable[[str], ModelFacts] | None = None,
    ) -> None:
        self.chat, self.responses = Route(protocol=chat), Route(protocol=responses)
        self._kind = kind
        self._facts_of = facts_of
        self._known: dict[str, ModelFacts] = {}
        fixed = {"chat": self.chat, "responses": self.responses}.get(api) or (None if own_url else self.chat)
        self._choose = fixed

    def resolve(self, operation: Operation, model: str, request: Request | None) -> Route:
        """Returns the route of one request.

        Raises:
            UnsupportedParameterError: neither API can carry the request.
        """
        if operation in WITHOUT_TEXT:
            return self.chat
        if self._choose is not None:
            return self._choose
        facts = self._facts(model)
        if request is None:
            return self.responses if facts.responses_only else self.chat
        reason = _refused_by_chat(request, facts)
        if not reason:
            stays = _last_format(request, self._kind) == "openai_responses"
            return (
                self.responses if stays and not (_refused_by_responses(request) or _has_audio(request)) else self.chat
            )
        if lacking := _refused_by_responses(request):
            raise UnsupportedParameterError(
                f"{lacking} cannot be sent: {model} is asked through the Responses API because {reason}, and that API "
                f"has no {lacking}; leave it out, or take another model",
                model=model,
            )
        return self.responses

    def _facts(self, model: str) -> ModelFacts:
        facts = self._known.get(model)
        if facts is None:
            facts = NOTHING_KNOWN if self._facts_of is None else self._facts_of(model)
            if len(self._known) >= _MOST_REMEMBERED:  # names come from callers: the memory of them has an end
                self._known.clear()
            self._known[model] = facts
        return facts


def _refused_by_chat(request: Request, facts: ModelFacts) -> str:
    """Returns why chat completions would refuse the request; ``""`` if no reason is known."""
    if facts.responses_only:
        return "chat completions do not have this model"
    extra = request.extra_body
    if extra and (found := _RESPONSES_FIELDS & extra.keys()):
        return f"{min(found)} in extra_body is a field of that API"
    if request.compact_at is not None:
        return "OpenAI sums up a long history there"
    if not request.tools:
        return ""
    hosted = [
        type(tool).__name__ if isinstance(tool, HostedTool) else str(tool.definition.get("type"))
        for tool in request.tools
        if isinstance(tool, HostedTool)
        or (isinstance(tool, ProviderTool) and tool.definition.get("type") not in _CHAT_TOOLS)
    ]
    if hosted:
        return f"OpenAI runs the tool {hosted[0]} there"
    if facts.chat_tools is False:
        return "chat completions take no tools for it"
    if facts.chat_tools_while_reasoning is False and _reasons(request, facts):
        return "chat completions take no tools while it reasons"
    return ""


def _reasons(request: Request, facts: ModelFacts) -> bool:
    effort = (request.extra_body or {}).get("reasoning_effort", request.reasoning)
    if effort is None:
        return facts.rules is None or facts.rules.by_default
    # A model that cannot stop reasoning gets its lowest effort in the place of "none".
    return effort not in ("none", 0) or (facts.rules is not None and not facts.rules.optional)


def _refused_by_responses(request: Request) -> str:
    """Returns which part of the request the Responses API cannot carry (audio aside); ``""`` if it can carry all."""
    if request.stop:
        return "stop"
    return min(_CHAT_FIELDS & (request.extra_body or {}).keys(), default="")


def _has_audio(request: Request) -> bool:
    return any(isinstance(part, Audio) for message in request.messages for part in message.content)


def _last_format(request: Request, kind: str) -> str:
    """Returns the wire format of the last answer in the history, if this kind of host gave that answer."""
    for message in reversed(request.messages):
        if message.role == "assistant":
            for part in message.content:
                origin = getattr(part, "origin", None)
                if origin is not None:
                    return origin.protocol if origin.provider == kind else ""
    return ""


# --- counting tokens --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesCounting(Counting):
    """Counts tokens by the Responses API, also for models that use chat completions."""

    def body(self, body: dict[str, Any], model: str, json: JSONCodec) -> dict[str, Any]:
        """Returns the body without the fields that only an answer needs."""
        return {name: value for name, value in body.items() if name not in ("store", "include", "stream")}
