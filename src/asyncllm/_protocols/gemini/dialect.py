"""What differs between the hosts and the models of Google's generateContent format, as data.

Two hosts speak it. They share the body and differ around it:

====================  ================================  ==========================================
what                  Gemini API                        Vertex AI
====================  ================================  ==========================================
path of a model       ``models/{id}``                   ``projects/P/locations/L/publishers/google/models/{id}``
version               ``v1``; ``v1beta`` for some       ``v1beta1``
uploaded files        Files API                         none: ``gs://`` and https addresses
names of documents    none                              ``displayName``
streamed arguments    none                              ``partialArgs``, when asked for
``toolCall`` parts    yes                               none
citations             ``citationSources``               ``citations`` (both are read on both)
====================  ================================  ==========================================

Signatures are not portable between the two, nor between either and anybody else.

Sources: google-genai 3.4.0 (types.py, models.py, _transformers.py), November
2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ...errors import BadRequestError

BETA_MARKS = ("-latest", "-preview", "-tts", "-exp")
"""Ids with one of these are served by ``v1beta``, many of them only there; ``v1`` has the stable ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiDialect:
    """Says how one host speaks the format; the defaults are those of the Gemini API.

    Attributes:
        host: its name in sentences.
        version: the API version; None takes ``v1``, or ``v1beta`` for ids with one of ``beta_marks``.
        parent: what stands in the path before a model, ``""`` or ending in ``/``.
        model_prefix: what a bare model id gets in front.
        kept_prefixes: ids that begin so are sent as they are, below ``parent``.
        absolute_prefixes: ids that begin so are sent as they are, without ``parent``.
        publishers: an id ``a/b`` means ``publishers/a/models/b``.
        files_base: where ids of uploaded files live; None where the host has no such files.
        display_names: inline media may carry a name.
        safety_settings: ``{"category": ..., "threshold": ...}`` each, sent with every request.
        labels: sent with every request, for the host's billing reports.
        service_tier: ``"flex"``, ``"standard"``, ``"priority"``.
        hosted_tools: the tools that the host runs itself, by their words.
        stream_arguments: ask for tool arguments in pieces when streaming (Vertex only).
    """

    host: str = "the Gemini API"
    version: str | None = None
    beta_marks: tuple[str, ...] = BETA_MARKS
    parent: str = ""
    model_prefix: str = "models/"
    kept_prefixes: tuple[str, ...] = ("models/", "tunedModels/")
    absolute_prefixes: tuple[str, ...] = ()
    publishers: bool = False
    files_base: str | None = "https://generativelanguage.googleapis.com/v1beta/"
    display_names: bool = False
    safety_settings: tuple[Mapping[str, Any], ...] = ()
    labels: Mapping[str, str] | None = None
    service_tier: str | None = None
    hosted_tools: tuple[str, ...] = ("web_search", "code_execution", "file_search", "mcp")
    stream_arguments: bool = False

    @classmethod
    def vertex(cls, project: str | None, location: str | None, **options: Any) -> GeminiDialect:
        """Makes Vertex AI's dialect; ``project`` and ``location`` stand in every path, both None for express mode (an
        API key alone).

        Args:
            project: the project id.
            location: a region, ``"global"``, ``"us"`` or ``"eu"``.
            options: any other field of the dialect.
        """
        fields: dict[str, Any] = {
            "host": "Vertex AI",
            "version": "v1beta1",
            "parent": f"projects/{project}/locations/{location}/" if project and location else "",
            "model_prefix": "publishers/google/models/",
            "kept_prefixes": ("models/", "publishers/", "endpoints/"),
            "absolute_prefixes": ("projects/",),
            "publishers": True,
            "files_base": None,
            "display_names": True,
            "hosted_tools": ("web_search", "code_execution"),
        }
        return cls(**{**fields, **options})

    def path(self, model: str, verb: str) -> str:
        """Returns the percent-encoded path of ``verb`` (``"generateContent"``) on a model.

        Raises:
            BadRequestError: the id would change the path (``..``, ``?``, ``&``), as Google's SDK refuses it too.
        """
        if not model or any(mark in model for mark in ("..", "?", "&", "//")) or model.startswith("/"):
            raise BadRequestError(f"{model!r} is not a model id: it must not be empty nor hold '..', '?' or '&'")
        version = self.version or ("v1beta" if any(mark in model for mark in self.beta_marks) else "v1")
        return f"/{version}/{quote(self._resource(model), safe='/-._~@')}:{verb}"

    def _resource(self, model: str) -> str:
        if model.startswith(self.absolute_prefixes):
            return model
        if model.startswith(self.kept_prefixes):
            return self.parent + model
        if self.publishers and "/" in model:
            publisher, _, name = model.partition("/")
            return f"{self.parent}publishers/{publisher}/models/{name}"
        return self.parent + self.model_prefix + model
