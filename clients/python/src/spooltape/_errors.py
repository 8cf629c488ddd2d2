"""The errors of calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional, Sequence

__all__ = ["SpoolError", "Violation", "WaitTimeout"]

CODES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)


@dataclass(frozen=True)
class Violation:
    """A rejected field and what it must be."""

    field: str
    """The path in the request, in the names of the proto: ``params.count``."""
    description: str


class SpoolError(Exception):
    """A failed call: the server rejected it or was not reached, or the client rejected it before sending.

    Programs check ``reason``, then ``code``. The message is for people and may change.
    """

    code: str
    """The name of the gRPC code, such as ``NOT_FOUND``. UNAVAILABLE if the connection broke before the answer."""
    reason: Optional[str]
    """A reason of errors.proto, such as ``TASK_NOT_FOUND``. None if no answer of Spool came."""
    metadata: Mapping[str, str]
    """What errors.proto lists for the reason: ``task_id``, ``current_status``, …"""
    violations: Sequence[Violation]
    """The rejected fields."""
    retry_after: Optional[float]
    """The server's hint when a retry may succeed, in seconds."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reason: Optional[str] = None,
        metadata: Optional[Mapping[str, str]] = None,
        violations: Sequence[Violation] = (),
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after = retry_after

    def __str__(self) -> str:
        known = self.code if self.reason is None or self.reason == self.code else f"{self.code}, {self.reason}"
        return f"{self.message} ({known})"


class WaitTimeout(SpoolError):
    """The task had no ``final`` in time, and may still be running. The message says what was seen last."""

    def __init__(self, message: str) -> None:
        super().__init__("DEADLINE_EXCEEDED", message)


def invalid(field: str, description: str) -> SpoolError:
    """Returns the error of a request that the client rejects, with the text that the server would use."""
    violation = Violation(field, description)
    message = f"{field}: {description}"
    return SpoolError("INVALID_ARGUMENT", message, reason="INVALID_ARGUMENT", violations=[violation])


def broken(message: str) -> SpoolError:
    """Returns the error of an answer that violates the service's guarantees. It is never retried."""
    return SpoolError("DATA_LOSS", message)


def lease_lost(task_id: str) -> SpoolError:
    """Returns the error of an attempt that no longer owns its task."""
    message = f"the attempt no longer owns task {task_id}"
    return SpoolError("ABORTED", message, reason="LEASE_LOST", metadata={"task_id": task_id})


def is_transient(error: BaseException) -> bool:
    """Whether a repeated call may succeed: the server says so, or was not reached."""
    return isinstance(error, SpoolError) and (error.code == "UNAVAILABLE" or error.retry_after is not None)
