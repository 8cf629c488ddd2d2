"""A worker of the fault scenario in Python: examples/worker-python with kinds that emit numbered steps, in a process of
its own that may be killed at any moment: `python_steps.py ADDRESS NOTES_FOLDER CONCURRENCY`, with the example and its
stubs on PYTHONPATH. Its notes are those of worker-notes.ts. Ends when its standard input does, with who has started it."""

import json
import logging
import os
import sys
import threading
import time

import connection
import task as tasks
import worker
from google.protobuf.duration_pb2 import Duration
from spool.v1.task_pb2 import RetryPolicy

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

    def walk(self, first, checkpoint_every=None):
        task, total, pause_s = self.task, int(self.task.params["steps"]), self.task.params["every_ms"] / 1_000
        running.add(task)
        count = sum(not other.stopped.is_set() for other in list(running))
        note(type="began", taskId=task.ref["task_id"], attempt=task.attempt, running=count)
        try:
            for step in range(first, total + 1):
                task.progress("steps", step, total, **self.mark())
                if checkpoint_every and step % checkpoint_every == 0:
                    task.partial("checkpoint", step=step, **self.mark())
                if task.stopped.wait(pause_s):
                    raise tasks.TaskStopped
            return {"emitted": total}
        finally:
            running.discard(task)


@tasks.kind("python-steps", retry_policy=RETRY)
def steps(task):
    return Emitter(task).walk(1)


@tasks.kind("python-resumable", resumable=True, retry_policy=RETRY)
def resumable(task):
    """Goes on where an earlier attempt had come to."""
    first = int((task.checkpoint or {"step": 0})["step"]) + 1
    return Emitter(task).walk(first, CHECKPOINT_EVERY)


def noting_acknowledge(task, through, acknowledge=tasks.Task.acknowledge):
    acknowledge(task, through)
    if through > 0:
        note(type="stored", taskId=task.ref["task_id"], attempt=task.attempt, events=through)


def noting_on_welcome(self, welcome, outbox, on_welcome=connection.Worker.on_welcome):
    note(type="connected", sessionId=welcome.session_id, resumed=welcome.resumed)
    on_welcome(self, welcome, outbox)


def noting_connect(self, connect=connection.Worker.connect):
    try:
        connect(self)
    finally:
        note(type="disconnected", message="")


def end_with_input():
    sys.stdin.read()
    os._exit(1)


tasks.Task.acknowledge = noting_acknowledge
connection.Worker.on_welcome = noting_on_welcome
connection.Worker.connect = noting_connect
threading.Thread(target=end_with_input, daemon=True).start()
os.environ.update(SPOOL_ADDRESS=address, WORKER_CAPACITY=concurrency, WORKER_DRAIN_S="0")
logging.basicConfig(level=logging.ERROR)  # That its connections are cut is no news here.
worker.main()
