"""Request bodies, read whole before a request is worked on, within a size and a time.

The web server starts a request once its headers are complete, and a read from its stream waits as
long as the client likes; the server has no limit for that. So the stream is read in a thread of its
own, for which the request's thread waits no longer than allowed: a client that drips its body can
hold neither all threads nor one for ever. The read itself ends with the connection. Django sees a
body of known length, also where it came in chunks.
"""

import threading
from collections.abc import Iterable
from io import BytesIO
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PROMPT_SECONDS = 0.2  # a body that takes no longer counts as prompt
WHOLE_SECONDS = 10.0  # for all of a body, however it is spread
MOST_READS = 256  # at once: an abandoned read ends only with its client
# Of the 10 threads of a process; the others stay free for webhooks, pages and health checks.
SLOW_AT_ONCE = 3

BAD_REQUEST = ("400 Bad Request", "The request ended before its body was complete.")
TIMEOUT = ("408 Request Timeout", "The request's body did not arrive in time.")
TOO_LARGE = ("413 Content Too Large", "The request is larger than anything taken here.")
BUSY = ("503 Service Unavailable", "Too many requests are still being received. Please try again.")


class Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Read:
    """One read of a stream under way. `done` is locked until it has ended."""

    __slots__ = ("body", "done", "error", "size", "stream")

    def __init__(self, stream: Stream, size: int) -> None:
        self.stream, self.size, self.body = stream, size, b""
        self.error: Exception | None = None
        self.done = threading.Lock()
        self.done.acquire()

    def run(self) -> None:
        try:
            self.body = bytes(self.stream.read(self.size))
        except Exception as error:  # noqa: BLE001 - raised again in the request's own thread
            self.error = error
        finally:
            self.done.release()

    def is_done(self, seconds: float) -> bool:
        return self.done.acquire(timeout=seconds)


class Readers:
    """Threads that read; a new one starts where none is idle, so that no client holds up another."""

    def __init__(self) -> None:
        self._reads: SimpleQueue[Read] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = self._threads = 0

    def start(self, stream: Stream, size: int) -> Read | None:
        """Start a read and return it; None where too many are under way."""
        read = Read(stream, size)
        with self._lock:
            is_new = self._idle == 0
            if is_new and self._threads >= MOST_READS:
                return None
            self._idle -= not is_new
            self._threads += is_new
        if is_new:
            threading.Thread(target=self._work, name="request body", daemon=True).start()
        self._reads.put(read)
        return read

    def _work(self) -> None:
        while True:
            self._reads.get().run()
            with self._lock:
                self._idle += 1


class WholeBodies:
    """WSGI middleware that reads bodies of at most `largest` bytes."""

    def __init__(self, application: "WSGIApplication", *, largest: int) -> None:
        self._application = application
        self._largest = largest
        self._readers = Readers()
        self._slow = threading.BoundedSemaphore(SLOW_AT_ONCE)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        if (size := self._expected_size(environ)) is not None:
            if size > self._largest:
                return _refuse(start_response, *TOO_LARGE)
            # Of chunks the end is not known: one byte more than is taken tells what is too large.
            read = self._readers.start(
                environ["wsgi.input"], size if size >= 0 else self._largest + 1
            )
            if read is None:
                return _refuse(start_response, *BUSY)
            if (refusal := self._wait(read)) is not None:
                return _refuse(start_response, *refusal)
            if read.error is not None:
                raise read.error
            if len(read.body) > self._largest:
                return _refuse(start_response, *TOO_LARGE)
            if len(read.body) < size:
                return _refuse(start_response, *BAD_REQUEST)
            environ["wsgi.input"] = BytesIO(read.body)
            environ["CONTENT_LENGTH"] = str(len(read.body))
            environ.pop("HTTP_TRANSFER_ENCODING", None)
        return self._application(environ, start_response)

    def _expected_size(self, environ: "WSGIEnvironment") -> int | None:
        """Return the length of the body; -1 for chunks, whose end is not known, None for no body."""
        if stated := environ.get("CONTENT_LENGTH"):
            return int(stated) if stated.isascii() and stated.isdigit() and int(stated) else None
        # Only a server that says so ends the stream where the body ends; with others a read would
        # not return.
        in_chunks = (
            "HTTP_TRANSFER_ENCODING" in environ or environ.get("SERVER_PROTOCOL") == "HTTP/2"
        )
        return -1 if in_chunks and environ.get("wsgi.input_terminated") else None

    def _wait(self, read: Read) -> tuple[str, str] | None:
        """Return None once the body has been read, or the refusal where it takes too long."""
        if read.is_done(PROMPT_SECONDS):
            return None
        if not self._slow.acquire(blocking=False):
            return BUSY
        try:
            return None if read.is_done(WHOLE_SECONDS - PROMPT_SECONDS) else TIMEOUT
        finally:
            self._slow.release()


def _refuse(start_response: "StartResponse", status: str, text: str) -> list[bytes]:
    """Send a short answer that ends the connection: what the client still sends is not read."""
    body = f"{text}\n".encode()
    headers: Any = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    ]
    if status.startswith("503"):
        headers.append(("Retry-After", "5"))
    start_response(status, headers)
    return [body]
