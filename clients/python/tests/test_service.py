"""The calls against a real server: at SPOOL_ADDRESS, and one with TLS and a token at SPOOL_GUARDED_ADDRESS."""

import asyncio
import os
import unittest
import uuid
from datetime import datetime, timedelta, timezone
from typing import List

import grpc

from spooltape import (
    AsyncClient,
    Client,
    DeletedTask,
    FinalEvent,
    ProgressEvent,
    RetryPolicy,
    SpoolError,
    StartedEvent,
    TasksFrame,
)

from callers import CALLERS, opened, seqs

ADDRESS = os.environ["SPOOL_ADDRESS"]


class ServiceTest(unittest.TestCase):
    def test_a_task_is_started_followed_and_its_result_read(self) -> None:
        for kind in CALLERS:
            with self.subTest(kind), opened(kind, ADDRESS) as caller:
                started = caller.call("start", "echo", {"count": 3}, labels={"of": "tests"}, timeout=60)
                task_id = started.task.task_id
                events, error = caller.collect("follow", task_id)
                self.assertIsNone(error)
                self.assertEqual(seqs(events), list(range(1, len(events) + 1)))
                self.assertIsInstance(events[0], StartedEvent)
                self.assertEqual([event.current for event in events if isinstance(event, ProgressEvent)], [1, 2, 3])
                final = events[-1]
                assert isinstance(final, FinalEvent)
                self.assertEqual((final.status, final.result), ("succeeded", {"echoed": 3}))
                self.assertEqual(final.time.utcoffset(), timedelta(0))
                self.assertEqual(caller.collect("follow", task_id, 3), (events[2:], None))
                self.assertEqual(caller.collect("follow", task_id, len(events) + 1), ([], None))
                self.assertEqual(caller.call("wait", task_id, 10), final)
                result = caller.call("result", task_id, wait=10)
                self.assertEqual((result.status, result.result, result.error), ("succeeded", {"echoed": 3}, None))
                page = caller.call("events", task_id, 2, limit=2)
                self.assertEqual((page.events, page.next_from_seq, page.has_more), (tuple(events[1:3]), 4, True))
                task = caller.call("get", task_id)
                self.assertEqual((task.params, task.labels, task.is_finished), ({"count": 3}, {"of": "tests"}, True))
                self.assertEqual(task.timeout, timedelta(minutes=1))
                self.assertLess(datetime.now(timezone.utc) - task.created_at, timedelta(minutes=5))

    def test_every_setting_of_a_start_reaches_the_task(self) -> None:
        policy = RetryPolicy(timedelta(seconds=2), timedelta(seconds=9), 3, 0)
        run_at = datetime(2027, 1, 2, 3, 4, 5, 678_000, tzinfo=timezone(timedelta(hours=1)))
        later = run_at + timedelta(days=1)
        request_id = str(uuid.uuid4())
        for kind in CALLERS:
            with self.subTest(kind), opened(kind, ADDRESS) as caller:
                started = caller.call(
                    "start",
                    "echo",
                    request_id=request_id,
                    max_attempts=4,
                    retry_policy=policy,
                    run_at=run_at,
                    deadline_at=later,
                    retention=7200,
                )
                task = started.task
                self.assertEqual(started.already_started, kind is not CALLERS[0])
                self.assertEqual((task.retry_policy, task.max_attempts), (policy, 4))
                self.assertEqual((task.run_at, task.deadline_at, task.request_id), (run_at, later, request_id))
                self.assertEqual(task.retention, timedelta(hours=2))
                self.assertEqual((task.status, task.started_at, task.timeout), ("pending", None, None))
        with Client(ADDRESS) as client:
            self.assertEqual(client.cancel(task.task_id).outcome, "cancelled")
            self.assertEqual(client.cancel(task.task_id).outcome, "already_terminal")

    def test_a_deleted_task_is_gone(self) -> None:
        for kind in CALLERS:
            with self.subTest(kind), opened(kind, ADDRESS) as caller:
                task_id = caller.call("start", "echo", {"count": 1, "delay_ms": 500}).task.task_id
                with self.assertRaises(SpoolError) as raised:
                    caller.call("delete", task_id)
                self.assertEqual(raised.exception.reason, "TASK_NOT_TERMINAL")
                caller.call("wait", task_id, 20)
                self.assertEqual(caller.call("delete", task_id), DeletedTask(False))
                self.assertEqual(caller.call("delete", task_id), DeletedTask(True))
                with self.assertRaises(SpoolError) as raised:
                    caller.call("get", task_id)
                self.assertEqual((raised.exception.code, raised.exception.reason), ("NOT_FOUND", "TASK_EXPIRED"))

    def test_run_starts_and_follows(self) -> None:
        for kind in CALLERS:
            with self.subTest(kind), opened(kind, ADDRESS) as caller:
                events, error = caller.collect("run", "echo", {"count": 2})
                self.assertEqual((seqs(events), error), ([1, 2, 3, 4, 5], None))
                _, error = caller.collect("run", "echo", {"count": -1})
                assert error is not None
                self.assertIn("count", error.violations[0].field)

    def test_a_closed_run_leaves_the_task_alone(self) -> None:
        with Client(ADDRESS) as client:
            with client.run("echo", {"count": 3, "delay_ms": 50}) as run:
                self.assertFalse(run.already_started)
            self.assertEqual(client.wait(run.task.task_id, 20).status, "succeeded")

    def test_errors_have_their_reasons(self) -> None:
        unknown = str(uuid.uuid4())
        for kind in CALLERS:
            with self.subTest(kind), opened(kind, ADDRESS) as caller:
                slow = caller.call("start", "echo", {"count": 1, "delay_ms": 10_000}).task.task_id
                for call, reason in (
                    (("get", unknown), "TASK_NOT_FOUND"),
                    (("get", "nonsense"), "INVALID_ARGUMENT"),
                    (("result", slow), "TASK_NOT_TERMINAL"),
                ):
                    with self.assertRaises(SpoolError) as raised:
                        caller.call(*call)
                    self.assertEqual(raised.exception.reason, reason)
                _, error = caller.collect("follow", slow, 1_000)
                self.assertEqual(error and (error.code, error.reason), ("OUT_OF_RANGE", "SEQ_OUT_OF_RANGE"))
                caller.call("cancel", slow)

    def test_a_list_has_the_tasks_that_match_over_all_pages(self) -> None:
        label = {"list": str(uuid.uuid4())}
        with Client(ADDRESS) as client:
            ids = [client.start("echo", {"count": 1}, labels=label).task.task_id for _ in range(5)]
            for task_id in ids:
                client.wait(task_id, 20)
        for kind in CALLERS:
            with self.subTest(kind), opened(kind, ADDRESS) as caller:
                tasks, _ = caller.collect("list", labels=label, page_size=2, statuses=["succeeded"])
                self.assertEqual([task.task_id for task in tasks], ids[::-1])
                self.assertIsNone(tasks[0].params)
                self.assertEqual(caller.collect("list", labels=label, statuses=["failed"]), ([], None))
                self.assertEqual(len(caller.collect("list", task_id_prefix=ids[0])[0]), 1)

    def test_many_tapes_are_followed_over_one_stream_and_resumed_by_cursor(self) -> None:
        label = {"many": str(uuid.uuid4())}

        def is_over(frame: TasksFrame) -> bool:
            return any(isinstance(event, FinalEvent) for task in frame.tasks for event in task.events)

        def seqs_of(frames: List[TasksFrame]) -> List[int]:
            return [event.seq for frame in frames for task in frame.tasks for event in task.events]

        for kind in CALLERS:
            with self.subTest(kind), opened(kind, ADDRESS) as caller:
                caller.call("start", "echo", {"count": 2}, labels=label)
                frames, _ = caller.collect("follow_tasks", labels=label, from_start=True, until=is_over)
                self.assertEqual(seqs_of(frames)[-5:], [1, 2, 3, 4, 5])
                caller.call("start", "echo", {"count": 1}, labels=label)
                more, _ = caller.collect("follow_tasks", labels=label, cursor=frames[-1].cursor, until=is_over)
                self.assertEqual(seqs_of(more), [1, 2, 3, 4])
                states, _ = caller.collect(
                    "follow_tasks", labels=label, view="tasks", from_start=True, until=lambda frame: bool(frame.tasks)
                )
                self.assertEqual(states[-1].tasks[0].task.status, "succeeded")

    def test_sessions_lists_the_server(self) -> None:
        for kind in CALLERS:
            with self.subTest(kind), opened(kind, ADDRESS) as caller:
                self.assertIn("echo", next(s for s in caller.call("sessions") if not s.is_worker).kinds)

    def test_a_cancelled_reader_ends_its_stream_alone(self) -> None:
        async def check() -> None:
            async with AsyncClient(ADDRESS) as client:
                started = await client.start("echo", {"count": 100, "delay_ms": 10_000})
                task_id = started.task.task_id

                async def read() -> None:
                    async for _ in client.follow(task_id):
                        reading.set()

                reading = asyncio.Event()
                reader = asyncio.ensure_future(read())
                await reading.wait()
                reader.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await reader
                self.assertEqual((await client.cancel(task_id, reason="enough")).outcome, "requested")
                final = await client.wait(task_id, 20)
                assert final.error is not None
                self.assertEqual((final.status, final.error.message), ("cancelled", "enough"))

        asyncio.run(check())


