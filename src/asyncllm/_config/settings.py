"""The configuration as values: `Settings` and its `ProviderSettings`; the optional parts are in ``sections``.

`asyncllm._config.load` and `asyncllm._config.from_env` make them, and say what is wrong with file and line.
Secrets are `pydantic.SecretStr`, so that no repr, log or dump holds one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ..errors import ConfigurationError
from .interpolate import KeyPath
from .nearest import Problem
from .sections import (
    BudgetSettings,
    CatalogSettings,
    CostTrackingSettings,
    Count,
    HedgingSettings,
    HTTPSettings,
    LimitSettings,
    Name,
    ProviderLimitSettings,
    RetrySettings,
    RouteTarget,
    RoutingSettings,
    Section,
    TimeoutSettings,
)
from .urls import plain_url

_NOT_OPTIONS = frozenset({"kind", "fallback_models", "timeouts", "retry", "limits", "custom", "pending"})


def _check_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()  # a key read from a file ends in a newline
    if not text:
        raise ValueError("must not be empty")
    if not text.isascii() or not text.isprintable():
        raise ValueError("must be printable ASCII, as it travels in a header")
    return SecretStr(text)


Secret = Annotated[SecretStr, AfterValidator(_check_secret)]


class ProviderSettings(Section):
    """An entry of ``providers``. Which keys it may hold depends on its kind.

    Attributes:
        custom: what an entry of a kind that was made in Python holds besides the keys known here.
        pending: what keeps this entry from being used, a sentence each: variables that are not set.
    """

    kind: Name = Field(description="What sort of provider this is; without it the entry's name.")
    base_url: str | None = Field(default=None, description="As in the vendor's own SDK; without it the vendor's own.")
    fallback_models: tuple[Name, ...] = Field(
        default=(), description="Models in the order in which they are tried; the first one is the entry's default."
    )
    max_tokens: Count | None = Field(
        default=None, description="Output tokens of a call that sets no max_tokens itself."
    )
    timeouts: TimeoutSettings | None = Field(
        default=None, description="This provider's own; what is not set is as in the section timeouts."
    )
    retry: RetrySettings | None = Field(
        default=None, description="This provider's own; what is not set is as in the section retry."
    )
    limits: ProviderLimitSettings | None = Field(
        default=None, description="This provider's own, besides those of the section limits."
    )

    api_key: Secret | None = Field(
        default=None, description="The key; without it the vendor's usual variables are looked at."
    )
    access_token: Secret | None = Field(default=None, description="vertex, azure: an OAuth token, instead of a key.")
    api: str | None = Field(
        default=None,
        description="openai: auto, chat or responses (default auto). azure: chat or responses. "
        "bedrock: converse or invoke.",
    )
    organization: Name | None = Field(default=None, description="openai: the OpenAI-Organization header.")
    project: Name | None = Field(default=None, description="openai: the OpenAI-Project header.")
    api_version: Name | None = Field(
        default=None,
        description="anthropic: the anthropic-version header. gemini: the version in the path (v1, v1beta).",
    )
    beta: tuple[Name, ...] | None = Field(default=None, description="anthropic: values of the anthropic-beta header.")
    safety_settings: tuple[dict[str, Any], ...] | None = Field(
        default=None, description="gemini: safetySettings, as the API takes them."
    )
    aws_access_key_id: Secret | None = Field(default=None, description="bedrock: with aws_secret_access_key.")
    aws_secret_access_key: Secret | None = Field(default=None, description="bedrock: with aws_access_key_id.")
    aws_session_token: Secret | None = Field(default=None, description="bedrock: for temporary credentials.")
    profile_name: Name | None = Field(default=None, description="bedrock: a profile of the AWS configuration files.")
    region_name: Name | None = Field(default=None, description="bedrock: the AWS region.", pattern=r"^[a-z0-9-]+$")
    project_id: Name | None = Field(
        default=None, description="vertex: the Google Cloud project.", pattern=r"^[a-zA-Z0-9_-][a-zA-Z0-9_.:-]*$"
    )
    location: Name | None = Field(
        default=None, description="vertex: a region, a multi-region (us, eu) or global.", pattern=r"^[a-z0-9-]+$"
    )
    credentials_path: Path | None = Field(default=None, description="vertex: a Google credentials file.")

    custom: dict[str, Any] = Field(default_factory=dict, repr=False)
    pending: tuple[str, ...] = Field(default=(), exclude=True, repr=False)

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, url: str | None) -> str | None:
        return None if url is None else plain_url(url)

    @model_validator(mode="after")
    def _check_pair(self) -> ProviderSettings:
        if not self.pending and (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            raise ValueError("aws_access_key_id and aws_secret_access_key go together")
        return self

    def require(self) -> None:
        """Checks that this entry can be used.

        Raises:
            ConfigurationError: a variable that it needs is not set.
        """
        if self.pending:
            raise ConfigurationError("this provider cannot be used", problems=self.pending)

    def options(self) -> dict[str, Any]:
        """The keys that are set and that make the provider: URL, credentials (`SecretStr`), and what is its kind's own.

        Raises:
            ConfigurationError: a variable that the entry needs is not set.
        """
        self.require()
        values = ((name, getattr(self, name)) for name in type(self).model_fields if name not in _NOT_OPTIONS)
        return {name: value for name, value in values if value is not None} | self.custom


class Settings(Section):
    """A whole configuration, checked. Times are in seconds, money in US dollars."""

    active_provider: Name = Field(description="The entry of providers that calls use unless they name another.")
    active_model: Name | None = Field(
        default=None, description="The model that calls use unless they name another; without it the entry's first one."
    )
    providers: dict[Name, ProviderSettings] = Field(min_length=1, description="Name -> provider. The name is free.")
    http: HTTPSettings = Field(default_factory=HTTPSettings)
    retry: RetrySettings = Field(default_factory=RetrySettings)
    timeouts: TimeoutSettings = Field(default_factory=TimeoutSettings)
    cross_provider_fallback: bool = Field(
        default=False,
        description="Let a failed call go on to the other providers, in the order in which they are listed.",
    )
    routing: RoutingSettings = Field(default_factory=RoutingSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    hedging: HedgingSettings = Field(default_factory=HedgingSettings)
    budgets: tuple[BudgetSettings, ...] = ()
    catalog: CatalogSettings = Field(default_factory=CatalogSettings)
    unsupported_parameters: Literal["drop", "error"] = Field(
        default="drop",
        description="Sampling hints (temperature, top_p, seed) that a model does not take: drop them with a warning on "
        "the response, or raise an error.",
    )
    cost_tracking: CostTrackingSettings = Field(default_factory=CostTrackingSettings)

    @model_validator(mode="after")
    def _check_references(self) -> Settings:
        known = frozenset(self.providers)
        problems = [
            Problem(path, "there is no such provider", name, known)
            for path, name in self._named_providers()
            if name not in known
        ]
        if self.budgets and not self.cost_tracking.enabled:
            problems.append(Problem(("budgets",), "budgets need cost_tracking.enabled: true"))
        if problems:
            text = "; ".join(problem.sentence() for problem in problems[:3])
            raise PydanticCustomError("references", "{text}", {"text": text, "problems": problems})
        return self

    def _named_providers(self) -> Iterator[tuple[KeyPath, str]]:
        yield ("active_provider",), self.active_provider
        for index, budget in enumerate(self.budgets):
            if budget.scope.provider is not None and budget.scope.provider != "*":
                yield ("budgets", index, "scope", "provider"), budget.scope.provider
        groups: list[tuple[KeyPath, tuple[RouteTarget, ...]]] = [(("routing", "targets"), self.routing.targets)]
        for key in ("tiers", "tasks"):
            groups += [(("routing", key, name), targets) for name, targets in getattr(self.routing, key).items()]
        for path, targets in groups:
            for index, target in enumerate(targets):
                if target.provider is not None:
                    yield (*path, index), target.provider
