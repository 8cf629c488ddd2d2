"""What the code of a kind receives for one attempt at a task."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Mapping, Optional

from .. import _messages as pb
from .._event_types import Series
from .._json import JsonObject, from_struct
from .._times import from_timestamp
from .attempt import Attempt, StopReason
from .emission import TaskStopped, log_event, partial_event, progress_event


class _Context:
    def __init__(self, assign: pb.Assign, attempt: Attempt) -> None:
        self._attempt = attempt
        self.task_id: str = assign.task_id
        self.kind: str = assign.kind
        self.params: JsonObject = from_struct(assign.params)
        self.attempt: int = assign.attempt
        """The number of the attempt, from 1."""
        self.labels: Mapping[str, str] = dict(assign.labels)
        self.checkpoint: Optional[JsonObject] = (
            from_struct(assign.checkpoint) if assign.HasField("checkpoint") else None
        )
        """The last checkpoint of an earlier attempt. None: there is none."""
        self.attempt_deadline_at: Optional[datetime] = (
            from_timestamp(assign.attempt_deadline_at) if assign.HasField("attempt_deadline_at") else None
        )
        """When the attempt is stopped, in UTC, by the database's clock. None: never."""
        self.traceparent: Optional[str] = assign.traceparent or None
        """The parent of the attempt's spans, in the format of W3C. None: the server does not trace."""
        self.start_traceparent: Optional[str] = assign.start_traceparent or None
        """The trace of the start, for a link."""

    @property
    def cancelled(self) -> bool:
        """Whether the code must stop, for whatever reason."""
        return self._attempt.stop_reason is not None

    @property
    def stop_reason(self) -> Optional[StopReason]:
        """Why the code must stop. None: it need not.

        ``cancel``: a caller asked. ``deadline``: the attempt or the task ran out of time. ``shutdown``: this worker
        stops. ``lost``: the attempt no longer owns the task.
        """
        return self._attempt.stop_reason


class TaskContext(_Context):
    """An attempt, for code that runs in a thread. Its methods may be called from any thread.

    Events are put on the tape in the order of the calls. A call returns when there is room for another event, and no
    reader sees an event before it is durable. A call raises SpoolError with reason LEASE_LOST if the attempt no longer
    owns the task, and with INVALID_ARGUMENT if the event is invalid; then the event is not recorded.

    Nothing interrupts a thread. Long code calls ``sleep`` or ``raise_if_cancelled`` between its units of work.
    """

    def progress(self, phase: str, current: int = 0, total: int = 0, detail: Optional[JsonObject] = None) -> None:
        """Emits the progress of a phase.

        :param phase: 1 to 128 characters.
        :param current: finished units, 0 to 2^53 - 1.
        :param total: all units; 0 if unknown.
        """
        self._emit(progress_event(phase, current, total, detail))

    def log(self, level: str, message: str) -> None:
        """Emits a log line for people. The level is debug, info, warn or error, in lower or upper case."""
        self._emit(log_event(level, message))

    def partial(self, kind: str, payload: JsonObject, *, series: Optional[Series] = None) -> None:
        """Emits a part of the outcome before the end: a JSON object of at most 256 KiB.

        :param series: the series that the partial continues, such as ``Series("answer", "append")`` for the tokens of a
            text. Default: none.
        """
        self._emit(partial_event(kind, payload, series))

    def save_checkpoint(self, payload: JsonObject) -> None:
        """Emits a checkpoint. A later attempt receives the last one as its ``checkpoint``."""
        self._emit(partial_event("checkpoint", payload))

    def flush(self) -> None:
        """Blocks until everything emitted so far is durable."""
        self._attempt.wait_until_stored()

    def sleep(self, seconds: float) -> None:
        """Blocks for so many seconds. Raises TaskStopped as soon as the code must stop."""
        self._attempt.stopped.wait(seconds)
        self.raise_if_cancelled()

    def raise_if_cancelled(self) -> None:
        """Raises TaskStopped if the code must stop."""
        if self.cancelled:
            raise TaskStopped(self.stop_reason)

    @property
    def stopped(self) -> threading.Event:
        """Is set when the code must stop."""
        return self._attempt.stopped

    def _emit(self, event: pb.NewEvent) -> None:
        self._attempt.emit(event)
        self._attempt.wait_for_room()


class AsyncTaskContext(_Context):
    """An attempt, for code on asyncio. Its methods may be called on the worker's event loop only.

    The code is cancelled when it must stop: it receives asyncio.CancelledError, once. It may then save a checkpoint,
    and it may return a result, which counts. It has the grace of the service to end, 5 s by default.

    Events, and the errors of calls, are as in TaskContext.
    """

    async def progress(
        self, phase: str, current: int = 0, total: int = 0, detail: Optional[JsonObject] = None
    ) -> None:
        """Emits the progress of a phase: see TaskContext.progress."""
        await self._emit(progress_event(phase, current, total, detail))

    async def log(self, level: str, message: str) -> None:
        """Emits a log line for people. The level is debug, info, warn or error, in lower or upper case."""
        await self._emit(log_event(level, message))

    async def partial(self, kind: str, payload: JsonObject, *, series: Optional[Series] = None) -> None:
        """Emits a part of the outcome before the end: see TaskContext.partial."""
        await self._emit(partial_event(kind, payload, series))

    async def save_checkpoint(self, payload: JsonObject) -> None:
        """Emits a checkpoint. A later attempt receives the last one as its ``checkpoint``."""
        await self._emit(partial_event("checkpoint", payload))

    async def flush(self) -> None:
        """Waits until everything emitted so far is durable."""
        await self._attempt.flush()

    async def _emit(self, event: pb.NewEvent) -> None:
        self._attempt.emit(event)
        await self._attempt.room()
