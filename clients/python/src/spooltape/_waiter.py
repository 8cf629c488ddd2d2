"""Waits for the end of a tape, page by page. No I/O: sync and async callers share it."""

from __future__ import annotations

import time
from typing import Optional, Tuple

from . import _messages as pb
from ._connection import ANSWER_S_MAX
from ._errors import SpoolError, WaitTimeout, is_transient
from ._event_types import Event, FinalEvent, LogEvent, ProgressEvent
from ._requests import events_request
from ._retry import RetryBudget
from ._tape import TapeCursor
from ._times import Seconds, limit_of
from ._types import EventPage

PAGE_EVENTS = 1_000
WAIT_S = 20.0
"""How long one call waits at the server: less than the timeout of a minute that proxies often have."""
IDLE_S_MIN = 0.025
IDLE_S_MAX = 1.0
"""The pause after an empty page that came without a wait doubles, so that such a server is not flooded with calls."""


class Waiter:
    """Reads a tape to ``final``. Only the tape counts: a terminal status does not end the wait."""

    def __init__(self, task_id: str, timeout: Seconds, retry_for: float) -> None:
        self._timeout = limit_of("timeout", timeout)
        self._deadline = time.monotonic() + self._timeout
        self._cursor = TapeCursor(task_id, 1)
        self._budget = RetryBudget(retry_for)
        self._event: Optional[Event] = None
        self._page: Optional[EventPage] = None
        self._error: Optional[SpoolError] = None
        self._idle = IDLE_S_MIN
        self._asked_at = 0.0
        self._pause = 0.0

    @property
    def final(self) -> Optional[FinalEvent]:
        return self._cursor.final

    def next_request(self) -> Tuple[pb.GetEventsRequest, float]:
        """Returns the next request and how long it may take, in seconds. Raises WaitTimeout."""
        self._asked_at = time.monotonic()
        left = self._deadline - self._asked_at
        if left <= 0:
            raise self._timed_out()
        wait = min(WAIT_S, left)
        request = events_request(self._cursor.task_id, self._cursor.next_seq, PAGE_EVENTS, wait)
        return request, min(wait + ANSWER_S_MAX, left + 0.05)

    def take(self, page: EventPage) -> None:
        """Raises DATA_LOSS for a tape with a gap or a repeat."""
        self._cursor.take(page.events, page.last_seq)
        self._event = page.events[-1] if page.events else self._event
        self._page, self._error = page, None
        self._budget.succeeded()
        self._pause = 0.0
        if page.events:
            self._idle = IDLE_S_MIN
        elif time.monotonic() - self._asked_at < IDLE_S_MAX:
            self._pause, self._idle = self._idle, min(IDLE_S_MAX, self._idle * 2)

    def failed(self, error: SpoolError) -> None:
        """Raises an error that a retry would meet too, and WaitTimeout if the time is over."""
        if not is_transient(error):
            raise error
        if time.monotonic() >= self._deadline:
            raise self._timed_out(error) from error
        delay = self._budget.next_delay(error)
        if delay is None:
            raise error
        self._error, self._pause = error, delay

    def pause(self) -> float:
        """Returns the seconds to wait before the next request."""
        return 0.0 if self.final is not None else max(0.0, min(self._pause, self._deadline - time.monotonic()))

    def _timed_out(self, error: Optional[SpoolError] = None) -> WaitTimeout:
        seen = self._describe(error or self._error)
        return WaitTimeout(f"task {self._cursor.task_id} has no final after {self._timeout:g} s: {seen}")

    def _describe(self, error: Optional[SpoolError]) -> str:
        if self._page is None:
            return "no answer" if error is None else f"no answer, only: {error.message}"
        tape = f"the last event is {_text_of(self._event)} of {self._page.last_seq}" if self._event else "no event"
        seen = f"{tape}; the status is {self._page.status}"
        return seen if error is None else f"{seen}; and then: {error.message}"


def _text_of(event: Event) -> str:
    if isinstance(event, ProgressEvent):
        return f"{event.seq} progress ({event.phase} {event.current}/{event.total})"
    if isinstance(event, LogEvent):
        return f"{event.seq} log ({event.level} {event.message})"
    return f"{event.seq} {event.type}"
