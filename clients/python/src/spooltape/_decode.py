"""Converts messages of the server."""

from __future__ import annotations

from datetime import datetime
from typing import Callable, Dict, Mapping, Optional, Tuple, Type, TypeVar, Union

from . import _messages as pb
from ._errors import broken
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
from ._json import JsonObject, from_struct
from ._times import from_duration, from_timestamp
from ._types import (
    CancelledTask,
    CancelOutcome,
    EventPage,
    FollowedTask,
    Frame,
    RetryPolicy,
    Session,
    StartedTask,
    Task,
    TaskResult,
    TasksFrame,
    TaskStatus,
    TaskToken,
)

_M = TypeVar("_M", bound=pb.Message)

STATUSES: Mapping[TaskStatus, int] = {
    "pending": pb.TASK_STATUS_PENDING,
    "running": pb.TASK_STATUS_RUNNING,
    "succeeded": pb.TASK_STATUS_SUCCEEDED,
    "failed": pb.TASK_STATUS_FAILED,
    "cancelled": pb.TASK_STATUS_CANCELLED,
}
_STATUS_OF: Dict[int, TaskStatus] = {value: name for name, value in STATUSES.items()}
_TERMINAL: Dict[int, TerminalStatus] = {
    pb.TASK_STATUS_SUCCEEDED: "succeeded",
    pb.TASK_STATUS_FAILED: "failed",
    pb.TASK_STATUS_CANCELLED: "cancelled",
}
LOG_LEVELS: Mapping[LogLevel, int] = {
    "DEBUG": pb.LOG_LEVEL_DEBUG,
    "INFO": pb.LOG_LEVEL_INFO,
    "WARN": pb.LOG_LEVEL_WARN,
    "ERROR": pb.LOG_LEVEL_ERROR,
}
_LEVEL_OF: Dict[int, LogLevel] = {value: name for name, value in LOG_LEVELS.items()}
SERIES_MODES: Mapping[SeriesMode, int] = {
    "append": pb.SERIES_MODE_APPEND,
    "latest": pb.SERIES_MODE_LATEST,
    "all": pb.SERIES_MODE_ALL,
}
_MODE_OF: Dict[int, SeriesMode] = {value: name for name, value in SERIES_MODES.items()}
VIEWS: Mapping[EventView, int] = {
    "recorded": pb.EVENT_VIEW_RECORDED,
    "folded": pb.EVENT_VIEW_FOLDED,
}
_CANCEL_OUTCOMES: Dict[int, CancelOutcome] = {
    pb.CANCEL_OUTCOME_CANCELLED: "cancelled",
    pb.CANCEL_OUTCOME_REQUESTED: "requested",
    pb.CANCEL_OUTCOME_ALREADY_TERMINAL: "already_terminal",
}


def decode(message: Type[_M], data: bytes) -> _M:
    """Reads an answer. Raises DATA_LOSS for bytes that are not such a message."""
    try:
        return message.FromString(data)
    except Exception as error:
        raise broken(f"the answer is not a valid {message.__name__}") from error


def read_status(value: int) -> TaskStatus:
    try:
        return _STATUS_OF[value]
    except KeyError:
        raise broken(f"the answer has an unknown task status: {value}") from None


def _terminal(value: int) -> TerminalStatus:
    try:
        return _TERMINAL[value]
    except KeyError:
        raise broken(f"the answer has an outcome with status {value}") from None


_Timed = Union[pb.Task, pb.Event, pb.Retrying, pb.GetResultResponse, pb.Session, pb.CreateTaskTokenResponse]


def _time(message: _Timed, field: str) -> datetime:
    time = _time_or_none(message, field)
    if time is None:
        raise broken(f"the answer has no {field}")
    return time


def _time_or_none(message: _Timed, field: str) -> Optional[datetime]:
    has_field: Callable[[str], bool] = message.HasField  # type: ignore[assignment]
    return from_timestamp(getattr(message, field)) if has_field(field) else None


def read_task(message: pb.Task) -> Task:
    policy = message.retry_policy
    if not (policy.HasField("initial_backoff") and policy.HasField("max_backoff") and policy.HasField("jitter")):
        raise broken("the answer has an incomplete retry policy")
    return Task(
        task_id=message.task_id,
        kind=message.kind,
        status=read_status(message.status),
        params=from_struct(message.params) if message.HasField("params") else None,
        params_digest=message.params_digest,
        labels=dict(message.labels),
        request_id=message.request_id or None,
        created_at=_time(message, "created_at"),
        started_at=_time_or_none(message, "started_at"),
        finished_at=_time_or_none(message, "finished_at"),
        run_at=_time_or_none(message, "run_at"),
        deadline_at=_time_or_none(message, "deadline_at"),
        attempt_deadline_at=_time_or_none(message, "attempt_deadline_at"),
        timeout=from_duration(message.timeout) if message.HasField("timeout") else None,
        retention=from_duration(message.retention) if message.HasField("retention") else None,
        attempt=message.attempt,
        max_attempts=message.max_attempts,
        handovers=message.handovers,
        retry_policy=RetryPolicy(
            from_duration(policy.initial_backoff),
            from_duration(policy.max_backoff),
            policy.backoff_multiplier,
            policy.jitter,
        ),
        cancel_requested_at=_time_or_none(message, "cancel_requested_at"),
        started_by=message.started_by or None,
        cancelled_by=message.cancelled_by or None,
        awaits_worker=message.awaits_worker,
        last_seq=message.last_seq,
    )


