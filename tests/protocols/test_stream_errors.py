"""What an error that ends a stream is given on its way out of a decoder."""

from __future__ import annotations

from asyncllm._protocols.codec import complete
from asyncllm._schema.events import TextDelta
from asyncllm.errors import ProtocolError
from recordings import context


def test_an_error_says_whose_it_is() -> None:
    """The provider, the model, the id of the request and the events before it are added."""
    error, here, said = ProtocolError("no"), context(), [TextDelta("hi", 0)]
    complete(error, list(said), here, "req_1")
    assert (here.provider, here.model, "req_1") == (error.provider, error.model, error.request_id)
    assert said == vars(error)["events"]


def test_what_an_error_says_itself_stays() -> None:
    """Nothing that was known where it was raised is replaced, and no events leave no attribute."""
    error = ProtocolError("no", provider="a", model="b", request_id="c")
    complete(error, [], context(), "req_1")
    assert ("a", "b", "c") == (error.provider, error.model, error.request_id)
    assert [] == error.events
