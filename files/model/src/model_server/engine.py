"""The language model: a fixed number of slots, a queue before them, and answers in chunks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

from model_server.config import Config
from model_server.errors import ApiError

Chunk = dict[str, Any]

END = None
BEAT = 0.25
"""Seconds without a chunk after which a generation lets its reader look up."""
HEALTH_TIMEOUT = 3
"""Seconds in which the model must react; less than the health check itself waits."""
BATCH = 64
"""Prompt tokens evaluated at a time. Between two batches a request can be cancelled, and the others
get their next token; batches of 512 read a prompt a tenth faster."""
VERBOSITY = {"DEBUG": 3, "INFO": 1, "WARNING": 1, "ERROR": 1}
"""llama.cpp's levels: its informational one is half a dozen lines for each request."""


class Backend(Protocol):
    """What this module needs of `xllamacpp.Server`."""

    def handle_chat_completions(
        self, body: dict[str, Any], callback: Callable[[Chunk], bool]
    ) -> None:
        """Answer `body`, calling `callback` with each chunk until it returns true."""

    def handle_metrics(self) -> object:
        """Ask the thread that generates for its counters."""


class Generation:
    """One answer as it is generated. It must be closed; until then it holds its place."""

    def __init__(self, release: Callable[[], None]) -> None:
        """Begin without chunks; `release` gives the place back."""
        self._release = release
        self._items: queue.SimpleQueue[Chunk | Exception | None] = queue.SimpleQueue()
        self._first: Chunk | None = None
        self._cancelled = threading.Event()
        self._future: Future[None] | None = None

    def start(self, executor: ThreadPoolExecutor, backend: Backend, body: dict[str, Any]) -> None:
        """Queue `body` for the next free slot."""
        self._future = executor.submit(self._run, backend, body)

    def _run(self, backend: Backend, body: dict[str, Any]) -> None:
        def take(chunk: Chunk) -> bool:
            self._items.put(chunk)
            return self._cancelled.is_set()

        try:
            backend.handle_chat_completions(body, take)
            self._items.put(END)
        except Exception as error:  # It is raised again, in the reader's thread.
            self._items.put(error)

    def wait(self) -> None:
        """Wait until a slot has taken the request up.

        Raises:
            ApiError: the model refuses it.
        """
        self._first = _checked(self._items.get())

    def __iter__(self) -> Iterator[Chunk | None]:
        """Yield the chunks as they come, and None where none has come for a moment.

        Raises:
            ApiError: the model failed.
        """
        item = self._first
        while item is not END:
            yield item
            while True:
                try:
                    item = _checked(self._items.get(timeout=BEAT))
                    break
                except queue.Empty:
                    yield None

    def close(self) -> None:
        """Stop generating, within a batch of the prompt or a token, and give the place back."""
        if not self._cancelled.is_set():
            self._cancelled.set()
            if self._future:
                self._future.cancel()
            self._release()


class Engine:
    """Admits requests up to a limit and generates as many answers at once as there are slots."""

    def __init__(self, backend: Backend, config: Config) -> None:
        """Serve `backend` with the limits of `config`."""
        self._backend = backend
        self._slots = ThreadPoolExecutor(config.parallel, thread_name_prefix="slot")
        self._places = threading.BoundedSemaphore(config.max_requests)
        self._prober = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._probe: Future[object] | None = None

    def generate(self, body: dict[str, Any]) -> Generation:
        """Begin to answer `body`, at once or when a slot is free.

        Raises:
            ApiError: 503, because as many requests as may are waiting.
        """
        if not self._places.acquire(blocking=False):
            raise ApiError(503, "The model is busy. Try again shortly.", code="model_busy")
        generation = Generation(self._places.release)
        generation.start(self._slots, self._backend, body)
        return generation

    def alive(self, timeout: float = HEALTH_TIMEOUT) -> bool:
        """Whether the thread that generates reacts within `timeout` seconds."""
        # One question at a time: a model that hangs shall not collect threads that ask after it.
        if self._probe is None or self._probe.done():
            self._probe = self._prober.submit(self._backend.handle_metrics)
        probe = self._probe
        return bool(wait([probe], timeout).done) and probe.exception() is None


def load_backend(config: Config) -> Backend:
    """Load the model into memory (a second) and return it.

    Raises:
        RuntimeError: the file is no model, or there is too little memory for it.
    """
    import xllamacpp  # noqa: PLC0415 (a hundred megabytes, which the tests of the rest do without)

    params = xllamacpp.CommonParams()
    params.model.path = str(config.model_path)
    params.n_ctx = config.context_size
    params.n_parallel = config.parallel
    params.n_batch = params.n_ubatch = BATCH
    params.cpuparams.n_threads = config.threads
    params.cpuparams_batch.n_threads = config.threads
    # By default it keeps up to 8 GiB of past prompts.
    params.cache_ram_mib = 0
    # It opens a port on loopback, which nothing here uses: as little as possible behind it.
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_metrics = True
    params.n_threads_http = 1
    params.verbosity = VERBOSITY[config.log_level]
    backend: Backend = xllamacpp.Server(params)
    return backend


def _checked(item: Chunk | Exception | None) -> Chunk | None:
    """Return `item`, unless it is an error, which is raised."""
    # What it raises is about the request, which it could not read; its own failures it returns.
    if isinstance(item, ValueError | RuntimeError):
        raise ApiError(400, str(item))
    if isinstance(item, Exception):
        raise item
    if item and "error" in item:
        error = item["error"]
        raise ApiError(
            int(error.get("code", 500)), str(error.get("message")), code=error.get("type")
        )
    return item
