"""The events of a tape: frozen dataclasses. All times are datetimes in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Optional, Sequence, Union

from ._json import JsonObject

TerminalStatus = Literal["succeeded", "failed", "cancelled"]
LogLevel = Literal["DEBUG", "INFO", "WARN", "ERROR"]
SeriesMode = Literal["append", "latest", "all"]
EventView = Literal["recorded", "folded"]


@dataclass(frozen=True)
class TaskFailure:
    """Why a task or an attempt did not succeed."""

    reason: str
    """For programs: a reason of the kind, or one of task.proto, such as ``DEADLINE_EXCEEDED``."""
    message: str
    """For people."""
    details: Optional[JsonObject] = None


@dataclass(frozen=True)
class StartedEvent:
    """An attempt began."""

    seq: int
    """The position on the tape: 1, 2, 3, … without gap or repeat."""
    time: datetime
    kind: str
    attempt: int
    """From 1."""
    type: Literal["started"] = "started"


@dataclass(frozen=True)
class Progress:
    """The progress of a phase."""

    phase: str
    current: int
    total: int
    """0 if unknown."""
    detail: Optional[JsonObject] = None


@dataclass(frozen=True)
class ProgressEvent:
    """The progress of a phase of the work."""

    seq: int
    time: datetime
    phase: str
    current: int
    total: int
    """0 if unknown."""
    detail: Optional[JsonObject] = None
    type: Literal["progress"] = "progress"


@dataclass(frozen=True)
class LogEvent:
    """A log line for people."""

    seq: int
    time: datetime
    level: LogLevel
    message: str
    type: Literal["log"] = "log"


@dataclass(frozen=True)
class Series:
    """A sequence of partials of one task: those with the same kind and the same series name."""

    name: str
    """1 to 128 characters."""
    mode: SeriesMode
    """``append``: each partial continues a text. ``latest``: each replaces the last. ``all``: each stands for itself."""
    field: str = ""
    """With ``append``: the field of the payload that holds the text. Empty: ``text``."""


@dataclass(frozen=True)
class PartialEvent:
    """A part of the outcome before the end."""

    seq: int
    time: datetime
    kind: str
    payload: JsonObject
    series: Optional[Series] = None
    """The series that the partial continues."""
    type: Literal["partial"] = "partial"


@dataclass(frozen=True)
class FoldedPart:
    """The partials of one series in a folded event."""

    kind: str
    payload: JsonObject
    """The last payload of the series in the event. With mode ``append``, ``series.field`` of it has the joined text."""
    series: Series
    count: int
    """How many recorded events the part stands for."""
    first_seq: int
    last_seq: int

    @property
    def text(self) -> str:
        """The joined text, with mode ``append``. Empty with another mode."""
        text = self.payload.get(self.series.field) if self.series.mode == "append" else ""
        return text if isinstance(text, str) else ""


@dataclass(frozen=True)
class FoldedEvent:
    """Consecutive partials of series, as one event: only in the folded view.

    It stands for all events from ``first_seq`` to ``seq``. Its time is that of the last one.
    """

    seq: int
    time: datetime
    first_seq: int
    parts: Sequence[FoldedPart]
    """One for each series, in the order of their first events."""
    type: Literal["folded"] = "folded"


@dataclass(frozen=True)
class CancelRequestedEvent:
    """A caller asked to cancel the running task."""

    seq: int
    time: datetime
    reason: str
    """May be empty."""
    cancelled_by: Optional[str] = None
    """The name of the principal that asked. None: unknown, because the call was not authenticated."""
    type: Literal["cancel_requested"] = "cancel_requested"


@dataclass(frozen=True)
class RetryingEvent:
    """The attempt failed, and the task will have another."""

    seq: int
    time: datetime
    error: TaskFailure
    next_attempt_at: datetime
    type: Literal["retrying"] = "retrying"


@dataclass(frozen=True)
class FinalEvent:
    """The end of the task. Every ended task has exactly one, as its last event."""

    seq: int
    time: datetime
    status: TerminalStatus
    result: Optional[JsonObject] = None
    """Set if the task succeeded."""
    error: Optional[TaskFailure] = None
    """Set if the task failed or was cancelled."""
    type: Literal["final"] = "final"


@dataclass(frozen=True)
class UnknownEvent:
    """An event of a type that this version does not know. It has a position on the tape; ignore it otherwise."""

    seq: int
    time: datetime
    type: Literal["unknown"] = "unknown"


Event = Union[
    StartedEvent,
    ProgressEvent,
    LogEvent,
    PartialEvent,
    FoldedEvent,
    CancelRequestedEvent,
    RetryingEvent,
    FinalEvent,
    UnknownEvent,
]
"""An event on a tape. Its ``type`` says which."""
