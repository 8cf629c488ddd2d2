"""The retries and the followers of the asyncio client."""

from __future__ import annotations

import asyncio
from typing import AsyncGenerator, AsyncIterator, Awaitable, Callable, Optional, TypeVar, Union

from . import _messages as pb
from ._aio_channel import AioTransport
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
    AsyncGenerator[pb.RunTaskResponse, None],
    AsyncGenerator[pb.StreamEventsResponse, None],
]


async def retrying(call: Callable[[], Awaitable[_T]], retry_for: float) -> _T:
    """Repeats a call until it succeeds, fails with a permanent error, or ``retry_for`` seconds have passed."""
    budget: Optional[RetryBudget] = None  # Most calls succeed at once.
    while True:
        try:
            return await call()
        except SpoolError as error:
            budget = budget or RetryBudget(retry_for)
            delay = budget.next_delay(error)
            if delay is None:
                raise
        await asyncio.sleep(delay)


async def follow_events(
    transport: AioTransport,
    follower: TapeFollower,
    heartbeat: float,
    silence: float,
    opened: Optional[TapeMessages] = None,
) -> AsyncGenerator[Event, None]:
    """Yields the events of a tape. ``opened`` is the first stream, if there is one already."""
    stream = opened
    while True:
        if stream is None:
            request = stream_request(follower.cursor.task_id, follower.cursor.next_seq, heartbeat, follower.view)
            path = "/spool.v1.TaskService/StreamEvents"
            stream = transport.stream(path, request, pb.StreamEventsResponse, silence)
        follower.opened()
        try:
            async for message in stream:
                frame = read_frame(message)
                if not follower.take(frame):
                    return
                for event in frame.events:
                    yield event
            follower.ended()
            return
        except SpoolError as error:
            delay = follower.failed(error)
            if delay is None:
                return
        finally:
            await stream.aclose()
            stream = None
        await asyncio.sleep(delay)


async def wait_final(transport: AioTransport, waiter: Waiter) -> FinalEvent:
    """Returns the last event of a tape."""
    while waiter.final is None:
        request, timeout = waiter.next_request()
        try:
            page = await transport.unary("/spool.v1.TaskService/GetEvents", request, pb.GetEventsResponse, timeout)
            waiter.take(read_page(page))
        except SpoolError as error:
            waiter.failed(error)
        await asyncio.sleep(waiter.pause())
    return waiter.final


async def follow_frames(
    transport: AioTransport,
    follower: TasksFollower,
    request: Callable[[str], pb.FollowTasksRequest],
    *,
    silence: float,
) -> AsyncGenerator[TasksFrame, None]:
    """Yields the frames of a stream over many tasks."""
    path = "/spool.v1.TaskService/FollowTasks"
    while True:
        follower.opened()
        stream = transport.stream(path, request(follower.cursor), pb.FollowTasksResponse, silence)
        try:
            async for message in stream:
                frame = read_tasks_frame(message)
                follower.take(frame)
                yield frame
            raise endless()
        except SpoolError as error:
            delay = follower.failed(error)
        finally:
            await stream.aclose()
        await asyncio.sleep(delay)


class AsyncRun:
    """A started task, and its events, to iterate over once. Closing it ends the stream, never the task."""

    task: Task
    already_started: bool
    """Whether an earlier call with the same request id started this task."""

    def __init__(self, started: StartedTask, events: AsyncGenerator[Event, None], stream: TapeMessages) -> None:
        self.task = started.task
        self.already_started = started.already_started
        self._events = events
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._events

    async def __aenter__(self) -> AsyncRun:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the stream."""
        await self._events.aclose()
        await self._stream.aclose()  # Closing events that were never read leaves it open.


async def anext_or_none(messages: AsyncGenerator[_T, None]) -> Optional[_T]:
    """Returns the next message; None: there is none."""
    async for message in messages:
        return message
    return None
