"""The language model: a fixed number of slots, a queue before them, and answers in chunks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, Self

from model_server.config import Config
from model_server.errors import ApiError

END = None


class Backend(Protocol):
    """What this module needs of `xllamacpp.Server`."""

    def handle_chat_completions(
        self, body: dict[str, Any], callback: Callable[[dict[str, Any]], bool]
    ) -> None:
        """Answer `body`, calling `callback` with each chunk until it returns true."""


class Generation:
    """One answer as it is generated: an iterator over its chunks that can be closed early."""

    def __init__(self) -> None:
        """Begin without chunks and without a place in the queue."""
        self._chunks: queue.SimpleQueue[dict[str, Any] | Exception | None] = queue.SimpleQueue()
        self._cancelled = threading.Event()
        self._future: Future[None] | None = None

    def start(self, executor: ThreadPoolExecutor, backend: Backend, body: dict[str, Any]) -> Self:
        """Queue `body` for the next free slot."""
        self._future = executor.submit(self._run, backend, body)
        return self

    def _run(self, backend: Backend, body: dict[str, Any]) -> None:
        def take(chunk: dict[str, Any]) -> bool:
            self._chunks.put(chunk)
            return self._cancelled.is_set()

        try:
            if not self._cancelled.is_set():
                backend.handle_chat_completions(body, take)
            self._chunks.put(END)
        except Exception as error:  # It is raised again, in the reader's thread.
            self._chunks.put(error)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the chunks as they come.

        Raises:
            ApiError: the model refused the request.
        """
        while (item := self._chunks.get()) is not END:
            if isinstance(item, ValueError):
                raise ApiError(400, str(item))
            if isinstance(item, Exception):
                raise item
            if "error" in item:
                error = item["error"]
                raise ApiError(
                    int(error.get("code", 500)), str(error.get("message")), code=error.get("type")
                )
            yield item

    def close(self) -> None:
        """Stop generating; the slot is free after the token at hand."""
        self._cancelled.set()
        if self._future:
            self._future.cancel()


class Engine:
    """Admits requests up to a limit and generates as many answers at once as there are slots."""

    def __init__(self, backend: Backend, config: Config) -> None:
        """Serve `backend` with the limits of `config`."""
        self._backend = backend
        self._executor = ThreadPoolExecutor(config.parallel, thread_name_prefix="slot")
        self._places = threading.BoundedSemaphore(config.max_requests)

    def admit(self) -> None:
        """Take a place, to be given back with `release`.

        Raises:
            ApiError: 503, because all places are taken.
        """
        if not self._places.acquire(blocking=False):
            raise ApiError(503, "The model is busy. Try again shortly.", code="model_busy")

    def release(self) -> None:
        """Give a place back."""
        self._places.release()

    def generate(self, body: dict[str, Any]) -> Generation:
        """Begin to answer `body`, at once or when a slot is free."""
        return Generation().start(self._executor, self._backend, body)


def load_backend(config: Config) -> Backend:
    """Load the model into memory (a second) and return it."""
    import xllamacpp  # noqa: PLC0415 (a hundred megabytes, which the tests of the rest do without)

    params = xllamacpp.CommonParams()
    params.model.path = str(config.model_path)
    params.n_ctx = config.context_size
    params.n_parallel = config.parallel
    params.cpuparams.n_threads = config.threads
    params.cpuparams_batch.n_threads = config.threads
    backend: Backend = xllamacpp.Server(params)
    return backend
