"""Real HTTP servers on this machine that speak the OpenAI API, well or badly.

::

    with answering_server(lambda body: '{"configs": []}') as server:
        OpenAI(base_url=server.url, model="m").complete(request)
    assert server.bodies[0]["model"] == "m"

    with misbehaving_server("unauthorized") as server:
        ...  # every name in BEHAVIOURS; BEHAVIOURS[name].reason is what the back end reports
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import socket
import sys
import threading
import time
from typing import Any


Body = dict[str, Any]
Handler = Callable[[Body], str]

MODEL = "model-at-the-server"
GOOD = '{"configs": [{"x": 0.5, "why": "the middle"}]}'


@dataclass(frozen=True)
class Received:
    """One request as it came in. Header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Body


@dataclass(frozen=True)
class Reply:
    """What the server sends, and how badly.

    Attributes:
        delay:
            Seconds before it answers at all.
        cut:
            Whether the connection is closed in the middle of the body.
        drip:
            Whether a blank comes every 20 ms, for ever, before the body.
    """

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False
    drip: bool = False

    def payload(self) -> bytes:
        if isinstance(self.body, str):
            return self.body.encode()
        return json.dumps(self.body).encode()


Responder = Callable[[Received, Handler], Reply]


@dataclass
class Server:
    """A running server. ``url`` is what a client takes as ``base_url``."""

    url: str
    received: list[Received] = field(default_factory=list)

    @property
    def bodies(self) -> list[Body]:
        return [received.body for received in self.received]

    @property
    def paths(self) -> list[str]:
        return [received.path for received in self.received]


@dataclass(frozen=True)
class Behaviour:
    """One way to behave.

    Attributes:
        respond:
            The answer to a request; :obj:`None` when nothing listens.
        reason:
            ``reason`` of the error that the back end raises, or :obj:`None` when it gets a text
            out of this server (whether that text is of any use is another matter).
    """

    respond: Responder | None
    reason: str | None = None


@contextmanager
def misbehaving_server(name: str, handler: Handler = lambda body: GOOD) -> Iterator[Server]:
    """A server with the behaviour of that name in :data:`BEHAVIOURS`."""
    respond = BEHAVIOURS[name].respond
    with _nobody() if respond is None else serving(respond, handler) as server:
        yield server


@contextmanager
def answering_server(handler: Handler = lambda body: GOOD) -> Iterator[Server]:
    """A server that answers both APIs with what the handler makes of the request's body."""
    with serving(good, handler) as server:
        yield server


@contextmanager
def serving(respond: Responder, handler: Handler = lambda body: GOOD) -> Iterator[Server]:
    """A server with a behaviour of one's own."""
    closing = threading.Event()
    httpd = _HTTPServer(("127.0.0.1", 0), _handler_class(respond, handler, closing))
    server = Server(f"http://127.0.0.1:{httpd.server_address[1]}/v1")
    httpd.received = server.received
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        closing.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()
    if httpd.error is not None:
        raise httpd.error


def prompt_of(body: Body) -> str:
    """All words of a request of either API, in one string."""
    return "\n".join(m["content"] for m in body.get("messages") or body.get("input") or ())


# ------------------------------------------------------------------------------------------------
# Replies.


def good(received: Received, handler: Handler) -> Reply:
    """The right answer of either API, with as many choices as are asked for."""
    if received.path.endswith("/chat/completions"):
        return Reply(
            body=chat(*(handler(received.body) for _ in range(received.body.get("n", 1))))
        )
    if received.path.endswith("/responses"):
        return Reply(body=responses(handler(received.body)))
    return error(404, "Not Found")