def read_task_token(message: pb.CreateTaskTokenResponse) -> TaskToken:
    return TaskToken(message.token, _time(message, "expires_at"))


def _failure(error: pb.TaskError) -> TaskFailure:
    details = from_struct(error.details) if error.HasField("details") else None
    return TaskFailure(error.reason, error.message, details)


def _outcome(
    message: Union[pb.Final, pb.GetResultResponse],
) -> Tuple[Optional[JsonObject], Optional[TaskFailure]]:
    which = message.WhichOneof("outcome")
    result = from_struct(message.result) if which == "result" else None
    return result, _failure(message.error) if which == "error" else None


def read_event(message: pb.Event) -> Event:
    """Returns an event. One of a type that this version does not know becomes an UnknownEvent."""
    seq, time, which = message.seq, _time(message, "time"), message.WhichOneof("body")
    if which == "progress":
        progress = _progress(message.progress)
        return ProgressEvent(seq, time, progress.phase, progress.current, progress.total, progress.detail)
    if which == "log":
        # An unknown level is no reason to lose the line.
        return LogEvent(seq, time, _LEVEL_OF.get(message.log.level, "INFO"), message.log.message)
    if which == "partial":
        partial = message.partial
        return PartialEvent(seq, time, partial.kind, from_struct(partial.payload), _series(partial))
    if which == "folded":
        return FoldedEvent(seq, time, message.folded.first_seq, tuple(map(_folded_part, message.folded.parts)))
    if which == "started":
        return StartedEvent(seq, time, message.started.kind, message.started.attempt)
    if which == "cancel_requested":
        request = message.cancel_requested
        return CancelRequestedEvent(seq, time, request.reason, request.cancelled_by or None)
    if which == "retrying":
        retrying = message.retrying
        return RetryingEvent(seq, time, _failure(retrying.error), _time(retrying, "next_attempt_at"))
    if which == "final":
        return FinalEvent(seq, time, _terminal(message.final.status), *_outcome(message.final))
    return UnknownEvent(seq, time)


def _series(message: pb.Partial) -> Optional[Series]:
    if not message.HasField("series"):
        return None
    series = message.series
    # A mode of a later version reads as "all": no event is lost.
    return Series(series.name, _MODE_OF.get(series.mode, "all"), series.field)


def _folded_part(message: pb.FoldedPartial) -> FoldedPart:
    partial = message.partial
    series = _series(partial)
    if series is None:
        raise broken("a folded event has a part without a series")
    payload = from_struct(partial.payload)
    return FoldedPart(partial.kind, payload, series, message.count, message.first_seq, message.last_seq)


def _progress(message: pb.Progress) -> Progress:
    detail = from_struct(message.detail) if message.HasField("detail") else None
    return Progress(message.phase, message.current, message.total, detail)


def read_frame(message: Union[pb.StreamEventsResponse, pb.RunTaskResponse]) -> Frame:
    events = tuple(map(read_event, message.events))
    return Frame(events, message.last_seq, read_status(message.status))


def read_page(message: pb.GetEventsResponse) -> EventPage:
    return EventPage(
        task_id=message.task_id,
        events=tuple(map(read_event, message.events)),
        next_from_seq=message.next_from_seq,
        last_seq=message.last_seq,
        status=read_status(message.status),
        has_more=message.has_more,
    )


def read_result(message: pb.GetResultResponse) -> TaskResult:
    status, finished_at = _terminal(message.status), _time(message, "finished_at")
    started_at = _time_or_none(message, "started_at")
    return TaskResult(message.task_id, status, started_at, finished_at, *_outcome(message))


def read_cancelled(message: pb.CancelTaskResponse) -> CancelledTask:
    outcome = _CANCEL_OUTCOMES.get(message.outcome)
    if outcome is None:
        raise broken(f"the answer has an unknown outcome of a cancel: {message.outcome}")
    return CancelledTask(read_task(message.task), outcome)


def read_tasks_frame(message: pb.FollowTasksResponse) -> TasksFrame:
    return TasksFrame(tuple(map(_followed, message.tasks)), message.next_cursor)


def _followed(message: pb.FollowedTask) -> FollowedTask:
    return FollowedTask(
        task_id=message.task_id,
        kind=message.kind,
        events=tuple(map(read_event, message.events)),
        task=read_task(message.task) if message.HasField("task") else None,
        progress=_progress(message.progress) if message.HasField("progress") else None,
    )


def read_session(message: pb.Session) -> Session:
    return Session(
        session_id=message.session_id,
        host=message.host,
        pid=message.pid,
        kinds=tuple(message.kinds),
        capacity=message.capacity,
        running=message.running,
        started_at=_time(message, "started_at"),
        seen_at=_time(message, "seen_at"),
        expires_at=_time(message, "expires_at"),
        is_worker=message.is_worker,
    )


def task_of(message: Union[pb.StartTaskResponse, pb.GetTaskResponse, pb.RunTaskResponse]) -> Task:
    if not message.HasField("task"):
        raise broken("the answer has no task")
    return read_task(message.task)




def first_of_run(message: Optional[pb.RunTaskResponse]) -> StartedTask:
    if message is None:
        raise broken("RunTask ended without the task")
    return StartedTask(task_of(message), message.already_started)
