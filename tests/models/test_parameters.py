"""Sampling hints that a model refuses: dropped with a warning, or an error."""

from __future__ import annotations

from typing import Any

import pytest

from asyncllm._models.parameters import check_left_out, fit_parameters
from asyncllm._protocols.codec import LeftOut
from asyncllm._schema.facts import NOTHING_KNOWN
from asyncllm._schema.messages import Message
from asyncllm._schema.request import Request
from asyncllm.errors import UnsupportedParameterError

NO_SAMPLING = NOTHING_KNOWN.overlaid({"sampling": False}, "config")


def asked(**fields: Any) -> Request:
    return Request(model="m", messages=(Message.user("hi"),), **fields)


def test_refused_hints_are_dropped_with_a_warning() -> None:
    """Temperature and top_p go, everything else stays, and each leaves a sentence."""
    fitted = fit_parameters(asked(temperature=0.2, top_p=0.5, seed=7, max_tokens=9), NO_SAMPLING, "drop")
    assert asked(seed=7, max_tokens=9) == fitted.request
    assert ["temperature", "top_p"] == [left.keyword for left in fitted.left_out]
    assert "temperature was left out: m takes no sampling parameters" == str(fitted.left_out[0])


def test_or_they_are_an_error() -> None:
    """With ``error`` the first refused hint is named, with the way out."""
    with pytest.raises(UnsupportedParameterError, match="top_p cannot be sent: m takes no") as caught:
        fit_parameters(asked(top_p=0.5), NO_SAMPLING, "error", provider="p")
    assert ("p", "m") == (caught.value.provider, caught.value.model)
    assert "unsupported_parameters: drop" in caught.value.message


@pytest.mark.parametrize("policy", ["drop", "error"])
def test_what_is_not_known_is_sent(policy: Any) -> None:
    """A model that nobody knows is allowed everything; and a request without hints is nobody's business."""
    request = asked(temperature=0.2)
    assert (request, ()) == fit_parameters(request, NOTHING_KNOWN, policy)
    plain = asked(seed=3)
    assert plain is fit_parameters(plain, NO_SAMPLING, policy).request


def test_what_codecs_leave_out_obeys_the_same_policy() -> None:
    """A hint that a codec leaves out is an error under ``error``; another keyword is not."""
    left_out = (LeftOut("parallel_tool_calls", "it has no such switch"), LeftOut("seed", "Converse has none"))
    check_left_out(left_out, "drop", model="m")
    check_left_out(left_out[:1], "error", model="m")
    with pytest.raises(UnsupportedParameterError, match="seed cannot be sent: Converse has none"):
        check_left_out(left_out, "error", model="m", provider="p")
