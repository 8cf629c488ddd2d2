"""The attempts that a worker runs, and the server's messages about them."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any, Callable, Dict, List, Mapping, Tuple, cast

from .. import _messages as pb
from .._errors import SpoolError
from .._json import from_struct
from .attempt import Attempt
from .context import AsyncTaskContext, TaskContext
from .emission import TaskError, exclusive_key, failure_of, result_of
from .kind import AsyncCode, Code, Kind
from .notice import CodeFailed, Refused, WorkerNotice

WINDOW = (4_096, 4 * 1024 * 1024)


class Attempts:
    """Runs the attempts. All methods are called on the event loop."""

    def __init__(
        self,
        kinds: Mapping[str, Kind],
        on_notice: Callable[[WorkerNotice], None],
        on_unsent: Callable[[Attempt], None],
    ) -> None:
        self._kinds = kinds
        self._on_notice = on_notice
        self._on_unsent = on_unsent
        self._loop = asyncio.get_running_loop()
        self._attempts: Dict[str, Attempt] = {}
        self._running: Dict[Attempt, asyncio.Task[None]] = {}
        self._window = WINDOW
        self.idle = asyncio.Event()
        """Is set while there is no attempt."""
        self.idle.set()

    def held(self) -> List[pb.HeldAttempt]:
        """Returns the attempts that the server has not ended."""
        return [pb.HeldAttempt(task_id=held.task_id, attempt=held.number) for held in self._attempts.values()]

    def on_welcome(self, welcome: pb.Welcome) -> None:
        """Handles the welcome of a new stream.

        Attempts that the server still holds, or whose code has ended, send their unconfirmed data again. All other
        attempts are lost.
        """
        self._window = (welcome.window_events, welcome.window_bytes)
        appended: Dict[Tuple[str, int], int] = {(held.task_id, held.attempt): held.appended for held in welcome.held}
        for attempt in list(self._attempts.values()):
            stored = appended.get((attempt.task_id, attempt.number))
            if stored is not None:
                attempt.acknowledge(stored)
            if stored is not None or attempt.has_ended:
                attempt.resend()
            else:
                self._close(attempt)

    def take(self, message: pb.WorkResponse) -> None:
        """Handles a message about an attempt."""
        which = message.WhichOneof("message")
        if which == "assign":
            self._run(message.assign)
        elif which == "appended":
            for attempt in self._of(message.appended):
                attempt.acknowledge(message.appended.through)
        elif which == "finished":
            for attempt in self._of(message.finished):
                self._close(attempt)
        elif which == "lease_lost":
            for attempt in self._of(message.lease_lost):
                self._close(attempt)
        elif which == "stop":
            for attempt in self._of(message.stop):
                attempt.stop("deadline" if message.stop.reason == pb.STOP_REASON_DEADLINE else "cancel")
        elif which == "refused":
            refused = message.refused
            for attempt in self._of(refused):
                self._on_notice(Refused(refused.task_id, refused.attempt, refused.reason, refused.message))
                attempt.refuse(refused.message, refused.appended)

    def check(self, check: pb.Check) -> pb.Checked:
        """Validates a waiting task."""
        kind = self._kinds.get(check.kind)
        checked = pb.Checked(task_id=check.task_id)
        if kind is None or kind.exclusive is None:
            return checked
        try:
            checked.exclusive_key = exclusive_key(kind.exclusive(from_struct(check.params)))
        except SpoolError as error:
            checked.error.CopyFrom(pb.TaskError(reason="INVALID_ARGUMENT", message=error.message))
        except Exception as error:  # The attempts would meet it too.
            checked.error.CopyFrom(failure_of(error))
        return checked

    def stop_all(self) -> None:
        """Asks the code of all attempts to stop, because this worker stops."""
        for attempt in list(self._attempts.values()):
            attempt.stop("shutdown")

    def release_all(self) -> None:
        """Releases the attempts whose code has not ended."""
        for attempt in self._attempts.values():
            attempt.finish(_released())

    def close_all(self) -> None:
        for attempt in list(self._attempts.values()):
            self._close(attempt)

    def _of(self, message: Any) -> List[Attempt]:
        """Returns the attempt of a message. None if it has ended here."""
        attempt = self._attempts.get(message.task_id)
        return [] if attempt is None or attempt.number != message.attempt else [attempt]

    def _run(self, assign: pb.Assign) -> None:
        former = self._attempts.get(assign.task_id)
        if former is not None:
            if former.number == assign.attempt:
                return former.resend()
            self._close(former)
        attempt = Attempt(assign.task_id, assign.attempt, self._window, self._on_unsent, self._loop)
        self._attempts[assign.task_id] = attempt
        self.idle.clear()
        kind = self._kinds.get(assign.kind)
        if kind is None:
            return attempt.finish(_released())
        if kind.is_async:
            task = self._loop.create_task(self._run_async(kind, attempt, AsyncTaskContext(assign, attempt)))
            self._running[attempt] = task
            task.add_done_callback(lambda _: self._running.pop(attempt, None))
            # Not at once: a task that is cancelled before its first step never runs, and would not report its end.
            attempt.on_stop = lambda: self._loop.call_soon(task.cancel)
        else:
            self._run_in_thread(kind, attempt, TaskContext(assign, attempt))

    async def _run_async(self, kind: Kind, attempt: Attempt, context: AsyncTaskContext) -> None:
        try:
            end = pb.Finish(result=result_of(await cast(AsyncCode, kind.code)(context)))
        except BaseException as error:  # Whatever the code raises ends its attempt, and nothing else.
            end = self._failed(kind, attempt, error)
        attempt.finish(end)

    def _run_in_thread(self, kind: Kind, attempt: Attempt, context: TaskContext) -> None:
        def run() -> None:
            try:
                end = pb.Finish(result=result_of(cast(Code, kind.code)(context)))
            except BaseException as error:
                end = self._failed(kind, attempt, error)
            try:
                attempt.finish(end)
            except SpoolError:
                pass  # The worker has ended.

        # Its context variables are those of the worker. A daemon, because code that goes on must not keep the process.
        context_of_worker = contextvars.copy_context()
        name = f"spool {kind.name} {attempt.task_id}"
        try:
            threading.Thread(target=lambda: context_of_worker.run(run), name=name, daemon=True).start()
        except RuntimeError as error:  # The system has no thread left.
            attempt.finish(self._failed(kind, attempt, error))

    def _failed(self, kind: Kind, attempt: Attempt, error: BaseException) -> pb.Finish:
        if attempt.stop_reason is None:
            self._on_notice(CodeFailed(attempt.task_id, kind.name, attempt.number, error))
        elif attempt.stop_reason == "shutdown":
            return _released()
        is_final = isinstance(error, TaskError) and not error.retryable
        return pb.Finish(error=failure_of(error), no_retry=is_final)

    def _close(self, attempt: Attempt) -> None:
        self._attempts.pop(attempt.task_id, None)
        attempt.close()
        if not self._attempts:
            self.idle.set()


def _released() -> pb.Finish:
    return pb.Finish(released=pb.Released())
