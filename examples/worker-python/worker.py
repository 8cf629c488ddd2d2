"""A worker in Python: a server of Spool gives it tasks, and it runs each in a thread. README.md tells how to run it."""

import logging
import os
import signal
import threading
import time

from connection import Worker
from google.protobuf.duration_pb2 import Duration
from spool.v1.task_pb2 import RetryPolicy
from task import TaskFailed, TaskStopped, kind

SIGNALS = {signal.SIGTERM, signal.SIGINT}
LEAVE_S = 5


@kind("word-count", resumable=True)
def word_count(task):
    """Counts the words of params.texts, with params.delay_ms between two. Goes on where an earlier attempt was."""
    texts, delay_s = task.params.get("texts", []), task.params.get("delay_ms", 0) / 1_000
    if not texts:
        raise TaskFailed("NO_TEXTS", "texts: must have at least one", retryable=False)
    counted = task.checkpoint or {"texts": 0, "words": 0}
    first = int(counted["texts"]) + 1
    for number in range(first, len(texts) + 1):
        if number > first and task.stopped.wait(delay_s):
            raise TaskStopped
        words = len(texts[number - 1].split())
        counted = {"texts": number, "words": counted["words"] + words}
        task.progress("count", number, len(texts))
        task.partial("text", number=number, words=words)
        task.partial("checkpoint", **counted)
    return {"words": counted["words"]}


@kind("print-page", max_attempts=3, retry_policy=RetryPolicy(initial_backoff=Duration(nanos=50_000_000)))
def print_page(task):
    """Fails for lack of paper, at every attempt. With params.closed nobody will bring any, and there is no other."""
    task.log(f"attempt {task.attempt}: the tray is empty", level="WARN")
    raise TaskFailed("NO_PAPER", "there is no paper", retryable=not task.params.get("closed", False))


def main():
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # In every thread: they are for the one that waits for them.
    worker = Worker(
        os.environ.get("SPOOL_ADDRESS", "127.0.0.1:50051"),
        token=os.environ.get("SPOOL_TOKEN"),
        capacity=int(os.environ.get("WORKER_CAPACITY", "4")),
        drain_s=float(os.environ.get("WORKER_DRAIN_S", "10")),
    )
    threading.Thread(target=stop_on_signal, args=(worker,), daemon=True).start()
    worker.run()


def stop_on_signal(worker):
    signal.sigwait(SIGNALS)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # A second one ends the process at once.
    worker.stop()
    time.sleep(LEAVE_S)
    os._exit(0)  # The server does not end the stream.


if __name__ == "__main__":
    main()
