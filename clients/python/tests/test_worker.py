"""A worker against a real server, at SPOOL_ADDRESS. examples/worker-python is tested with cuts and signals besides."""

import asyncio
import os
import threading
import unittest
from typing import Any, Callable, Dict, List, Optional

from spooltape import (
    AsyncTaskContext,
    Client,
    Event,
    JsonObject,
    SpoolError,
    TaskContext,
    TaskError,
    TaskStopped,
    Worker,
    kind,
)

import grpc_noise  # noqa: F401

ADDRESS = os.environ["SPOOL_ADDRESS"]
seen: Dict[str, Any] = {}


@kind("test-sync")
def in_thread(task: TaskContext) -> JsonObject:
    task.log("info", "one")
    task.partial("two", {"n": 2})
    task.progress("three", 3, 4, {"d": [1]})
    task.flush()
    name = threading.current_thread().name
    return {"params": task.params, "labels": dict(task.labels), "attempt": task.attempt, "thread": name}


@kind("test-async")
async def on_loop(task: AsyncTaskContext) -> None:
    await task.log("WARN", "one")
    await task.partial("two", {})
    await task.progress("three")
    await task.flush()


@kind("test-returns")
def returns(task: TaskContext) -> Any:
    return {"set": {1, 2}}


@kind("test-raises", max_attempts=2)
async def raises(task: AsyncTaskContext) -> JsonObject:
    if task.params.get("final"):
        raise TaskError("FOR_GOOD", "no use", details={"n": 1}, retryable=False)
    if task.attempt == 1:
        await task.save_checkpoint({"from": 1})
        raise KeyError("gone")
    return {"checkpoint": task.checkpoint}


@kind("test-waits")
def waits(task: TaskContext) -> JsonObject:
    task.log("info", "waiting")
    try:
        task.sleep(600)
    except TaskStopped:
        seen[task.task_id] = (task.stop_reason, task.cancelled)
        task.log("info", "stopped")  # In the grace, the code may still emit.
        if task.params.get("returns"):
            return {"late": True}
        raise
    return {}


@kind("test-waits-async", resumable=True)
async def waits_async(task: AsyncTaskContext) -> JsonObject:
    if task.checkpoint is not None:
        return {"resumed": task.checkpoint["n"], "attempt": task.attempt}
    await task.log("info", "waiting")
    try:
        await asyncio.sleep(600)
    except asyncio.CancelledError:
        seen[task.task_id] = (task.stop_reason, task.cancelled)
        await task.save_checkpoint({"n": 7})
        raise
    return {}


def key_of(params: JsonObject) -> Optional[str]:
    if "key" not in params:
        raise TaskError("NO_KEY", "key: must be given")
    return params["key"]  # type: ignore[no-any-return]


@kind("test-exclusive", exclusive=key_of)
def exclusive(task: TaskContext) -> JsonObject:
    with seen["lock"]:
        seen["now"] = seen.get("now", 0) + 1
        seen["most"] = max(seen.get("most", 0), seen["now"])
    task.log("info", "running")
    task.flush()  # Takes a commit: two that run at once would meet.
    with seen["lock"]:
        seen["now"] -= 1
    return {}


KINDS = [in_thread, on_loop, returns, raises, waits, waits_async, exclusive]


