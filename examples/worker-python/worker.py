"""Two kinds of task, and the process that runs them: begin here, with kinds of your own. README.md tells how to run it."""

import asyncio
import logging
import os
import signal

from google.protobuf.duration_pb2 import Duration
from spool.v1.task_pb2 import RetryPolicy
from spool.v1.worker_service_pb2 import KindOffer
from spool_worker import TaskFailed, Worker


async def word_count(task):
    """Counts the words of params.texts, with params.delay_ms between two. Goes on where an earlier attempt was."""
    texts, counted = task.params.get("texts", []), task.checkpoint or {"texts": 0, "words": 0}
    if not texts:
        raise TaskFailed("NO_TEXTS", "texts: must have at least one", retryable=False)
    first = int(counted["texts"]) + 1
    for number in range(first, len(texts) + 1):
        if number > first:
            await asyncio.sleep(task.params.get("delay_ms", 0) / 1_000)
        words = len(texts[number - 1].split())
        counted = {"texts": number, "words": counted["words"] + words}
        await task.progress("count", number, len(texts))
        await task.partial("text", number=number, words=words)
        await task.partial("checkpoint", **counted)
    return {"words": counted["words"]}


async def print_page(task):
    """Fails for lack of paper, at every attempt. With params.closed nobody will bring any, and there is no other."""
    await task.log("info", f"attempt {task.attempt} begins")
    await task.log("WARN", f"attempt {task.attempt}: the tray is empty")
    raise TaskFailed("NO_PAPER", "there is no paper", retryable=not task.params.get("closed", False))


KINDS = {"word-count": word_count, "print-page": print_page}
OFFERS = [
    KindOffer(name="word-count", resumable=True),
    KindOffer(name="print-page", retry_policy=RetryPolicy(initial_backoff=Duration(nanos=50_000_000))),
]


async def main():
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    environment = os.environ.get
    worker = Worker(environment("SPOOL_ADDRESS", "127.0.0.1:50051"), KINDS, OFFERS)
    worker.drain_s = float(environment("WORKER_DRAIN_S", "10"))
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, worker.stop)
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main())
