"""Two kinds of task, and the process that runs them: begin here, with your own kinds. README.md says how to run it."""

import asyncio
import logging
import os
from datetime import timedelta

from spooltape import AsyncTaskContext, JsonObject, RetryPolicy, TaskContext, TaskError, Worker, kind


@kind("word-count", resumable=True)
async def word_count(task: AsyncTaskContext) -> JsonObject:
    """Counts the words of params.texts, with params.delay_ms between two texts. Resumes from the last checkpoint."""
    texts, counted = task.params.get("texts", []), task.checkpoint or {"texts": 0, "words": 0}
    if not texts:
        raise TaskError("NO_TEXTS", "texts: must have at least one", retryable=False)
    for number in range(counted["texts"] + 1, len(texts) + 1):
        words = len(texts[number - 1].split())
        counted = {"texts": number, "words": counted["words"] + words}
        await task.progress("count", number, len(texts))
        await task.partial("text", {"number": number, "words": words})
        await task.save_checkpoint(counted)
        if number < len(texts):
            await asyncio.sleep(task.params.get("delay_ms", 0) / 1_000)
    return {"words": counted["words"]}


@kind("print-page", retry_policy=RetryPolicy(initial_backoff=timedelta(milliseconds=50)))
def print_page(task: TaskContext) -> JsonObject:
    """Fails for lack of paper, at every attempt. With params.closed, no other attempt is made."""
    task.log("info", f"attempt {task.attempt} begins")
    task.log("WARN", f"attempt {task.attempt}: the tray is empty")
    raise TaskError("NO_PAPER", "there is no paper", retryable=not task.params.get("closed", False))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    Worker([word_count, print_page], drain=float(os.environ.get("WORKER_DRAIN_S", "10"))).run()
