"""A wire format and a host that the library does not know: a codec of four verbs, and a `Provider` that uses it.

The server below speaks "plain": ``POST /v1/{model}/say`` with ``{"ask", "most", "live"}``; it answers
``{"say", "why"}``, or with ``live`` a stream of ``data: {"say": ...}`` that ends with ``data: {"why": ...}``.
"""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pydantic import SecretStr

import asyncllm
from asyncllm import Message, Provider, Response, Route, Text, errors
from asyncllm.schema import PartEnd, PartStart, ResponseEnd, ResponseStart, TextDelta
from asyncllm.wires import Context, HeaderKey, WireRequest, build_error, classify, path_escape, snippet

FINISH = {"end": "stop", "cut": "length"}


class Plain:
    """The codec: pure functions between canonical values and bytes; no I/O, no clock."""

    name = "plain"

    def encode(self, request, context: Context) -> WireRequest:
        """Canonical request -> bytes. What the wire cannot say is refused by name, or left out with a warning."""
        for message in request.messages:
            for part in message.content:
                if not isinstance(part, Text):
                    raise errors.UnsupportedContentError(
                        f"{context.provider} cannot take a {type(part).__name__} part; it reads text only"
                    )
        asked = "\n".join(f"{message.role}: {message.text}" for message in request.messages)
        body = {"ask": asked, "most": request.max_tokens or 1000, "live": request.stream, **(request.extra_body or {})}
        return WireRequest(
            method="POST",
            path=f"/v1/{path_escape(request.model)}/say",
            headers=(("content-type", "application/json"),),
            body=context.json.dumps(body),
            warnings=() if request.temperature is None else ("plain has no temperature; it was left out",),
        )

    def decode(self, status, headers, body: bytes, context: Context) -> Response:
        """A whole answer -> `Response`; what is not of this format is a `ProtocolError`, never a guess."""
        value = context.json.loads(body)
        if not isinstance(value, dict) or not isinstance(value.get("say"), str):
            raise errors.ProtocolError("the answer has no text", provider=context.provider, model=context.model)
        return Response(
            message=Message.assistant(Text(value["say"], origin=context.origin)),
            finish_reason=FINISH.get(value.get("why"), "other"),
            raw_finish_reason=value.get("why"),
            provider=context.provider,
            model=context.model,
            requested_model=context.model,
            raw=value,
        )

    def decode_error(self, status, headers, body: bytes, context: Context) -> errors.AsyncLLMError:
        """A failed answer -> the exception to raise; never raises itself. Codes first, then the status."""
        kind = classify(status, (), "", code_rows={})
        facts = {"status": status, "code": None, "headers": headers, "request_id": headers.get("x-request-id")}
        return build_error(kind, snippet(body), context=context, **facts)

    def decoder(self, headers, context: Context) -> "PlainStream":
        """One incremental decoder for each stream."""
        return PlainStream(context)


class PlainStream:
    """Frames -> events. The end is the protocol's own, never the connection's."""

    def __init__(self, context: Context) -> None:
        self.done = False
        self.request_id = None
        self.rate_limits = None
        self._context = context
        self._said: list[str] = []

    def feed(self, frames):
        """The events that these frames mean."""
        events = []
        for frame in frames:
            value = self._context.json.loads(frame.data)
            if "say" in value:
                if not self._said:
                    events += [ResponseStart(model=self._context.model), PartStart(0, Text(""))]
                self._said.append(value["say"])
                events.append(TextDelta(value["say"]))
            if "why" in value:
                self.done = True
                events.append(PartEnd(0, Text("".join(self._said), origin=self._context.origin)))
                events.append(ResponseEnd(FINISH.get(value["why"], "other"), raw_finish_reason=value["why"]))
        return events

    def close(self):
        """The bytes have ended: before the protocol's own end, that is a cut."""
        if self.done:
            return []
        raise errors.StreamTruncatedError("the stream ended early", provider=self._context.provider)


def plain_host(base_url: str, key: str) -> Provider:
    """The host: where it is, what it speaks, how it is told who we are."""
    route = Route(protocol=Plain())
    return Provider(
        name="plain",
        kind="plain",
        base_url=base_url,
        auth=HeaderKey(SecretStr(key), header="x-plain-key", prefix=""),
        resolve=lambda operation, model, request: route,
    )


class Server(BaseHTTPRequestHandler):
    """The stand-in for the service."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers["x-plain-key"] != "my-key":
            return self._answer(401, b"who are you?")
        said = f"You said {asked['ask'].rpartition(': ')[2]!r}."
        if not asked["live"]:
            return self._answer(200, json.dumps({"say": said, "why": "end"}).encode())
        lines = [*({"say": word + " "} for word in said.split()), {"why": "end"}]
        return self._answer(200, b"".join(b"data: %s\n\n" % json.dumps(line).encode() for line in lines))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


async def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = plain_host(f"http://127.0.0.1:{server.server_port}", "my-key")
    async with asyncllm.Client(providers=[host]) as client:
        reply = await client.send("Hello", model="any/model")
        print(reply.text, reply.finish_reason)
        async for text in client.stream("Hello again", model="any/model").text():
            print(text, end="")
        print()
    server.shutdown()
    server.server_close()


if __name__ == "__main__":
    asyncio.run(main())
