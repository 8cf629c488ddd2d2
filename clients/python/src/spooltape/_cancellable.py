"""Cancellation that gRPC does not lose."""

from __future__ import annotations

import asyncio
from typing import Any, Awaitable, TypeVar

_T = TypeVar("_T")


class LocallyCancelled(asyncio.CancelledError):
    """This side has cancelled the call, and not the task that waits for it."""


async def cancellable(step: Awaitable[_T]) -> _T:
    """Awaits a step of a call.

    ``grpc.aio`` loses a cancellation of the task that meets a call which has just failed: the step then raises the
    error of the call, and a task that retries would run on. Here, the task is cancelled in any case.

    :raises LocallyCancelled: if the call was cancelled.
    """
    task: "asyncio.Future[_T]" = asyncio.ensure_future(step)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.add_done_callback(_ignore)
        task.cancel()
        raise
    if task.cancelled():
        raise LocallyCancelled()
    return task.result()


def _ignore(task: "asyncio.Future[Any]") -> None:
    """Reads the error of a task, which asyncio would report otherwise."""
    if not task.cancelled():
        task.exception()