class GuardedServiceTest(unittest.TestCase):
    def setUp(self) -> None:
        self.address = os.environ["SPOOL_GUARDED_ADDRESS"]
        with open(os.environ["SPOOL_GUARDED_CERT"], "rb") as file:
            self.credentials = grpc.ssl_channel_credentials(file.read())

    def test_tls_and_a_token_are_used(self) -> None:
        token = os.environ["SPOOL_GUARDED_TOKEN"]
        for kind in CALLERS:
            with self.subTest(kind):
                with opened(kind, self.address, token=token, credentials=self.credentials) as caller:
                    self.assertEqual(len(caller.collect("run", "echo", {"count": 1})[0]), 4)

    def test_a_missing_or_wrong_token_is_refused(self) -> None:
        for kind in CALLERS:
            for token, problem in ((None, "missing"), ("other", "wrong")):
                with self.subTest(kind, problem=problem):
                    with opened(kind, self.address, token=token, credentials=self.credentials) as caller:
                        with self.assertRaises(SpoolError) as raised:
                            caller.call("sessions")
                    self.assertEqual(raised.exception.code, "UNAUTHENTICATED")
                    self.assertEqual(raised.exception.metadata["token"], problem)

    def test_an_unknown_certificate_is_refused_and_the_error_says_so(self) -> None:
        with Client(self.address, retry_for=0) as client, self.assertRaises(SpoolError) as raised:
            client.sessions()
        self.assertEqual(raised.exception.code, "UNAVAILABLE")
        self.assertRegex(raised.exception.message, "certificate|handshake|Ssl|SSL")
