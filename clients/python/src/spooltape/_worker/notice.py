"""What a worker reports, for a log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True)
class Connected:
    """The worker is connected."""

    session_id: str
    resumed: bool
    """Whether it keeps its running tasks."""


@dataclass(frozen=True)
class Disconnected:
    """The connection is lost. The worker reconnects after ``retry_in`` seconds; its tasks keep running."""

    error: Exception
    retry_in: float


@dataclass(frozen=True)
class Draining:
    """The server shuts down and assigns no more tasks."""


@dataclass(frozen=True)
class CodeFailed:
    """The code of a task raised an error."""

    task_id: str
    kind: str
    attempt: int
    error: BaseException


@dataclass(frozen=True)
class Refused:
    """The server rejected what an attempt sent."""

    task_id: str
    attempt: int
    reason: str
    message: str


WorkerNotice = Union[Connected, Disconnected, Draining, CodeFailed, Refused]
