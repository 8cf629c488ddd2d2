"""Kinds of task, as a worker defines them."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Awaitable, Callable, Optional, Union

from .._json import JsonObject
from .._types import RetryPolicy
from .context import AsyncTaskContext, TaskContext

Code = Callable[[TaskContext], Optional[JsonObject]]
AsyncCode = Callable[[AsyncTaskContext], Awaitable[Optional[JsonObject]]]
AnyCode = Union[Code, AsyncCode]
Exclusive = Callable[[JsonObject], Optional[str]]

KIND_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_BACKOFF_MIN = timedelta(milliseconds=1)
_BACKOFF_MAX = timedelta(days=30)


@dataclass(frozen=True)
class Kind:
    """A kind of task: its name, its settings and the code that runs it. Made by ``kind``."""

    name: str
    code: AnyCode
    is_async: bool
    resumable: bool
    exclusive: Optional[Exclusive]
    max_attempts: Optional[int]
    retry_policy: RetryPolicy


def kind(
    name: str,
    *,
    resumable: bool = False,
    exclusive: Optional[Exclusive] = None,
    max_attempts: Optional[int] = None,
    retry_policy: Optional[RetryPolicy] = None,
) -> Callable[[AnyCode], Kind]:
    """Makes a kind of task from a function, which returns the result: a JSON object of at most 3 MiB, or None for {}.

    A function takes a TaskContext and runs in a thread of its own. An ``async`` function takes an AsyncTaskContext and
    runs on the event loop of the worker, which it must not block for longer than a second.

    :param name: 1 to 128 characters of ``[A-Za-z0-9._-]``. What a start names.
    :param resumable: whether an attempt that was cut short may be made again. A worker that stops hands such a task
        over, and the attempt does not count.
    :param exclusive: returns a key of at most 1,024 bytes for params, or None. Of the tasks with the same key, one runs
        at a time. Raises TaskError to refuse the params before the task runs. Must be quick, because it runs on the
        event loop.
    :param max_attempts: of a task whose start does not set it, 1 to 100. Default 1.
    :param retry_policy: the waits between attempts of a task whose start does not set them.
    :raises ValueError: for a value out of its bounds.
    """
    if KIND_NAME.fullmatch(name) is None:
        raise ValueError(f"name: must be 1 to 128 characters of [A-Za-z0-9._-], is {name!r}")
    if max_attempts is not None and not 1 <= max_attempts <= 100:
        raise ValueError(f"max_attempts: must be 1 to 100, is {max_attempts}")
    policy = _checked(retry_policy or RetryPolicy())

    def decorate(code: AnyCode) -> Kind:
        is_async = inspect.iscoroutinefunction(code)
        return Kind(name, code, is_async, resumable, exclusive, max_attempts, policy)

    return decorate


def _checked(policy: RetryPolicy) -> RetryPolicy:
    for field in ("initial_backoff", "max_backoff"):
        backoff: Optional[timedelta] = getattr(policy, field)
        if backoff is not None and not _BACKOFF_MIN <= backoff <= _BACKOFF_MAX:
            raise ValueError(f"retry_policy.{field}: must be 1 ms to 30 days, is {backoff}")
    if policy.backoff_multiplier is not None and not 1 <= policy.backoff_multiplier <= 100:
        raise ValueError(f"retry_policy.backoff_multiplier: must be 1 to 100, is {policy.backoff_multiplier}")
    if policy.jitter is not None and not 0 <= policy.jitter <= 1:
        raise ValueError(f"retry_policy.jitter: must be 0 to 1, is {policy.jitter}")
    return policy
