"""What a worker reports, for a log."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Union

from .emission import TaskError

LOGGER = logging.getLogger("spooltape")


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


def log_notice(notice: WorkerNotice) -> None:
    """Logs a notice. The traceback of an error that code raised is in the log alone."""
    if isinstance(notice, Connected):
        LOGGER.info("connected: session %s, %s", notice.session_id, "resumed" if notice.resumed else "new")
    elif isinstance(notice, Disconnected):
        LOGGER.warning("disconnected, retrying in %.1f s: %s", notice.retry_in, notice.error)
    elif isinstance(notice, Draining):
        LOGGER.info("the server drains")
    elif isinstance(notice, Refused):
        LOGGER.error("task %s: the server refused: %s: %s", notice.task_id, notice.reason, notice.message)
    elif isinstance(notice, CodeFailed):
        known = isinstance(notice.error, TaskError)
        info = None if known else (type(notice.error), notice.error, notice.error.__traceback__)
        attempt = f"attempt {notice.attempt} of task {notice.task_id} ({notice.kind})"
        LOGGER.warning("%s failed: %s", attempt, notice.error, exc_info=info)
