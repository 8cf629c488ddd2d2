"""Makes what the code of a task sends, and checks its bounds."""

from __future__ import annotations

import re
from typing import Optional

from .. import _messages as pb
from .._decode import LOG_LEVELS, SERIES_MODES
from .._errors import SpoolError, invalid
from .._event_types import Series
from .._json import INTEGER_MAX, KIB, MIB, JsonObject, check_text, to_struct

NAME_CHARS_MAX = 128
EVENT_BYTES_MAX = 256 * KIB
RESULT_BYTES_MAX = 3 * MIB
VALUES_MAX = 250_000
MESSAGE_CHARS_MAX = 16 * KIB
EXCLUSIVE_KEY_BYTES_MAX = 1_024
_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,62}")


class TaskError(Exception):
    """Raised by the code of a kind: the attempt fails with this reason, message and details.

    :param reason: UPPER_SNAKE_CASE, at most 63 characters. Another reason is recorded as KIND_FAILED.
    :param message: for people, at most 16 KiB.
    :param details: a JSON object.
    :param retryable: False: the task fails now, even if it has attempts left.
    """

    def __init__(
        self, reason: str, message: str = "", *, details: Optional[JsonObject] = None, retryable: bool = True
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.details = details
        self.retryable = retryable


class TaskStopped(BaseException):
    """Raised in the code of a task that must stop. Like KeyboardInterrupt, it passes ``except Exception``."""


def progress_event(phase: str, current: int, total: int, detail: Optional[JsonObject]) -> pb.NewEvent:
    event = pb.NewEvent()
    event.progress.phase = _name("progress.phase", phase)
    event.progress.current = _count("progress.current", current)
    event.progress.total = _count("progress.total", total)
    if detail is not None:
        event.progress.detail.CopyFrom(_struct(detail, "progress.detail"))
    return _bounded(event, "progress")


def log_event(level: str, message: str) -> pb.NewEvent:
    event = pb.NewEvent()
    name = level.upper() if isinstance(level, str) else level
    for known, value in LOG_LEVELS.items():
        if known == name:
            event.log.level = value
            event.log.message = check_text("log.message", message)
            return _bounded(event, "log")
    raise invalid("log.level", f"must be one of {', '.join(LOG_LEVELS)}, in upper or lower case, is {level!r}")


def partial_event(kind: str, payload: JsonObject, series: Optional[Series] = None) -> pb.NewEvent:
    event = pb.NewEvent()
    event.partial.kind = _name("partial.kind", kind)
    event.partial.payload.CopyFrom(_struct(payload, "partial.payload"))
    if series is not None:
        event.partial.series.CopyFrom(_series(series, payload))
    return _bounded(event, "partial")


def _series(series: Series, payload: JsonObject) -> pb.Series:
    if not isinstance(series, Series):
        raise invalid("partial.series", f"must be a Series, is {series!r}")
    if series.mode not in SERIES_MODES:
        raise invalid("partial.series.mode", f"must be one of {', '.join(SERIES_MODES)}, is {series.mode!r}")
    message = pb.Series(name=_name("partial.series.name", series.name), mode=SERIES_MODES[series.mode])
    if series.mode != "append":
        if series.field != "":
            raise invalid("partial.series.field", "must be empty, unless the mode is append")
        return message
    message.field = _name("partial.series.field", series.field or "text")
    if not isinstance(payload.get(message.field), str):
        raise invalid(f"partial.payload.{message.field}", "must be a string: the text that continues the series")
    return message


def result_of(value: object) -> pb.Struct:
    """Converts what the code returned. None stands for an empty object."""
    return to_struct({} if value is None else value, "result", bytes_max=RESULT_BYTES_MAX, values_max=VALUES_MAX)


def failure_of(error: BaseException) -> pb.TaskError:
    """Returns the failure that callers see: the message, never the stack, and a reason only if the code gave one."""
    if not isinstance(error, TaskError):
        return pb.TaskError(reason="KIND_FAILED", message=cut(_text_of(error)))
    reason = error.reason
    is_reason = isinstance(reason, str) and _REASON.fullmatch(reason) is not None
    failure = pb.TaskError(reason=reason if is_reason else "KIND_FAILED", message=cut(_text_of(error)))
    if error.details is not None:
        try:
            failure.details.CopyFrom(_struct(error.details, "details"))
        except SpoolError:
            failure.message = cut(f"{failure.message} (its details could not be recorded)")
    return failure


def cut(message: str) -> str:
    """Returns text that UTF-8 can carry, of the length that a tape takes."""
    return message.encode(errors="replace")[: MESSAGE_CHARS_MAX].decode(errors="ignore")


def exclusive_key(key: object) -> str:
    """Returns the key of a check, empty for None."""
    if key is None:
        return ""
    if isinstance(key, str) and key != "" and "\0" not in key:
        if len(check_text("params", key).encode()) <= EXCLUSIVE_KEY_BYTES_MAX:
            return key
    raise invalid("params", f"their exclusive key must be text of 1 to {EXCLUSIVE_KEY_BYTES_MAX} bytes, without NUL")


def _text_of(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:
        return type(error).__name__


def _struct(value: object, field: str) -> pb.Struct:
    return to_struct(value, field, bytes_max=EVENT_BYTES_MAX, values_max=VALUES_MAX)


def _bounded(event: pb.NewEvent, field: str) -> pb.NewEvent:
    if event.ByteSize() > EVENT_BYTES_MAX:
        raise invalid(field, f"must be at most {EVENT_BYTES_MAX} bytes as JSON and as protobuf")
    return event


def _name(field: str, name: str) -> str:
    check_text(field, name)
    # The service counts UTF-16 code units.
    if not 1 <= len(name.encode("utf-16-le")) // 2 <= NAME_CHARS_MAX:
        raise invalid(field, f"must be 1 to {NAME_CHARS_MAX} characters")
    return name


def _count(field: str, count: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= INTEGER_MAX:
        raise invalid(field, f"must be an integer from 0 to 2^53 - 1, is {count!r}")
    return count
