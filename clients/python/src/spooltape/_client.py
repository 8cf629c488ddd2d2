"""The blocking client."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generator, Iterator, Mapping, Optional, Sequence, Tuple, Type, TypeVar

from . import _messages as pb
from ._channel import Transport
from ._connection import ANSWER_S_MAX, HEARTBEAT_S_DEFAULT, RETRY_S_DEFAULT, SILENT_HEARTBEATS, read_endpoint
from ._decode import first_of_run, read_cancelled, read_page, read_result, read_session, read_task, read_task_token
from ._decode import task_of
from ._errors import SpoolError
from ._event_types import Event, EventView, FinalEvent
from ._json import JsonObject, check_text
from ._requests import View, events_request, list_request, next_page_token, start_request, stream_request
from ._requests import event_view, task_token_request, tasks_requests, within_start
from ._streams import Run, TapeMessages, follow_events, follow_frames, retrying, wait_final
from ._tape import OnReconnect, TapeFollower, TasksFollower
from ._times import Seconds, limit_of, seconds_of, to_duration
from ._types import CancelledTask, DeletedTask, EventPage, RetryPolicy, Session, StartedTask, Task
from ._types import TaskResult, TasksFrame, TaskStatus, TaskToken, TaskTokenScope
from ._waiter import Waiter

_M = TypeVar("_M", bound=pb.Message)
TASKS = "/spool.v1.TaskService/"
WORKERS = "/spool.v1.WorkerService/"


class Client:
    """A blocking client of a Spool service. Safe for use by several threads. Connects with the first call.

    Calls raise SpoolError. The client repeats calls while the server is UNAVAILABLE. This is safe for all calls: a
    repeated start carries the same request id and returns the same task.

    :param address: ``host:port``, or ``https://host:port`` for TLS. Default: SPOOL_ADDRESS, else 127.0.0.1:50051.
    :param token: bearer token, sent with every call. Default: SPOOL_TOKEN, else none.
    :param namespace: namespace of all calls. Default: SPOOL_CALL_NAMESPACE, else the only namespace that the token may
        use, else that of the server's settings.
    :param credentials: ``grpc.ChannelCredentials``, such as for a private authority. Default: as the address says.
    :param retry_for: how long a call or a follower retries without success, in seconds. 0: never. Default 60.
    :param heartbeat: how often the server sends a heartbeat on an idle stream, 1 to 60 seconds. Default 15.
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
        self._transport = Transport(read_endpoint(address, token, namespace, credentials))
        self._retry_for = limit_of("retry_for", retry_for)
        self._heartbeat = seconds_of("heartbeat", heartbeat)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all open calls with an error. Tasks keep running."""
        self._transport.close()

    def start(
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
        """Starts a task. When this returns, the task is durable, and has started once even if the client retried.

        :param params: a JSON object of at most 1 MiB. Default: empty.
        :param request_id: repeating a start with the same id and content returns the same task. Default: a random id,
            which the client uses for its own retries.
        :param labels: by which lists and followers select tasks.
        :param timeout: of each attempt, 1 ms to 30 days. Default: none.
        :param max_attempts: 1 to 100. Default: as the kind says, else 1.
        :param retry_policy: the wait between attempts. Missing parts are as the kind says.
        :param run_at: the earliest start, at most 366 days ahead. Default: now.
        :param deadline_at: when an unfinished task fails with DEADLINE_EXCEEDED: later than run_at, and at most 732
            days ahead. Default: never.
        :param retention: how long the task is kept after its end, 1 s to 36,500 days. Default: as the server's settings
            say, 30 days if nothing is set.
        """
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
        answer = self._call(TASKS + "StartTask", request, pb.StartTaskResponse)
        return StartedTask(task_of(answer), answer.already_started)

    def run(
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
    ) -> Run:
        """Starts a task like ``start``, and follows it from its first event like ``follow``, in one call.

        The stream is open when this returns: iterate over the run, or use it as a context manager to close it.
        """
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

        def open_run() -> Tuple[StartedTask, Generator[pb.RunTaskResponse, None, None]]:
            stream = self._transport.stream(TASKS + "RunTask", request, pb.RunTaskResponse, self._silence)
            return first_of_run(next(stream, None)), stream

        started, stream = retrying(open_run, self._retry_for)
        follower = TapeFollower(started.task.task_id, 1, self._retry_for, on_reconnect, view)
        return Run(started, self._events(follower, stream), stream)

    def follow(
        self,
        task_id: str,
        from_seq: int = 1,
        *,
        view: EventView = "recorded",
        retry_for: Optional[Seconds] = None,
        on_reconnect: Optional[OnReconnect] = None,
    ) -> Iterator[Event]:
        """Follows a tape from ``from_seq`` (inclusive): stored events first, then live ones.

        Every event comes once and in order, also after reconnects and restarts of servers. Ends after ``final``; if
        ``from_seq`` is past the end of a finished tape, ends at once.

        :param view: ``folded``: consecutive partials of series come as one FoldedEvent. Default: as recorded.
        :param retry_for: how long to retry without progress, in seconds. Default: ``retry_for`` of the client.
        :param on_reconnect: called when the connection is lost, after each failed retry, and when the stream resumes.
        :raises SpoolError: DATA_LOSS if a server repeats or skips events; OUT_OF_RANGE with SEQ_OUT_OF_RANGE if
            ``from_seq`` is past last_seq + 1 of an unfinished task; the last error after ``retry_for``.
        """
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
    ) -> Iterator[TasksFrame]:
        """Follows many tasks over one stream, including tasks that start later, until the caller stops reading.

        Reconnects by itself. Yields every event once and in the order of its tape, or with view ``tasks`` the state of
        each task whenever it changes.

        :param kinds: only tasks of one of these kinds, at most 100. Empty: all.
        :param labels: only tasks with all of these labels.
        :param cursor: of the last processed frame, from a stream with the same filter and view.
        :param from_start: without a cursor, whether to begin with the stored events. Default: with new events.
        :param interval: how long the server collects changes before it sends a frame, 0 to 60 seconds. Default: 0 for
            events, 0.5 for tasks.
        :raises SpoolError: DATA_LOSS if a server repeats or skips events; INVALID_ARGUMENT on ``cursor`` if the cursor
            is too old or belongs to another database; the last error after ``retry_for``.
        """
        request = tasks_requests(
            kinds=kinds, labels=labels, from_start=from_start, view=view, interval=interval, heartbeat=self._heartbeat
        )
        seconds = self._retry_for if retry_for is None else limit_of("retry_for", retry_for)
        follower = TasksFollower(cursor, seconds, on_reconnect)
        return follow_frames(self._transport, follower, request, silence=self._silence)

    def events(
        self,
        task_id: str,
        from_seq: int = 1,
        *,
        limit: Optional[int] = None,
        wait: Seconds = 0,
        view: EventView = "recorded",
    ) -> EventPage:
        """Returns one page of a tape.

        :param limit: 1 to 1,000 events. Default 100.
        :param wait: how long to wait for a first event, 0 to 60 seconds.
        :param view: ``folded``: as in ``follow``. ``limit`` then counts folded events.
        """
        request = events_request(task_id, from_seq, limit, wait, view)
        return read_page(self._call(TASKS + "GetEvents", request, pb.GetEventsResponse, wait))

    def wait(self, task_id: str, timeout: Seconds) -> FinalEvent:
        """Waits for ``final`` and returns it, also for a failed task.

        Only the tape counts, never the status alone.

        :param timeout: in seconds. ``math.inf``: no limit.
        :raises WaitTimeout: after ``timeout``, with the last state seen.
        :raises SpoolError: at once if the server rejects the call; DATA_LOSS for a tape with a gap or a repeat.
        """
        return wait_final(self._transport, Waiter(task_id, timeout, self._retry_for))

    def result(self, task_id: str, *, wait: Seconds = 0) -> TaskResult:
        """Returns the outcome of a finished task, also of a failed one.

        :param wait: how long to wait for the end, 0 to 60 seconds.
        :raises SpoolError: with reason TASK_NOT_TERMINAL for an unfinished task.
        """
        request = pb.GetResultRequest(task_id=check_text("task_id", task_id), wait=to_duration("wait", wait))
        return read_result(self._call(TASKS + "GetResult", request, pb.GetResultResponse, wait))

    def cancel(self, task_id: str, *, reason: str = "") -> CancelledTask:
        """Cancels a pending task, asks a running task to stop, and leaves a finished task unchanged.

        :param reason: for people, on the tape. At most 1,024 characters.
        """
        request = pb.CancelTaskRequest(task_id=check_text("task_id", task_id), reason=check_text("reason", reason))
        return read_cancelled(self._call(TASKS + "CancelTask", request, pb.CancelTaskResponse))

    def delete(self, task_id: str) -> DeletedTask:
        """Removes a finished task with its tape, so that no call finds it. Safe to repeat for 7 days.

        :raises SpoolError: with reason TASK_NOT_TERMINAL for an unfinished task.
        """
        request = pb.DeleteTaskRequest(task_id=check_text("task_id", task_id))
        return DeletedTask(self._call(TASKS + "DeleteTask", request, pb.DeleteTaskResponse).already_deleted)

    def create_task_token(
        self,
        task_id: str,
        *,
        scopes: Sequence[TaskTokenScope] = ("tasks:read",),
        ttl: Optional[Seconds] = None,
    ) -> TaskToken:
        """Makes a token for one task, such as for a page that follows the task in a browser.

        The token reads and cancels this task only. The service does not store it, so it cannot be revoked.

        :param scopes: of those that the caller has.
        :param ttl: how long the token is valid, 1 second to 7 days. Default: 1 hour.
        """
        request = task_token_request(task_id, scopes, ttl)
        return read_task_token(self._call(TASKS + "CreateTaskToken", request, pb.CreateTaskTokenResponse))

    def get(self, task_id: str) -> Task:
        """Returns a task with its current status and its params."""
        request = pb.GetTaskRequest(task_id=check_text("task_id", task_id))
        return task_of(self._call(TASKS + "GetTask", request, pb.GetTaskResponse))

    def list(
        self,
        *,
        statuses: Sequence[TaskStatus] = (),
        kinds: Sequence[str] = (),
        labels: Optional[Mapping[str, str]] = None,
        task_id_prefix: str = "",
        page_size: Optional[int] = None,
    ) -> Iterator[Task]:
        """Yields all matching tasks without their params, newest first. Fetches pages as the caller reads on.

        :param statuses: only tasks with one of these. Empty: all.
        :param kinds: only tasks of one of these kinds, at most 100. Empty: all.
        :param labels: only tasks with all of these labels.
        :param task_id_prefix: the first 8 to 36 characters of the task id. Empty: all.
        :param page_size: 1 to 1,000. Default 100.
        """
        token = ""
        while True:
            request = list_request(
                token, statuses=statuses, kinds=kinds, labels=labels, task_id_prefix=task_id_prefix, page_size=page_size
            )
            page = self._call(TASKS + "ListTasks", request, pb.ListTasksResponse)
            yield from map(read_task, page.tasks)
            token = next_page_token(page, token)
            if token == "":
                return

    def sessions(self) -> Sequence[Session]:
        """Returns the servers and workers that run the tasks: at most 1,000, oldest first."""
        answer = self._call(WORKERS + "ListSessions", pb.ListSessionsRequest(), pb.ListSessionsResponse)
        return tuple(map(read_session, answer.sessions))

    @property
    def _silence(self) -> float:
        return self._heartbeat * SILENT_HEARTBEATS

    def _call(self, path: str, request: pb.Message, answer: Type[_M], wait: Seconds = 0) -> _M:
        timeout = seconds_of("wait", wait) + ANSWER_S_MAX
        return retrying(lambda: self._transport.unary(path, request, answer, timeout), self._retry_for)

    def _events(self, follower: TapeFollower, opened: Optional[TapeMessages] = None) -> Generator[Event, None, None]:
        return follow_events(self._transport, follower, self._heartbeat, self._silence, opened)
