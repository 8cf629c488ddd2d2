"""A worker of the fault scenario in Python: kinds that emit numbered steps, in a process that may be killed at any
moment: `python_steps.py ADDRESS NOTES_FOLDER CONCURRENCY`, with spooltape on PYTHONPATH. Its notes are those of
worker-notes.ts. One kind runs in threads, the other on the event loop. Ends when its standard input does."""

import asyncio
import json
import logging
import os
import sys
import threading
import time
from datetime import timedelta
from typing import Any, Dict, Set, Union

from spooltape import (
    AsyncTaskContext,
    Connected,
    Disconnected,
    JsonObject,
    Refused,
    RetryPolicy,
    TaskContext,
    Worker,
    WorkerNotice,
    kind,
)

RETRY = RetryPolicy(initial_backoff=timedelta(milliseconds=200), max_backoff=timedelta(seconds=1))
CHECKPOINT_EVERY = 10
FLUSH_EVERY = 5

address, folder, concurrency = sys.argv[1:]
notes = os.open(os.path.join(folder, f"{os.getpid()}.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
running: Set["Emitter"] = set()
lock = threading.Lock()


def note(**fields: Any) -> None:
    line = {"pid": os.getpid(), "at": int(time.time() * 1_000), **fields}
    os.write(notes, (json.dumps(line) + "\n").encode())


class Emitter:
    """Numbers what an attempt emits."""

    def __init__(self, task: Union[TaskContext, AsyncTaskContext]) -> None:
        self.task, self.number = task, 0
        self.total, self.pause_s = task.params["steps"], task.params["every_ms"] / 1_000

    def __enter__(self) -> "Emitter":
        with lock:
            running.add(self)
            count = sum(not other.task.cancelled for other in running)
            note(type="began", taskId=self.task.task_id, attempt=self.task.attempt, running=count)
        return self

    def __exit__(self, *_: object) -> None:
        with lock:
            running.discard(self)

    def mark(self) -> Dict[str, int]:
        self.number += 1
        return {"attempt": self.task.attempt, "number": self.number, "pid": os.getpid()}

    def stored(self, events: int) -> None:
        note(type="stored", taskId=self.task.task_id, attempt=self.task.attempt, events=events)


@kind("python-steps", retry_policy=RETRY)
def steps(task: TaskContext) -> JsonObject:
    with Emitter(task) as emitter:
        for step in range(1, emitter.total + 1):
            task.progress("steps", step, emitter.total, emitter.mark())
            if step % FLUSH_EVERY == 0:
                task.flush()
                emitter.stored(emitter.number)
            task.sleep(emitter.pause_s)
        return {"emitted": emitter.total}


@kind("python-resumable", resumable=True, retry_policy=RETRY)
async def resumable(task: AsyncTaskContext) -> JsonObject:
    """Goes on where an earlier attempt had come to."""
    with Emitter(task) as emitter:
        for step in range((task.checkpoint or {"step": 0})["step"] + 1, emitter.total + 1):
            await task.progress("steps", step, emitter.total, emitter.mark())
            if step % CHECKPOINT_EVERY == 0:
                await task.save_checkpoint({"step": step, **emitter.mark()})
            if step % FLUSH_EVERY == 0:
                events = emitter.number
                await task.flush()
                emitter.stored(events)
            await asyncio.sleep(emitter.pause_s)
        return {"emitted": emitter.total}


def on_notice(notice: WorkerNotice) -> None:
    if isinstance(notice, Connected):
        note(type="connected", sessionId=notice.session_id, resumed=notice.resumed)
    elif isinstance(notice, Disconnected):
        note(type="disconnected", message=str(notice.error))
    elif isinstance(notice, Refused):
        message = f"{notice.reason}: {notice.message}"
        note(type="refused", taskId=notice.task_id, attempt=notice.attempt, message=message)


def end_with_input() -> None:
    sys.stdin.read()
    os._exit(1)


threading.Thread(target=end_with_input, daemon=True).start()
logging.basicConfig(level=logging.ERROR)  # That its connections are cut is no news here.
kinds = [steps, resumable]
Worker(kinds, address=address, concurrency=int(concurrency), drain=0, grace=0.5, on_notice=on_notice).run()