class RunningWorker:
    def __init__(self, **options: Any) -> None:
        self.worker = Worker(KINDS, address=ADDRESS, **options)
        self.thread = threading.Thread(target=self.worker.run, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.worker.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()


class WorkerTest(unittest.TestCase):
    client: Client
    running: RunningWorker

    @classmethod
    def setUpClass(cls) -> None:
        seen["lock"] = threading.Lock()
        cls.client = Client(ADDRESS)
        cls.running = RunningWorker(drain=0)

    @classmethod
    def tearDownClass(cls) -> None:
        cls.running.stop()
        cls.client.close()

    def run_task(self, name: str, params: Optional[JsonObject] = None, **options: Any) -> List[Event]:
        with self.client.run(name, params, **options) as run:
            return list(run)

    def test_code_in_a_thread_and_on_the_loop_emits_in_order(self) -> None:
        events = self.run_task("test-sync", {"a": [1, None]}, labels={"b": "c"})
        self.assertEqual([event.type for event in events], ["started", "log", "partial", "progress", "final"])
        final: Any = events[-1]
        self.assertEqual(final.result["params"], {"a": [1, None]})
        self.assertEqual((final.result["labels"], final.result["attempt"]), ({"b": "c"}, 1))
        self.assertIn("test-sync", final.result["thread"])
        events = self.run_task("test-async")
        self.assertEqual([event.type for event in events], ["started", "log", "partial", "progress", "final"])
        final = events[-1]
        self.assertEqual(final.result, {})

    def test_a_result_that_is_not_json_fails_the_task(self) -> None:
        final: Any = self.run_task("test-returns")[-1]
        self.assertEqual((final.status, final.error.reason), ("failed", "KIND_FAILED"))
        self.assertEqual(final.error.message, "result.set: must be JSON, not set (INVALID_ARGUMENT)")

    def test_a_failed_attempt_is_retried_with_its_checkpoint_unless_it_is_final(self) -> None:
        events = self.run_task("test-raises")
        self.assertEqual([event.type for event in events], ["started", "partial", "retrying", "started", "final"])
        retrying: Any = events[2]
        self.assertEqual((retrying.error.reason, retrying.error.message), ("KIND_FAILED", "'gone'"))
        final: Any = events[-1]
        self.assertEqual(final.result, {"checkpoint": {"from": 1}})
        final = self.run_task("test-raises", {"final": True})[-1]
        self.assertEqual((final.error.reason, final.error.details), ("FOR_GOOD", {"n": 1}))

    def stop_when_waiting(self, name: str, stop: Callable[[str], object], params: JsonObject, **options: Any) -> Any:
        with self.client.run(name, params, **options) as run:
            for event in run:
                if event.type == "log" and event.message == "waiting":
                    stop(run.task.task_id)
                if event.type == "final":
                    return event, seen.get(run.task.task_id)

    def test_a_cancel_reaches_the_code_and_a_late_result_counts(self) -> None:
        for name in ("test-waits", "test-waits-async"):
            final, reason = self.stop_when_waiting(name, self.client.cancel, {})
            self.assertEqual((final.status, reason), ("cancelled", ("cancel", True)))
        final, _ = self.stop_when_waiting("test-waits", self.client.cancel, {"returns": True})
        self.assertEqual((final.status, final.result), ("succeeded", {"late": True}))

    def test_a_timeout_reaches_the_code(self) -> None:
        final, reason = self.stop_when_waiting("test-waits", lambda _: None, {}, timeout=0.3)
        self.assertEqual((final.error.reason, reason), ("DEADLINE_EXCEEDED", ("deadline", True)))

    def test_tasks_with_the_same_exclusive_key_run_one_at_a_time(self) -> None:
        ids = [self.client.start("test-exclusive", {"key": "one"}).task.task_id for _ in range(5)]
        self.assertEqual({self.client.wait(task_id, 30).status for task_id in ids}, {"succeeded"})
        self.assertEqual(seen["most"], 1)
        final: Any = self.run_task("test-exclusive")[-1]
        self.assertEqual((final.status, final.error.reason), ("failed", "NO_KEY"))

    def test_a_stopping_worker_hands_over_with_a_last_checkpoint(self) -> None:
        def replace(_: str) -> None:
            former, type(self).running = self.running, RunningWorker(drain=0)
            former.stop()

        final, reason = self.stop_when_waiting("test-waits-async", replace, {})
        self.assertEqual((final.result, reason), ({"resumed": 7, "attempt": 2}, ("shutdown", True)))


class StandaloneTest(unittest.TestCase):
    def test_a_worker_on_its_callers_loop_is_stopped_from_there(self) -> None:
        async def check() -> None:
            worker = Worker([on_loop], address=ADDRESS)
            serving = asyncio.ensure_future(worker.serve())
            loop = asyncio.get_running_loop()
            with Client(ADDRESS) as client:
                start = client.start("test-async")
                final = await loop.run_in_executor(None, client.wait, start.task.task_id, 30)
            self.assertEqual(final.status, "succeeded")
            worker.stop()
            await serving

        asyncio.run(check())

    def test_after_the_worker_code_in_a_thread_learns_that_it_lost_its_task(self) -> None:
        emitted = threading.Event()
        errors: List[str] = []

        @kind("test-ignores")
        def ignores(task: TaskContext) -> None:
            task.log("info", "waiting")
            emitted.set()
            over.wait()
            try:
                task.log("info", "late")
            except SpoolError as error:
                errors.append(error.reason or "")
            ended.set()

        over, ended = threading.Event(), threading.Event()
        worker = Worker([ignores], address=ADDRESS, drain=0, grace=0)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        with Client(ADDRESS) as client:
            task_id = client.start("test-ignores").task.task_id
            self.assertTrue(emitted.wait(30))
            worker.stop()
            thread.join(30)
            self.assertFalse(thread.is_alive())
            final = client.wait(task_id, 30)
        assert final.error is not None
        self.assertEqual((final.status, final.error.reason), ("failed", "SERVER_SHUTDOWN"))
        over.set()
        self.assertTrue(ended.wait(30))
        self.assertEqual(errors, ["LEASE_LOST"])
