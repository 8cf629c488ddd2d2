"""Calls a Spool service, and runs its tasks. The README describes the package; every name here has its promise.

Callers: Client (blocking) and AsyncClient. Workers: Worker and the decorator ``kind``. Errors of calls: SpoolError.
"""

from ._aio_client import AsyncClient
from ._aio_streams import AsyncRun
from ._client import Client
from ._errors import SpoolError, Violation, WaitTimeout
from ._event_types import (
    CancelRequestedEvent,
    Event,
    EventView,
    FinalEvent,
    FoldedEvent,
    FoldedPart,
    LogEvent,
    LogLevel,
    PartialEvent,
    Progress,
    ProgressEvent,
    RetryingEvent,
    Series,
    SeriesMode,
    StartedEvent,
    TaskFailure,
    TerminalStatus,
    UnknownEvent,
)
from ._json import JsonObject
from ._streams import Run
from ._times import Seconds
from ._types import (
    CancelledTask,
    CancelOutcome,
    DeletedTask,
    EventPage,
    FollowedTask,
    Reconnecting,
    ReconnectNotice,
    Resumed,
    RetryPolicy,
    Session,
    StartedTask,
    Task,
    TaskResult,
    TasksFrame,
    TaskStatus,
    TaskToken,
    TaskTokenScope,
)
from ._worker.attempt import StopReason
from ._worker.context import AsyncTaskContext, TaskContext
from ._worker.emission import TaskError, TaskStopped
from ._worker.kind import Kind, kind
from ._worker.notice import CodeFailed, Connected, Disconnected, Draining, Refused, WorkerNotice
from ._worker.worker import Worker

__version__ = "0.2.0"

__all__ = [
    "AsyncClient",
    "AsyncRun",
    "AsyncTaskContext",
    "CancelOutcome",
    "CancelRequestedEvent",
    "CancelledTask",
    "Client",
    "CodeFailed",
    "Connected",
    "DeletedTask",
    "Disconnected",
    "Draining",
    "Event",
    "EventPage",
    "EventView",
    "FinalEvent",
    "FoldedEvent",
    "FoldedPart",
    "FollowedTask",
    "JsonObject",
    "Kind",
    "LogEvent",
    "LogLevel",
    "PartialEvent",
    "Progress",
    "ProgressEvent",
    "ReconnectNotice",
    "Reconnecting",
    "Refused",
    "Resumed",
    "RetryPolicy",
    "RetryingEvent",
    "Run",
    "Seconds",
    "Series",
    "SeriesMode",
    "Session",
    "SpoolError",
    "StartedEvent",
    "StartedTask",
    "StopReason",
    "Task",
    "TaskContext",
    "TaskError",
    "TaskFailure",
    "TaskResult",
    "TaskStatus",
    "TaskStopped",
    "TaskToken",
    "TaskTokenScope",
    "TasksFrame",
    "TerminalStatus",
    "UnknownEvent",
    "Violation",
    "WaitTimeout",
    "Worker",
    "WorkerNotice",
    "kind",
]
