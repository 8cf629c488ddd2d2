"""Times and durations: Python's from and to those of protobuf."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import Union

from . import _messages as pb
from ._errors import broken, invalid

Seconds = Union[int, float, timedelta]
"""A duration: a number of seconds, or a timedelta."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


def seconds_of(field: str, duration: Seconds) -> float:
    """Returns a duration in seconds."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        raise invalid(field, "must be a finite number of seconds, or a timedelta")
    return float(seconds)


def to_duration(field: str, duration: Seconds) -> pb.Duration:
    """Rounds to milliseconds, as the service does."""
    milliseconds = round(seconds_of(field, duration) * 1_000)
    sign = -1 if milliseconds < 0 else 1
    seconds, rest = divmod(abs(milliseconds), 1_000)
    return pb.Duration(seconds=sign * seconds, nanos=sign * rest * 1_000_000)


def from_duration(duration: pb.Duration) -> timedelta:
    return timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1_000)


def to_timestamp(field: str, time: datetime) -> pb.Timestamp:
    """Converts a time that knows its zone. A time without a zone is rejected, because its meaning is unknown."""
    if not isinstance(time, datetime) or time.utcoffset() is None:
        raise invalid(field, "must be a datetime with a time zone")
    seconds, rest = divmod((time - _EPOCH) // _MICROSECOND, 1_000_000)
    return pb.Timestamp(seconds=seconds, nanos=rest * 1_000)


def from_timestamp(time: pb.Timestamp) -> datetime:
    """Returns the time in UTC."""
    try:
        return _EPOCH + timedelta(seconds=time.seconds, microseconds=time.nanos // 1_000)
    except OverflowError:
        raise broken(f"the answer has a time out of range: {time.seconds} s") from None


def limit_of(field: str, limit: Seconds) -> float:
    """Returns a limit in seconds. ``math.inf``: none."""
    return math.inf if limit == math.inf else seconds_of(field, limit)
