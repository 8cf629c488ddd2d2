"""What calls take and return: frozen dataclasses. All times are datetimes in UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Mapping, Optional, Sequence, Union

from ._event_types import Event, Progress, TaskFailure, TerminalStatus
from ._json import JsonObject

TaskStatus = Literal["pending", "running", "succeeded", "failed", "cancelled"]
TaskTokenScope = Literal["tasks:read", "tasks:cancel"]
CancelOutcome = Literal["cancelled", "requested", "already_terminal"]


@dataclass(frozen=True)
class RetryPolicy:
    """How long a task waits after a failed attempt. In a request, a part that is None takes the kind's value."""

    initial_backoff: Optional[timedelta] = None
    """The wait after the first failure: 1 ms to 30 days. Default 1 s."""
    max_backoff: Optional[timedelta] = None
    """The longest wait: 1 ms to 30 days. Default 5 min."""
    backoff_multiplier: Optional[float] = None
    """The factor by which each further failure multiplies the wait: 1 to 100. Default 2."""
    jitter: Optional[float] = None
    """The random share of each wait, 0 to 1. Default 0.2."""


@dataclass(frozen=True)
class Task:
    """A task, as it was when the server answered."""

    task_id: str
    kind: str
    status: TaskStatus
    params: Optional[JsonObject]
    """As given at the start. None in lists."""
    params_digest: str
    """SHA-256 of the params as canonical JSON, 64 hex digits."""
    labels: Mapping[str, str]
    request_id: Optional[str]
    created_at: datetime
    started_at: Optional[datetime]
    """None while pending, and on a task that ended before its first attempt."""
    finished_at: Optional[datetime]
    """Set exactly when the status is terminal."""
    run_at: Optional[datetime]
    """The task does not run before this time."""
    deadline_at: Optional[datetime]
    """When the task as a whole is ended with DEADLINE_EXCEEDED. None: never."""
    attempt_deadline_at: Optional[datetime]
    """When the running attempt is ended. None: never, or no attempt runs."""
    timeout: Optional[timedelta]
    """How long an attempt may run. None: no limit."""
    retention: Optional[timedelta]
    """How long the task is kept after its end, as given at the start. None: as the server's settings say."""
    attempt: int
    """The number of the current or last attempt, from 1. 0 before the first."""
    max_attempts: int
    handovers: int
    """How many attempts a stopping process handed over. They do not count against max_attempts."""
    retry_policy: RetryPolicy
    """Complete: no part is None."""
    cancel_requested_at: Optional[datetime]
    started_by: Optional[str]
    """The name of the principal that started the task. None: unknown, because the call was not authenticated."""
    cancelled_by: Optional[str]
    """The name of the principal that cancelled the task first. None: none, or the call was not authenticated."""
    awaits_worker: bool
    """The task waits because no live process runs its kind."""
    last_seq: int
    """The seq of the last event on the tape. 0 on an empty tape."""

    @property
    def is_finished(self) -> bool:
        return self.status not in ("pending", "running")


@dataclass(frozen=True)
class StartedTask:
    """A started task."""

    task: Task
    already_started: bool
    """Whether an earlier call with the same request id started this task."""


@dataclass(frozen=True)
class Frame:
    """A part of a stream: events, or none in a heartbeat."""

    events: Sequence[Event]
    last_seq: int
    """The seq of the last event on the tape when the frame was made."""
    status: TaskStatus
    """The task's status in the same snapshot."""


@dataclass(frozen=True)
class EventPage:
    """One page of a tape, from one snapshot."""

    task_id: str
    events: Sequence[Event]
    next_from_seq: int
    """The seq after the last event of the page. Of an empty page: the requested seq."""
    last_seq: int
    status: TaskStatus
    has_more: bool
    """Whether an event at or past next_from_seq is stored."""


@dataclass(frozen=True)
class TaskResult:
    """The outcome of a finished task."""

    task_id: str
    status: TerminalStatus
    started_at: Optional[datetime]
    """None if the task ended before its first attempt."""
    finished_at: datetime
    result: Optional[JsonObject] = None
    """Set if the task succeeded."""
    error: Optional[TaskFailure] = None
    """Set if the task failed or was cancelled."""


@dataclass(frozen=True)
class CancelledTask:
    """What a cancel did."""

    task: Task
    """As it is after the cancel."""
    outcome: CancelOutcome
    """``cancelled``: it was pending and has ended. ``requested``: it is running and was asked to stop."""


@dataclass(frozen=True)
class DeletedTask:
    """What a delete did."""

    already_deleted: bool
    """Whether the task had been removed before. If so, the call changed nothing."""


@dataclass(frozen=True)
class TaskToken:
    """A token for one task."""

    token: str = field(repr=False)
    """Secret: it gives its rights to its bearer."""
    expires_at: datetime
    """Earlier than asked for if the credential of the caller expires earlier."""


@dataclass(frozen=True)
class FollowedTask:
    """News about one of many tasks."""

    task_id: str
    kind: str
    events: Sequence[Event]
    """View ``events``: new events in order, each once over all frames."""
    task: Optional[Task]
    """View ``tasks``: the current state, without params."""
    progress: Optional[Progress]
    """View ``tasks``: the latest progress of a running task, if it is near the end of its tape."""


@dataclass(frozen=True)
class TasksFrame:
    """A part of a stream over many tasks. A heartbeat has none; the first frame of a stream usually neither."""

    tasks: Sequence[FollowedTask]
    cursor: str
    """Resumes after this frame, also in another process. Store it after processing the frame."""


@dataclass(frozen=True)
class Session:
    """A server or worker that runs tasks."""

    session_id: str
    host: str
    pid: int
    kinds: Sequence[str]
    capacity: int
    """The maximum number of tasks that it runs at once."""
    running: int
    started_at: datetime
    seen_at: datetime
    """The time of its last heartbeat."""
    expires_at: datetime
    is_worker: bool


@dataclass(frozen=True)
class Reconnecting:
    """A follower has lost its connection, and retries after ``retry_in`` seconds."""

    error: Exception
    retry_in: float


@dataclass(frozen=True)
class Resumed:
    """A follower has resumed."""


ReconnectNotice = Union[Reconnecting, Resumed]
