"""The asyncio client."""

from __future__ import annotations

from datetime import datetime
from typing import Any, AsyncGenerator, AsyncIterator, Mapping, Optional, Sequence, Tuple, Type, TypeVar

from . import _messages as pb
from ._aio_channel import AioTransport
from ._connection import ANSWER_S_MAX, HEARTBEAT_S_DEFAULT, RETRY_S_DEFAULT, SILENT_HEARTBEATS, read_endpoint
from ._decode import first_of_run, read_cancelled, read_page, read_result, read_session, read_task, read_task_token
from ._decode import task_of
from ._errors import SpoolError
from ._event_types import Event, EventView, FinalEvent
from ._json import JsonObject, check_text
from ._requests import View, events_request, list_request, next_page_token, start_request, stream_request
from ._requests import event_view, task_token_request, tasks_requests, within_start
from ._aio_streams import AsyncRun, TapeMessages, anext_or_none, follow_events, follow_frames, retrying, wait_final
from ._tape import OnReconnect, TapeFollower, TasksFollower
from ._times import Seconds, limit_of, seconds_of, to_duration
from ._types import CancelledTask, DeletedTask, EventPage, RetryPolicy, Session, StartedTask, Task
from ._types import TaskResult, TasksFrame, TaskStatus, TaskToken, TaskTokenScope
from ._waiter import Waiter

_M = TypeVar("_M", bound=pb.Message)
TASKS = "/spool.v1.TaskService/"
WORKERS = "/spool.v1.WorkerService/"


