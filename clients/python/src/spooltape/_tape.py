"""The position of a follower, and the checks of what the server promises. No I/O: sync and async callers share it."""

from __future__ import annotations

from typing import Callable, Dict, Optional, Sequence

from ._errors import SpoolError, broken
from ._event_types import Event, EventView, FinalEvent, FoldedEvent
from ._retry import RetryBudget
from ._types import FollowedTask, Frame, Reconnecting, ReconnectNotice, Resumed, TasksFrame

OnReconnect = Callable[[ReconnectNotice], object]


class TapeCursor:
    """The position of a reader on one tape.

    Seqs are 1, 2, 3, … without gap, repeat or reordering, and ``final`` is the last event. Any violation is an error
    and is never passed on.
    """

    def __init__(self, task_id: str, from_seq: int) -> None:
        self.task_id = task_id
        self.next_seq = from_seq or 1
        self.final: Optional[FinalEvent] = None
        self.read = 0

    def take(self, events: Sequence[Event], last_seq: int) -> None:
        """Moves past the events of a frame. Raises DATA_LOSS. ``last_seq``: of the tape when the frame was made."""
        for event in events:
            if self.final is not None:
                raise self.broken(f"event {event.seq} comes after final, which is {self.final.seq}")
            # A folded event stands for several seqs.
            first = event.first_seq if isinstance(event, FoldedEvent) else event.seq
            if first != self.next_seq or event.seq < first:
                fault = "repeats" if first < self.next_seq else "skips to"
                raise self.broken(f"the server {fault} event {first} where {self.next_seq} is next")
            self.next_seq = event.seq + 1
            self.read += 1
            if isinstance(event, FinalEvent):
                self.final = event
        if self.final is not None and last_seq > self.final.seq:
            raise self.broken(f"final is event {self.final.seq}, yet the last event is {last_seq}")

    def broken(self, fault: str) -> SpoolError:
        return broken(f"the tape of task {self.task_id} is broken: {fault}")


class _Follower:
    """When to try again, and what the caller is notified of."""

    def __init__(self, retry_for: float, on_reconnect: Optional[OnReconnect]) -> None:
        self._budget = RetryBudget(retry_for)
        self._on_reconnect = on_reconnect
        self._is_lost = False

    def _resumed(self) -> None:
        if self._is_lost and self._on_reconnect is not None:
            self._on_reconnect(Resumed())
        self._is_lost = False

    def _delay_or_raise(self, error: SpoolError) -> float:
        delay = self._budget.next_delay(error)
        if delay is None:
            raise error
        self._is_lost = True
        if self._on_reconnect is not None:
            self._on_reconnect(Reconnecting(error, delay))
        return delay


class TapeFollower(_Follower):
    """Follows a tape over many streams.

    Progress is an event or a heartbeat. The first frame of a stream is not progress, because a server may send one and
    crash, again and again.
    """

    def __init__(
        self,
        task_id: str,
        from_seq: int,
        retry_for: float,
        on_reconnect: Optional[OnReconnect] = None,
        view: EventView = "recorded",
    ) -> None:
        super().__init__(retry_for, on_reconnect)
        self.cursor = TapeCursor(task_id, from_seq)
        self.view = view
        self._last: Optional[Frame] = None

    def opened(self) -> None:
        """Notes that a new stream begins."""
        self._last = None

    def take(self, frame: Frame) -> bool:
        """Takes a frame, whose events are then the caller's. Returns False where the tape is over. Raises DATA_LOSS."""
        is_over = self.cursor.final is not None
        self.cursor.take(frame.events, frame.last_seq)
        if is_over:
            return False  # A heartbeat after final: this server would keep the stream open for ever.
        self._resumed()
        if self._last is not None or frame.events:
            self._budget.succeeded()
        self._last = frame
        return True

    def ended(self) -> None:
        """Handles the end of a stream without an error. Raises DATA_LOSS if the tape does not end there."""
        cursor, last = self.cursor, self._last
        if cursor.final is not None:
            return
        is_finished = (
            last is not None and last.status not in ("pending", "running") and last.last_seq < cursor.next_seq
        )
        if not is_finished or cursor.read > 0:
            raise cursor.broken(f"the stream ended without final before event {cursor.next_seq}")

    def failed(self, error: SpoolError) -> Optional[float]:
        """Handles the error of a stream. Returns the seconds to wait before the next stream; None: the tape is over.

        Raises the error if another stream would not help.
        """
        # After final, only a tape that continues is an error. A broken connection is not.
        if self.cursor.final is not None and error.code != "DATA_LOSS":
            return None
        return self._delay_or_raise(error)


class TasksFollower(_Follower):
    """Follows many tasks over many streams. Progress is any frame of a stream but its first."""

    def __init__(self, cursor: str, retry_for: float, on_reconnect: Optional[OnReconnect] = None) -> None:
        super().__init__(retry_for, on_reconnect)
        self.cursor = cursor
        self._tapes: Dict[str, TapeCursor] = {}
        self._is_first = True

    def opened(self) -> None:
        """Notes that a new stream begins."""
        self._is_first = True

    def take(self, frame: TasksFrame) -> None:
        """Takes a frame. Raises DATA_LOSS."""
        for task in frame.tasks:
            self._take(task)
        self.cursor = frame.cursor
        self._resumed()
        if not self._is_first:
            self._budget.succeeded()
        self._is_first = False

    def failed(self, error: SpoolError) -> float:
        """Returns the seconds to wait before the next stream. Raises the error if another stream would not help."""
        return self._delay_or_raise(error)

    def _take(self, task: FollowedTask) -> None:
        events = task.events
        if not events:
            return
        tape = self._tapes.pop(task.task_id, None) or TapeCursor(task.task_id, events[0].seq)
        tape.take(events, events[-1].seq)
        if tape.final is None:
            self._tapes[task.task_id] = tape


def endless() -> SpoolError:
    return broken("the stream over many tasks ended without an error")
