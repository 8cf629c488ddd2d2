"""A worker of the fault scenario in Python: examples/worker-python with kinds that emit numbered steps, in a process of
its own that may be killed at any moment: `python_steps.py ADDRESS NOTES_FOLDER CONCURRENCY`, with the example and its
stubs on PYTHONPATH. Its notes are those of worker-notes.ts. Ends when its standard input does, with who has started it."""

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time

from google.protobuf.duration_pb2 import Duration
from spool.v1.task_pb2 import RetryPolicy
from spool.v1.worker_service_pb2 import KindOffer
from spool_worker import Task, Worker

RETRY = RetryPolicy(initial_backoff=Duration(nanos=200_000_000), max_backoff=Duration(seconds=1))
CHECKPOINT_EVERY = 10

address, folder, concurrency = sys.argv[1:]
notes = os.open(os.path.join(folder, f"{os.getpid()}.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
running = set()


def note(**fields):
    line = {"pid": os.getpid(), "at": int(time.time() * 1_000), **fields}
    os.write(notes, (json.dumps(line) + "\n").encode())


class Emitter:
    """Numbers what an attempt emits."""

    def __init__(self, task):
        self.task, self.number = task, 0

    def mark(self):
        self.number += 1
        return {"attempt": self.task.attempt, "number": self.number, "pid": os.getpid()}

    async def walk(self, first, checkpoint_every=None):
        task, total, pause_s = self.task, int(self.task.params["steps"]), self.task.params["every_ms"] / 1_000
        running.add(task)
        count = sum(not other.is_stopped and not other.is_over for other in running)
        note(type="began", taskId=task.ref["task_id"], attempt=task.attempt, running=count)
        try:
            for step in range(first, total + 1):
                await task.progress("steps", step, total, **self.mark())
                if checkpoint_every and step % checkpoint_every == 0:
                    await task.partial("checkpoint", step=step, **self.mark())
                await asyncio.sleep(pause_s)
            return {"emitted": total}
        finally:
            running.discard(task)


async def steps(task):
    return await Emitter(task).walk(1)


async def resumable(task):
    """Goes on where an earlier attempt had come to."""
    first = int((task.checkpoint or {"step": 0})["step"]) + 1
    return await Emitter(task).walk(first, CHECKPOINT_EVERY)


class NotingWorker(Worker):
    async def connect(self):
        try:
            await super().connect()
        finally:
            note(type="disconnected", message="")

    def take(self, name, message, outbox):
        if name == "welcome":
            note(type="connected", sessionId=message.session_id, resumed=message.resumed)
        super().take(name, message, outbox)


def noting_on_appended(task, message, on_appended=Task.on_appended):
    on_appended(task, message)
    if message.through > 0:
        note(type="stored", taskId=task.ref["task_id"], attempt=task.attempt, events=message.through)


def end_with_input():
    sys.stdin.read()
    os._exit(1)


async def main():
    offers = [
        KindOffer(name="python-steps", retry_policy=RETRY),
        KindOffer(name="python-resumable", resumable=True, retry_policy=RETRY),
    ]
    kinds = {"python-steps": steps, "python-resumable": resumable}
    worker = NotingWorker(address, kinds, offers, capacity=int(concurrency), drain_s=0)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    await worker.run()


Task.on_appended = noting_on_appended
threading.Thread(target=end_with_input, daemon=True).start()
logging.basicConfig(level=logging.ERROR)  # That its connections are cut is no news here.
asyncio.run(main())
