"""What the endpoints answer, as examples in the OpenAPI document; by the name of the operation."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_ROW: Mapping[str, Any] = MappingProxyType(
    {
        "group": {"provider": "openai", "model": "gpt-5.4-mini"},
        "requests": 120,
        "calls": 117,
        "failures": 3,
        "unpriced": 0,
        "cost": "1.284000000",
        "input_tokens": 96000,
        "output_tokens": 21000,
        "total_tokens": 117000,
        "cache_read_tokens": 12000,
        "latency_mean": 1.1,
        "latency_p50": 0.9,
        "latency_p95": 2.4,
        "failure_rate": 0.025,
    }
)
_BUDGET: Mapping[str, Any] = MappingProxyType(
    {
        "name": "daily",
        "scope": {},
        "limit": "10.00",
        "spent": "1.284000000",
        "reserved": "0.020000000",
        "excess": "0",
        "resets_at": "2026-11-29T00:00:00+00:00",
        "used": 0.1284,
    }
)
_TARGET: Mapping[str, Any] = MappingProxyType(
    {
        "provider": "openai",
        "model": "gpt-5.4-mini",
        "deployment": None,
        "state": "closed",
        "reason": None,
        "retry_after": 0.0,
        "attempts": 120,
        "failures": 3,
        "failure_rate": 0.03,
        "consecutive_failures": 0,
        "latency_p50": 0.9,
        "latency_p95": 2.4,
        "queue_depth": 0,
    }
)
_CALL: Mapping[str, Any] = MappingProxyType(
    {
        "id": "01KB2Q8Y8Z5S6JX0M4T1V9W3RD",
        "time": "2026-11-28T09:12:33+00:00",
        "call": "01KB2Q8Y8Z5S6JX0M4T1V9W3RD",
        "attempt": 1,
        "provider": "openai",
        "model": "gpt-5.4-mini",
        "status": "ok",
        "nano_cost": 2000000,
        "latency": 0.81,
        "user": "ann",
        "tags": {"team": "red"},
    }
)
EXAMPLES: Mapping[str, Any] = MappingProxyType(
    {
        "health": {"targets": [dict(_TARGET)]},
        "reset_health": {"reset": "openai"},
        "summary": {
            "summary": {"today": dict(_ROW), "all": dict(_ROW)},
            "session_cost": "1.284000000",
            "budgets": [dict(_BUDGET)],
        },
        "stats": {"by": ["provider", "model"], "rows": [dict(_ROW)]},
        "configuration": {
            "configuration": {"active_provider": "openai", "providers": {"openai": {"api_key": "(set)"}}}
        },
        "models": {"models": [{"provider": "openai", "id": "gpt-5.4-mini", "deprecated": False}]},
        "budgets": {"budgets": [dict(_BUDGET)]},
        "reset_budget": {"reset": "daily"},
        "raise_budget": {"raised": "daily", "by": "5"},
        "calls": {"calls": [dict(_CALL)], "next": "01KB2Q8Y8Z5S6JX0M4T1V9W3RD"},
    }
)
