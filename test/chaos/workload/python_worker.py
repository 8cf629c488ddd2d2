"""A worker of a chaos run in Python, in a process that may be killed at any moment:
`python_worker.py ADDRESS NAMESPACE FOLDER NAME CONCURRENCY`, with spooltape on PYTHONPATH. Its notes are those of
attempt-notes.ts. It ends when its standard input ends."""

import asyncio
import json
import logging
import os
import sys
import threading
import time
from datetime import timedelta
from typing import Any, Union

from spooltape import AsyncTaskContext, JsonObject, RetryPolicy, TaskContext, Worker, kind

RETRY = RetryPolicy(initial_backoff=timedelta(milliseconds=200), max_backoff=timedelta(seconds=1))
CHECKPOINT_EVERY = 5

address, namespace, folder, name, concurrency = sys.argv[1:]
notes = os.open(os.path.join(folder, f"{name}-{os.getpid()}.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)


class Noted:
    """Notes what an attempt really does. After its signal, it notes nothing more."""

    def __init__(self, task: Union[TaskContext, AsyncTaskContext]) -> None:
        self.task, self.is_over = task, False

    def __enter__(self) -> "Noted":
        self.note("began")
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        self.end("signalled" if self.task.cancelled else "returned" if kind is None else "threw")

    def step(self, step: int) -> None:
        if self.task.cancelled:
            self.end("signalled")
        if not self.is_over:
            self.note("step", step=step)

    def end(self, how: str) -> None:
        if not self.is_over:
            self.note("ended", how=how)
        self.is_over = True

    def note(self, what: str, **fields: Any) -> None:
        line = {
            "type": "attempt",
            "at": time.monotonic_ns() // 1_000 / 1_000,
            "taskId": self.task.task_id,
            "attempt": self.task.attempt,
            "what": what,
            **fields,
            "exclusiveKey": None,
            "worker": name,
            "pid": os.getpid(),
        }
        os.write(notes, (json.dumps(line) + "\n").encode())


@kind("python.steps", retry_policy=RETRY)
def steps(task: TaskContext) -> JsonObject:
    total = task.params["steps"]
    with Noted(task) as noted:
        for step in range(1, total + 1):
            task.progress("steps", step, total, {"step": step, "attempt": task.attempt})
            noted.step(step)
            task.sleep(task.params["every_ms"] / 1_000)
        return {"emitted": total}


@kind("python.resumable", resumable=True, retry_policy=RETRY)
async def resumable(task: AsyncTaskContext) -> JsonObject:
    """Continues after the last checkpoint of the attempts before."""
    total = task.params["steps"]
    with Noted(task) as noted:
        for step in range((task.checkpoint or {"step": 0})["step"] + 1, total + 1):
            await task.progress("steps", step, total, {"step": step, "attempt": task.attempt})
            noted.step(step)
            if step % CHECKPOINT_EVERY == 0:
                await task.save_checkpoint({"step": step})
                await task.flush()
            await asyncio.sleep(task.params["every_ms"] / 1_000)
        return {"emitted": total}


def end_with_input() -> None:
    sys.stdin.read()
    os._exit(1)


threading.Thread(target=end_with_input, daemon=True).start()
logging.basicConfig(level=logging.CRITICAL)  # Lost connections are part of the run.
Worker(
    [steps, resumable],
    address=address,
    namespace=namespace,
    concurrency=int(concurrency),
    drain=0,
    grace=0.5,
).run()
