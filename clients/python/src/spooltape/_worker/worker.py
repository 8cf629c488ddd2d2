"""A worker: a process that runs tasks of a service."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
from typing import Any, Awaitable, Callable, Iterator, List, Optional, Sequence

from .. import _messages as pb
from .._connection import read_endpoint
from .._errors import SpoolError
from .._requests import policy_message
from .._retry import RetryBudget
from .._times import Seconds, limit_of, seconds_of
from .attempt import Attempt
from .attempts import Attempts
from .kind import Kind
from .notice import LOGGER, Connected, Disconnected, Draining, WorkerNotice, log_notice
from .stream import WorkerStream

CAPACITY_MAX = 10_000
KINDS_MAX = 100
LEAVE_S = 5.0
"""How long the worker waits at its stop for the server to store ends of tasks, and then for the stream to end."""
FINAL_CODES = {"INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"}
"""Codes of errors that a retry would meet again."""


class Worker:
    """Runs tasks of the given kinds in this process.

    The worker connects to a server, which assigns at most ``concurrency`` tasks. After a disconnect, it reconnects to
    any server of the service and keeps its running tasks. Events that the server confirmed as stored are neither lost
    nor stored twice.

    A worker runs once. A stop has three steps. The worker takes no more tasks, and running tasks may continue for
    ``drain`` seconds. Then their code must stop, and has ``grace`` seconds. Then unfinished tasks are released: a task
    of a resumable kind continues in another process.

    :param kinds: the kinds to run, 1 to 100.
    :param address: as for Client.
    :param token: as for Client.
    :param namespace: as for Client.
    :param credentials: as for Client.
    :param concurrency: how many tasks to run at once, 1 to 10,000. Default 16.
    :param drain: how long running tasks may continue after the stop is requested, in seconds. Default 10.
    :param grace: how long the code may then take, in seconds. Default 5.
    :param retry_for: how long to retry a lost or unreachable service, in seconds. Default: no limit.
    :param on_notice: called for each event of the worker, also from threads of tasks. The worker logs them besides, to
        the logger ``spooltape``.
    :raises ValueError: for options out of their bounds.
    """

    def __init__(
        self,
        kinds: Sequence[Kind],
        *,
        address: Optional[str] = None,
        token: Optional[str] = None,
        namespace: Optional[str] = None,
        credentials: Optional[Any] = None,
        concurrency: int = 16,
        drain: Seconds = 10,
        grace: Seconds = 5,
        retry_for: Seconds = math.inf,
        on_notice: Optional[Callable[[WorkerNotice], object]] = None,
    ) -> None:
        self._kinds = {kind.name: kind for kind in kinds}
        if not 1 <= len(kinds) <= KINDS_MAX:
            raise ValueError(f"kinds: must have 1 to {KINDS_MAX}, has {len(kinds)}")
        if len(self._kinds) < len(kinds):
            raise ValueError("kinds: a name is there twice")
        if not 1 <= concurrency <= CAPACITY_MAX:
            raise ValueError(f"concurrency: must be 1 to {CAPACITY_MAX}, is {concurrency}")
        self._endpoint = read_endpoint(address, token, namespace, credentials)
        self._concurrency = concurrency
        self._drain_s = seconds_of("drain", drain)
        self._grace_s = seconds_of("grace", grace)
        self._retry_for = limit_of("retry_for", retry_for)
        self._listener = on_notice
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._is_stopping = False

    def run(self) -> None:
        """Runs until SIGTERM or SIGINT, and returns when the worker has stopped. A second signal ends the process.

        Call it in the main thread. In another thread, no signal is handled: ``stop`` ends the worker.

        :raises SpoolError: if the worker cannot continue.
        """
        asyncio.run(self.serve(signals=(signal.SIGTERM, signal.SIGINT)))

    async def serve(self, *, signals: Sequence[signal.Signals] = ()) -> None:
        """Runs on the current event loop until ``stop`` is called, and returns when the worker has stopped.

        Cancelling it abandons the tasks: other processes take them over when the lease has expired.

        :param signals: stop the worker. Only in the main thread.
        :raises SpoolError: if the worker cannot continue.
        """
        loop = asyncio.get_running_loop()
        run = _WorkerRun(self)
        self._stop_run, self._loop = run.stop, loop
        handled = list(_handle(loop, signals, self.stop))
        if self._is_stopping:
            run.stop()
        try:
            await run.serve()
        finally:
            self._loop = None
            for name in handled:
                loop.remove_signal_handler(name)

    def stop(self) -> None:
        """Asks the worker to stop. Returns at once. May be called from any thread, and more than once."""
        self._is_stopping = True
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._stop_run)

    _stop_run: Callable[[], None]

    def _hello(self, token: str, running: List[pb.HeldAttempt], is_draining: bool) -> pb.Hello:
        return pb.Hello(
            kinds=[
                pb.KindOffer(
                    name=kind.name,
                    max_attempts=kind.max_attempts or 0,
                    retry_policy=policy_message(kind.retry_policy),
                    resumable=kind.resumable,
                    checks=kind.exclusive is not None,
                )
                for kind in self._kinds.values()
            ],
            capacity=self._concurrency,
            resume_token=token,
            running=running,
            host=socket.gethostname()[:255],
            pid=os.getpid(),
            draining=is_draining,
        )

    def _notify(self, notice: WorkerNotice) -> None:
        log_notice(notice)
        if self._listener is not None:
            try:
                self._listener(notice)
            except Exception:
                LOGGER.exception("on_notice failed")


class _WorkerRun:
    """One run of a worker, on one event loop."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._attempts = Attempts(worker._kinds, worker._notify, self._on_unsent)
        self._stream: Optional[WorkerStream] = None
        self._token = ""
        self._heartbeat: Optional[float] = None
        self._drained = asyncio.Event()
        """Is set when no more assignments are on their way to this worker."""
        self._stopping: Optional[asyncio.Task[None]] = None
        self._serving: Optional[asyncio.Task[None]] = None
        self._has_left = False
        self._is_halted = False

    async def serve(self) -> None:
        serving = self._serving = asyncio.ensure_future(self._reconnect())
        try:
            await asyncio.wait([serving])
            if not (serving.cancelled() and self._is_halted):
                serving.result()
        finally:
            serving.cancel()
            if self._stopping is not None:
                self._stopping.cancel()
            self._attempts.close_all()

    def stop(self) -> None:
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(self._stop())

    def _on_unsent(self, attempt: Attempt) -> None:
        if self._stream is not None:  # Else the next stream carries what the attempt keeps.
            self._stream.on_unsent(attempt)

    async def _stop(self) -> None:
        if self._token != "":  # Else it never had a session.
            if self._stream is not None:
                self._stream.say(pb.WorkRequest(drain=pb.Drain()))
            await _within(self._worker._drain_s, self._idle())
            self._attempts.stop_all()
            await _within(self._worker._grace_s, self._attempts.idle.wait())
            self._attempts.release_all()
            await _within(LEAVE_S, self._attempts.idle.wait())
            self._has_left = True
            if self._stream is not None:
                self._stream.leave()
                await asyncio.sleep(LEAVE_S)  # The end of the stream ends this wait.
        self._is_halted = True
        if self._serving is not None:
            self._serving.cancel()

    async def _idle(self) -> None:
        await self._drained.wait()
        await self._attempts.idle.wait()

    async def _reconnect(self) -> None:
        """Connects and reconnects until the worker has left."""
        budget = RetryBudget(self._worker._retry_for)
        while True:
            try:
                await self._connect(budget)
                if self._has_left:
                    return
                error = SpoolError("UNAVAILABLE", "the server ended the stream")
            except SpoolError as failure:
                if self._has_left:
                    return
                error = failure
            delay = budget.next_delay(_transient(error))
            if delay is None:
                raise error
            self._worker._notify(Disconnected(error, delay))
            await asyncio.sleep(delay)

    async def _connect(self, budget: RetryBudget) -> None:
        """Serves one stream to its end."""
        is_draining = self._stopping is not None
        hello = self._worker._hello(self._token, self._attempts.held(), is_draining)
        stream = WorkerStream(self._worker._endpoint, hello, self._heartbeat)
        messages = stream.messages()
        try:
            async for message in messages:
                which = message.WhichOneof("message")
                if which == "welcome":
                    budget.succeeded()
                    self._welcome(stream, message.welcome)
                elif which == "check":
                    stream.say(pb.WorkRequest(checked=self._attempts.check(message.check)))
                elif which == "drained":
                    self._drained.set()
                elif which == "drain":
                    self._worker._notify(Draining())
                else:
                    self._attempts.take(message)
        finally:
            self._stream = None
            await messages.aclose()

    def _welcome(self, stream: WorkerStream, welcome: pb.Welcome) -> None:
        self._token, self._heartbeat, self._stream = welcome.resume_token, stream.heartbeat, stream
        self._attempts.on_welcome(welcome)
        stream.say(pb.WorkRequest(heartbeat=pb.Heartbeat()))
        if self._stopping is not None:
            stream.say(pb.WorkRequest(drain=pb.Drain()))
        if self._has_left:
            stream.leave()
        self._worker._notify(Connected(welcome.session_id, welcome.resumed))


def _transient(error: SpoolError) -> SpoolError:
    """Returns the error as a transient one, unless its code is final: another server, or a later try, may succeed."""
    if error.code in FINAL_CODES:
        return error
    return SpoolError("UNAVAILABLE", error.message, retry_after=error.retry_after)


async def _within(seconds: float, work: Awaitable[object]) -> None:
    """Waits for work that may never end."""
    try:
        await asyncio.wait_for(work, seconds)
    except asyncio.TimeoutError:
        pass


def _handle(
    loop: asyncio.AbstractEventLoop, signals: Sequence[signal.Signals], stop: Callable[[], None]
) -> Iterator[signal.Signals]:
    """Handles each signal once. Yields those that are handled."""

    def on_signal(name: signal.Signals) -> None:
        loop.remove_signal_handler(name)  # A second one has its usual effect.
        stop()

    for name in signals:
        try:
            loop.add_signal_handler(name, on_signal, name)
        except (NotImplementedError, RuntimeError, ValueError):
            continue  # Not in this thread, or not on this system.
        yield name