def chat(*texts: str | None, finish_reason: str = "stop", refusal: str | None = None) -> Body:
    """The body of an answer of Chat Completions."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [
            {
                "index": i,
                "finish_reason": finish_reason,
                "message": {"role": "assistant", "content": text, "refusal": refusal},
            }
            for i, text in enumerate(texts)
        ],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 64},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    }


def responses(text: str, *, incomplete: str | None = None, refusal: str | None = None) -> Body:
    """The body of an answer of the Responses API."""
    part = {"type": "output_text", "text": text, "annotations": []}
    if refusal is not None:
        part = {"type": "refusal", "refusal": refusal}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": MODEL,
        "status": "completed" if incomplete is None else "incomplete",
        "incomplete_details": None if incomplete is None else {"reason": incomplete},
        "error": None,
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]},
        ],
        "usage": {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 64},
            "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 5},
            "total_tokens": 120,
        },
    }


def error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    """An error in OpenAI's form."""
    body = {"message": message, "type": "error", "code": code, "param": param}
    return Reply(status=status, body={"error": body}, headers=headers or {})


# ------------------------------------------------------------------------------------------------
# Behaviours.


def always(reply: Reply, *, reason: str | None = None) -> Behaviour:
    """The same reply to everything."""
    return Behaviour(lambda received, handler: reply, reason)


def saying(text: str | None, *, reason: str | None = None, **kwargs: Any) -> Behaviour:
    """The same words to everything, in the form of the API that is asked."""

    def respond(received: Received, handler: Handler) -> Reply:
        if received.path.endswith("/chat/completions"):
            return Reply(body=chat(text, **kwargs))
        cut = "max_output_tokens" if kwargs.get("finish_reason") == "length" else None
        if kwargs.get("finish_reason") == "content_filter":
            cut = "content_filter"
        return Reply(body=responses(text or "", incomplete=cut, refusal=kwargs.get("refusal")))

    return Behaviour(respond, reason)


def refusing(name: str, message: str = "", *, status: int = 400, named: bool = False) -> Behaviour:
    """Refuse requests that have the parameter of that name; answer others."""
    words = message or f"Unsupported parameter: '{name}' is not supported with this model."
    refusal = error(status, words, param=name if named else None)

    def respond(received: Received, handler: Handler) -> Reply:
        return refusal if name in received.body else good(received, handler)

    return Behaviour(respond)


def refusing_formats(*types: str, status: int = 400) -> Behaviour:
    """Refuse the forms of structured output that are named; answer others."""

    def respond(received: Received, handler: Handler) -> Reply:
        form = _dict(received.body.get("response_format")) or _dict(
            _dict(received.body.get("text")).get("format")
        )
        if form.get("type") in types:
            return error(status, f"response_format of type {form['type']} is unavailable now")
        return good(received, handler)

    return Behaviour(respond)


def failing_first(reply: Reply, times: int = 1) -> Responder:
    """Fail so often, then answer."""
    left = iter([reply] * times)
    return lambda received, handler: next(left, None) or good(received, handler)


def _unauthorized(received: Received, handler: Handler) -> Reply:
    key = received.headers.get("authorization") or received.headers.get("api-key", "")
    return error(401, f"Incorrect API key provided: {key}.", code="invalid_api_key")


def _no_usage(received: Received, handler: Handler) -> Reply:
    reply = good(received, handler)
    assert isinstance(reply.body, dict)
    return Reply(body={k: v for k, v in reply.body.items() if k not in ("usage", "model")})


def _no_responses(received: Received, handler: Handler) -> Reply:
    if received.path.endswith("/responses"):
        return error(404, f"Invalid URL (POST {received.path})")
    return good(received, handler)


_SOON = {"retry-after-ms": "10"}
_LECTURE = "As an expert, I advise to think about the learning rate. It depends on the data."
_HTML = "<!doctype html><html><body>It works!</body></html>"