class AsyncClient:
    """A client of a Spool service for asyncio. Connects with the first call, on the event loop of that call.

    Takes the same arguments as Client, and makes the same promises.

    :raises ValueError: for a malformed address, token or namespace.
    """

    def __init__(
        self,
        address: Optional[str] = None,
        *,
        token: Optional[str] = None,
        namespace: Optional[str] = None,
        credentials: Optional[Any] = None,
        retry_for: Seconds = RETRY_S_DEFAULT,
        heartbeat: Seconds = HEARTBEAT_S_DEFAULT,
    ) -> None:
        self._transport = AioTransport(read_endpoint(address, token, namespace, credentials))
        self._retry_for = limit_of("retry_for", retry_for)
        self._heartbeat = seconds_of("heartbeat", heartbeat)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends all open calls with an error. Tasks keep running."""
        await self._transport.close()

    async def start(
        self,
        kind: str,
        params: Optional[JsonObject] = None,
        *,
        request_id: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        timeout: Optional[Seconds] = None,
        max_attempts: Optional[int] = None,
        retry_policy: Optional[RetryPolicy] = None,
        run_at: Optional[datetime] = None,
        deadline_at: Optional[datetime] = None,
        retention: Optional[Seconds] = None,
    ) -> StartedTask:
        """Starts a task: see Client.start."""
        request = start_request(
            kind,
            params,
            request_id=request_id,
            labels=labels,
            timeout=timeout,
            max_attempts=max_attempts,
            retry_policy=retry_policy,
            run_at=run_at,
            deadline_at=deadline_at,
            retention=retention,
        )
        answer = await self._call(TASKS + "StartTask", request, pb.StartTaskResponse)
        return StartedTask(task_of(answer), answer.already_started)

    async def run(
        self,
        kind: str,
        params: Optional[JsonObject] = None,
        *,
        request_id: Optional[str] = None,
        labels: Optional[Mapping[str, str]] = None,
        timeout: Optional[Seconds] = None,
        max_attempts: Optional[int] = None,
        retry_policy: Optional[RetryPolicy] = None,
        run_at: Optional[datetime] = None,
        deadline_at: Optional[datetime] = None,
        retention: Optional[Seconds] = None,
        view: EventView = "recorded",
        on_reconnect: Optional[OnReconnect] = None,
    ) -> AsyncRun:
        """Starts a task and follows it in one call: see Client.run."""
        try:
            start = start_request(
                kind,
                params,
                request_id=request_id,
                labels=labels,
                timeout=timeout,
                max_attempts=max_attempts,
                retry_policy=retry_policy,
                run_at=run_at,
                deadline_at=deadline_at,
                retention=retention,
            )
        except SpoolError as error:
            raise within_start(error) from None
        heartbeat_interval = to_duration("heartbeat", self._heartbeat)
        request = pb.RunTaskRequest(start=start, heartbeat_interval=heartbeat_interval, view=event_view(view))

        async def open_run() -> Tuple[StartedTask, AsyncGenerator[pb.RunTaskResponse, None]]:
            stream = self._transport.stream(TASKS + "RunTask", request, pb.RunTaskResponse, self._silence)
            return first_of_run(await anext_or_none(stream)), stream

        started, stream = await retrying(open_run, self._retry_for)
        follower = TapeFollower(started.task.task_id, 1, self._retry_for, on_reconnect, view)
        return AsyncRun(started, self._events(follower, stream), stream)

    def follow(
        self,
        task_id: str,
        from_seq: int = 1,
        *,
        view: EventView = "recorded",
        retry_for: Optional[Seconds] = None,
        on_reconnect: Optional[OnReconnect] = None,
    ) -> AsyncIterator[Event]:
        """Follows a tape from ``from_seq``: see Client.follow. Cancelling the reader ends the stream, never the task."""
        seconds = self._retry_for if retry_for is None else limit_of("retry_for", retry_for)
        stream_request(task_id, from_seq, self._heartbeat, view)  # Rejects invalid requests before the first event.
        return self._events(TapeFollower(task_id, from_seq, seconds, on_reconnect, view))

    def follow_tasks(
        self,
        *,
        kinds: Sequence[str] = (),
        labels: Optional[Mapping[str, str]] = None,
        cursor: str = "",
        from_start: bool = False,
        view: View = "events",
        interval: Optional[Seconds] = None,
        retry_for: Optional[Seconds] = None,
        on_reconnect: Optional[OnReconnect] = None,
    ) -> AsyncIterator[TasksFrame]:
        """Follows many tasks over one stream: see Client.follow_tasks."""
        request = tasks_requests(
            kinds=kinds,
            labels=labels,
            from_start=from_start,
            view=view,
            interval=interval,
            heartbeat=self._heartbeat,
        )
        seconds = self._retry_for if retry_for is None else limit_of("retry_for", retry_for)
        follower = TasksFollower(cursor, seconds, on_reconnect)
        return follow_frames(self._transport, follower, request, silence=self._silence)

    async def events(
        self,
        task_id: str,
        from_seq: int = 1,
        *,
        limit: Optional[int] = None,
        wait: Seconds = 0,
        view: EventView = "recorded",
    ) -> EventPage:
        """Returns one page of a tape: see Client.events."""
        request = events_request(task_id, from_seq, limit, wait, view)
        return read_page(await self._call(TASKS + "GetEvents", request, pb.GetEventsResponse, wait))

    async def wait(self, task_id: str, timeout: Seconds) -> FinalEvent:
        """Waits for ``final`` and returns it, also for a failed task: see Client.wait."""
        return await wait_final(self._transport, Waiter(task_id, timeout, self._retry_for))

    async def result(self, task_id: str, *, wait: Seconds = 0) -> TaskResult:
        """Returns the outcome of a finished task: see Client.result."""
        request = pb.GetResultRequest(task_id=check_text("task_id", task_id), wait=to_duration("wait", wait))
        return read_result(await self._call(TASKS + "GetResult", request, pb.GetResultResponse, wait))

    async def cancel(self, task_id: str, *, reason: str = "") -> CancelledTask:
        """Cancels a task: see Client.cancel."""
        request = pb.CancelTaskRequest(task_id=check_text("task_id", task_id), reason=check_text("reason", reason))
        return read_cancelled(await self._call(TASKS + "CancelTask", request, pb.CancelTaskResponse))

    async def delete(self, task_id: str) -> DeletedTask:
        """Removes a finished task with its tape: see Client.delete."""
        request = pb.DeleteTaskRequest(task_id=check_text("task_id", task_id))
        answer = await self._call(TASKS + "DeleteTask", request, pb.DeleteTaskResponse)
        return DeletedTask(answer.already_deleted)

    async def create_task_token(
        self,
        task_id: str,
        *,
        scopes: Sequence[TaskTokenScope] = ("tasks:read",),
        ttl: Optional[Seconds] = None,
    ) -> TaskToken:
        """Makes a token for one task: see Client.create_task_token."""
        request = task_token_request(task_id, scopes, ttl)
        return read_task_token(await self._call(TASKS + "CreateTaskToken", request, pb.CreateTaskTokenResponse))

    async def get(self, task_id: str) -> Task:
        """Returns a task with its current status and its params."""
        request = pb.GetTaskRequest(task_id=check_text("task_id", task_id))
        return task_of(await self._call(TASKS + "GetTask", request, pb.GetTaskResponse))

    async def list(
        self,
        *,
        statuses: Sequence[TaskStatus] = (),
        kinds: Sequence[str] = (),
        labels: Optional[Mapping[str, str]] = None,
        task_id_prefix: str = "",
        page_size: Optional[int] = None,
    ) -> AsyncIterator[Task]:
        """Yields all matching tasks, newest first: see Client.list."""
        token = ""
        while True:
            request = list_request(
                token,
                statuses=statuses,
                kinds=kinds,
                labels=labels,
                task_id_prefix=task_id_prefix,
                page_size=page_size,
            )
            page = await self._call(TASKS + "ListTasks", request, pb.ListTasksResponse)
            for task in page.tasks:
                yield read_task(task)
            token = next_page_token(page, token)
            if token == "":
                return

    async def sessions(self) -> Sequence[Session]:
        """Returns the servers and workers that run the tasks: at most 1,000, oldest first."""
        answer = await self._call(WORKERS + "ListSessions", pb.ListSessionsRequest(), pb.ListSessionsResponse)
        return tuple(map(read_session, answer.sessions))

    @property
    def _silence(self) -> float:
        return self._heartbeat * SILENT_HEARTBEATS

    async def _call(self, path: str, request: pb.Message, answer: Type[_M], wait: Seconds = 0) -> _M:
        timeout = seconds_of("wait", wait) + ANSWER_S_MAX
        return await retrying(lambda: self._transport.unary(path, request, answer, timeout), self._retry_for)

    def _events(self, follower: TapeFollower, opened: Optional[TapeMessages] = None) -> AsyncGenerator[Event, None]:
        return follow_events(self._transport, follower, self._heartbeat, self._silence, opened)
