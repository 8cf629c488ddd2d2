"""An attempt at a task that runs in this process."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Callable, Deque, List, Literal, Optional, Tuple

from .. import _messages as pb
from .._errors import lease_lost

APPEND_EVENTS_MAX = 1_000
MESSAGE_BYTES_MAX = 256 * 1024
"""Maximum size of a message with events. One larger event may exceed it."""

StopReason = Literal["cancel", "deadline", "shutdown", "lost"]


class Attempt:
    """Holds each event under its number until the server confirms that the event is stored.

    After a reconnect, the unconfirmed events are sent again, and the server stores each once. The code may run in
    another thread than the event loop. So the lock guards all state, and what waits for room waits for the condition
    (in a thread) or a future (on the loop).

    :param on_unsent: called on the loop when there is something to send.
    :param on_stop: called on the loop when the code must stop.
    """

    def __init__(
        self,
        task_id: str,
        number: int,
        window: Tuple[int, int],
        on_unsent: Callable[[Attempt], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.task_id = task_id
        self.number = number
        self.stop_reason: Optional[StopReason] = None
        self.stopped = threading.Event()
        self.on_stop: Callable[[], object] = lambda: None
        self._window_events, self._window_bytes = window
        self._on_unsent = on_unsent
        self._loop = loop
        self._changed = threading.Condition()
        self._waiters: List[asyncio.Future[None]] = []
        self._kept: Deque[Tuple[pb.NewEvent, int]] = deque()
        """The events that are not confirmed. The first has number ``_stored + 1``."""
        self._kept_bytes = 0
        self._stored = 0
        self._sent = 0
        """How many of the kept events were sent on the current stream."""
        self._end: Optional[pb.Finish] = None
        self._is_end_sent = False
        self._is_scheduled = False
        self._is_over = False
        self._is_refused = False

    @property
    def has_ended(self) -> bool:
        """Whether the code has ended or was abandoned, and the server has yet to confirm the end."""
        return self._end is not None

    # Called by the code, in any thread.

    def emit(self, event: pb.NewEvent) -> None:
        """Adds an event, also past the window. Raises LEASE_LOST."""
        size = event.ByteSize()
        with self._changed:
            if self._is_over or self._end is not None:
                raise lease_lost(self.task_id)
            self._kept.append((event, size))
            self._kept_bytes += size
            self._schedule()

    def wait_for_room(self) -> None:
        """Blocks until there is room for another event. Raises LEASE_LOST."""
        with self._changed:
            self._changed.wait_for(self._has_room)
            self._check()

    def wait_until_stored(self) -> None:
        """Blocks until everything emitted so far is stored. Raises LEASE_LOST."""
        with self._changed:
            through = self._last
            self._changed.wait_for(lambda: self._is_over or self._stored >= through)
            self._check(through)

    # Called on the loop.

    async def room(self) -> None:
        """Waits until there is room for another event. Raises LEASE_LOST."""
        await self._until(self._has_room)
        self._check()

    async def flush(self) -> None:
        """Waits until everything emitted so far is stored. Raises LEASE_LOST."""
        through = self._last
        await self._until(lambda: self._is_over or self._stored >= through)
        self._check(through)

    def stop(self, reason: StopReason) -> None:
        """Asks the code to stop. The first reason counts."""
        if self.stop_reason is None:
            self.stop_reason = reason
            self.stopped.set()
            self.on_stop()

    def finish(self, end: pb.Finish) -> None:
        """Sets how the code has ended. It is sent until the server confirms that it is stored."""
        with self._changed:
            if self._is_over or self._end is not None:
                return
            end.task_id, end.attempt, end.number = self.task_id, self.number, self._last + 1
            self._end = end
            self._schedule()

    def acknowledge(self, through: int) -> None:
        """Confirms that the events up to a number are stored."""
        with self._changed:
            while self._kept and self._stored < through:
                _, size = self._kept.popleft()
                self._kept_bytes -= size
                self._stored += 1
                self._sent = max(0, self._sent - 1)
            self._notify()

    def take_unsent(self) -> Optional[pb.WorkRequest]:
        """Returns the next message to send. None: there is none until ``on_unsent`` is called."""
        with self._changed:
            self._is_scheduled = False
            if self._is_over:
                return None
            if self._sent < len(self._kept):
                self._is_scheduled = True
                return pb.WorkRequest(append=self._take_events())
            if self._end is None or self._is_end_sent:
                return None
            self._is_end_sent = True
            return pb.WorkRequest(finish=self._end)

    def refuse(self, message: str, appended: int) -> None:
        """Fails the attempt: the server rejects, for good, everything sent after the first ``appended`` events."""
        if self._is_over or self._is_refused:
            return  # Everything sent later is rejected too.
        self._is_refused = True
        with self._changed:
            while self._last > appended and self._kept:
                _, size = self._kept.pop()
                self._kept_bytes -= size
            self._sent = min(self._sent, len(self._kept))
            self._end, self._is_end_sent = None, False
            self._notify()
        self.finish(pb.Finish(error=pb.TaskError(reason="KIND_FAILED", message=f"the server refused it: {message}")))
        self.stop("lost")

    def resend(self) -> None:
        """Sends everything unconfirmed again, over a new stream."""
        with self._changed:
            self._sent, self._is_end_sent, self._is_scheduled = 0, False, False
            if not self._is_over:
                self._schedule()

    def close(self) -> None:
        """Ends the attempt: its end is stored, or it no longer owns the task."""
        with self._changed:
            self._is_over = True
            self._kept.clear()
            self._notify()
        self.stop("lost")

    # Within the lock.

    @property
    def _last(self) -> int:
        return self._stored + len(self._kept)

    def _has_room(self) -> bool:
        is_full = len(self._kept) >= self._window_events or self._kept_bytes >= self._window_bytes
        return self._is_over or not is_full

    def _check(self, through: Optional[int] = None) -> None:
        if self._is_over and (through is None or self._stored < through):
            raise lease_lost(self.task_id)

    def _take_events(self) -> pb.Append:
        append = pb.Append(task_id=self.task_id, attempt=self.number, first_number=self._stored + self._sent + 1)
        size = 0
        while self._sent < len(self._kept) and len(append.events) < APPEND_EVENTS_MAX:
            event, event_size = self._kept[self._sent]
            size += event_size
            if append.events and size > MESSAGE_BYTES_MAX:
                break
            append.events.append(event)
            self._sent += 1
        return append

    def _schedule(self) -> None:
        if self._is_scheduled:
            return
        self._is_scheduled = True
        try:
            self._loop.call_soon_threadsafe(self._on_unsent, self)
        except RuntimeError:  # The loop is closed, and with it the worker.
            raise lease_lost(self.task_id) from None

    def _notify(self) -> None:
        self._changed.notify_all()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _until(self, is_true: Callable[[], bool]) -> None:
        while True:
            with self._changed:
                if is_true():
                    return
                waiter = self._loop.create_future()
                self._waiters.append(waiter)
            await waiter