BEHAVIOURS: dict[str, Behaviour] = {
    # No answer.
    "unauthorized": Behaviour(_unauthorized, "authentication"),
    "forbidden": always(error(403, "Country not supported"), reason="authentication"),
    "model_not_found": always(
        error(404, "The model 'm' does not exist", code="model_not_found"),
        reason="model_not_found",
    ),
    "path_not_found": always(
        Reply(404, {"detail": "Not Found"}),
        reason="model_not_found",
    ),
    "bad_request": always(error(400, "I do not like this"), reason="bad_request"),
    "too_long": always(
        error(400, "Maximum context length is 2048 tokens", code="context_length_exceeded"),
        reason="bad_request",
    ),
    "rate_limited": always(error(429, "Slow down", headers=_SOON), reason="rate_limit"),
    "out_of_quota": always(
        error(429, "You exceeded your current quota", code="insufficient_quota"),
        reason="rate_limit",
    ),
    "internal_error": always(error(500, "Oops", headers=_SOON), reason="server_error"),
    "unavailable": always(Reply(503, _HTML, _SOON), reason="server_error"),
    "connection_refused": Behaviour(None, "connection"),
    "connection_cut": always(Reply(body=chat(GOOD), cut=True), reason="connection"),
    "slow": always(Reply(body=chat(GOOD), delay=60), reason="timeout"),
    "dripping": always(Reply(body=chat(GOOD), drip=True), reason="timeout"),
    # An answer without a text that could be read.
    "refusal": saying(None, refusal="I'm sorry, I can't help with that.", reason="refusal"),
    "content_filter": saying("I", finish_reason="content_filter", reason="refusal"),
    "truncated": saying(GOOD[:20], finish_reason="length", reason="truncated"),
    "truncated_in_thought": saying("", finish_reason="length", reason="truncated"),
    "empty_choices": always(Reply(body=chat() | {"output": []}), reason="unusable_answer"),
    "empty_content": saying("", reason="unusable_answer"),
    "no_content": saying(None, reason="unusable_answer"),
    "not_json": always(Reply(body="{'choices': "), reason="unusable_answer"),
    "wrong_body": always(Reply(body=[1, None]), reason="unusable_answer"),
    "html": always(
        Reply(body=_HTML, headers={"content-type": "text/html"}), reason="unusable_answer"
    ),
    "error_in_body": always(
        Reply(body={"error": {"message": "Provider returned error", "code": 502}}),
        reason="server_error",
    ),
    # A text, but what is in it?
    "nan": saying('{"configs": [{"x": NaN, "why": "?"}]}'),
    "wrong_schema": saying('{"params": {"x": "a lot"}}'),
    "empty_list": saying('{"configs": []}'),
    "lecture": saying(_LECTURE),
    # Picky or old, but willing: the handler's answer is to be had.
    "no_usage": Behaviour(_no_usage),
    "no_responses_api": Behaviour(_no_responses),
    "no_json_schema": refusing_formats("json_schema"),
    "no_json_at_all": refusing_formats("json_schema", "json_object", status=422),
    "no_temperature": refusing("temperature", named=True),
    "no_seed": refusing("seed"),
    "no_n": refusing("n", "Only n = 1 is supported."),
    "no_max_tokens": refusing(
        "max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    ),
}


# ------------------------------------------------------------------------------------------------
# The machinery.


class _HTTPServer(ThreadingHTTPServer):
    received: list[Received]
    error: BaseException | None = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):  # Clients may hang up, tests may not be wrong.
            self.error = error


def _handler_class(
    respond: Responder, handler: Handler, closing: threading.Event
) -> type[BaseHTTPRequestHandler]:
    class RequestHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server: _HTTPServer

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            received = Received(
                method=self.command,
                path=self.path.split("?")[0],
                headers={name.lower(): value for name, value in self.headers.items()},
                body=_dict(json.loads(self.rfile.read(length) or b"null")),
            )
            self.server.received.append(received)
            self._send(respond(received, handler))

        do_GET = do_POST

        def _send(self, reply: Reply) -> None:
            closing.wait(reply.delay)
            payload = reply.payload()
            self.send_response(reply.status)
            for name, value in {"content-type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(payload) + 10**6 * reply.drip))
            self.end_headers()
            while reply.drip and not closing.is_set():
                self.wfile.write(b" ")
                time.sleep(0.02)
            self.wfile.write(payload[: len(payload) // 2] if reply.cut else payload)
            self.close_connection = self.close_connection or reply.cut

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return RequestHandler


@contextmanager
def _nobody() -> Iterator[Server]:
    """An address that belongs to nobody else, at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Server(f"http://127.0.0.1:{bound.getsockname()[1]}/v1")


def _dict(value: object) -> Body:
    return value if isinstance(value, dict) else {}
