"""The retries and the followers of the blocking client."""

from __future__ import annotations

import time
from typing import Callable, Generator, Iterator, Optional, TypeVar, Union

from . import _messages as pb
from ._channel import Transport
from ._decode import read_frame, read_page, read_tasks_frame
from ._errors import SpoolError
from ._event_types import Event, FinalEvent
from ._requests import stream_request
from ._retry import RetryBudget
from ._tape import TapeFollower, TasksFollower, endless
from ._types import StartedTask, Task, TasksFrame
from ._waiter import Waiter

_T = TypeVar("_T")
TapeMessages = Union[
    Generator[pb.RunTaskResponse, None, None],
    Generator[pb.StreamEventsResponse, None, None],
]


def retrying(call: Callable[[], _T], retry_for: float) -> _T:
    """Repeats a call until it succeeds, fails with a permanent error, or ``retry_for`` seconds have passed."""
    budget: Optional[RetryBudget] = None  # Most calls succeed at once.
    while True:
        try:
            return call()
        except SpoolError as error:
            budget = budget or RetryBudget(retry_for)
            delay = budget.next_delay(error)
            if delay is None:
                raise
        time.sleep(delay)


def follow_events(
    transport: Transport,
    follower: TapeFollower,
    heartbeat: float,
    silence: float,
    opened: Optional[TapeMessages] = None,
) -> Generator[Event, None, None]:
    """Yields the events of a tape. ``opened`` is the first stream, if there is one already."""
    stream = opened
    while True:
        if stream is None:
            request = stream_request(follower.cursor.task_id, follower.cursor.next_seq, heartbeat, follower.view)
            path = "/spool.v1.TaskService/StreamEvents"
            stream = transport.stream(path, request, pb.StreamEventsResponse, silence)
        follower.opened()
        try:
            for message in stream:
                frame = read_frame(message)
                if not follower.take(frame):
                    return
                yield from frame.events
            follower.ended()
            return
        except SpoolError as error:
            delay = follower.failed(error)
            if delay is None:
                return
        finally:
            stream.close()
            stream = None
        time.sleep(delay)


def wait_final(transport: Transport, waiter: Waiter) -> FinalEvent:
    """Returns the last event of a tape."""
    while waiter.final is None:
        request, timeout = waiter.next_request()
        try:
            page = transport.unary("/spool.v1.TaskService/GetEvents", request, pb.GetEventsResponse, timeout)
            waiter.take(read_page(page))
        except SpoolError as error:
            waiter.failed(error)
        time.sleep(waiter.pause())
    return waiter.final


def follow_frames(
    transport: Transport,
    follower: TasksFollower,
    request: Callable[[str], pb.FollowTasksRequest],
    *,
    silence: float,
) -> Generator[TasksFrame, None, None]:
    """Yields the frames of a stream over many tasks."""
    path = "/spool.v1.TaskService/FollowTasks"
    while True:
        follower.opened()
        stream = transport.stream(path, request(follower.cursor), pb.FollowTasksResponse, silence)
        try:
            for message in stream:
                frame = read_tasks_frame(message)
                follower.take(frame)
                yield frame
            raise endless()
        except SpoolError as error:
            delay = follower.failed(error)
        finally:
            stream.close()
        time.sleep(delay)


class Run:
    """A started task, and its events, to iterate over once. Closing it ends the stream, never the task."""

    task: Task
    already_started: bool
    """Whether an earlier call with the same request id started this task."""

    def __init__(self, started: StartedTask, events: Generator[Event, None, None], stream: TapeMessages) -> None:
        self.task = started.task
        self.already_started = started.already_started
        self._events = events
        self._stream = stream

    def __iter__(self) -> Iterator[Event]:
        return self._events

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the stream."""
        self._events.close()
        self._stream.close()  # Closing events that were never read leaves it open.
