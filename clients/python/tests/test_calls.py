"""How calls are retried, and the errors that they raise."""

import math
import socket
import unittest
from typing import Any, Tuple

from spooltape import SpoolError, Violation, WaitTimeout
from spooltape import _messages as pb

from callers import CALLERS, opened
from scripted_server import ScriptedServer, events, fail, task

PENDING = pb.TASK_STATUS_PENDING
SUCCEEDED = pb.TASK_STATUS_SUCCEEDED


class CallTest(unittest.TestCase):
    def test_a_retried_start_is_the_same_request(self) -> None:
        def start(_: Any, context: Any) -> Any:
            if len(server.calls) < 3:
                fail(context, "UNAVAILABLE", "STORE_UNAVAILABLE", retry_after=0.01)
            return pb.StartTaskResponse(task=task())

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(StartTask=start) as server, opened(kind, server.address) as caller:
                self.assertEqual(caller.call("start", "k", {"n": 1}).task.task_id, "t")
                first, *others = [request.SerializeToString() for request in server.requests_of("StartTask")]
                self.assertEqual(others, [first, first])
                self.assertEqual(len(server.requests_of("StartTask")[0].request_id), 36)

    def test_an_error_has_its_details_and_is_not_retried(self) -> None:
        def get(_: Any, context: Any) -> Any:
            fail(
                context,
                "INVALID_ARGUMENT",
                "INVALID_ARGUMENT",
                metadata={"task_id": "t"},
                violations=[("task_id", "must be a UUID")],
            )

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(GetTask=get) as server, opened(kind, server.address) as caller:
                with self.assertRaises(SpoolError) as raised:
                    caller.call("get", "t")
                error = raised.exception
                self.assertEqual((error.code, error.reason), ("INVALID_ARGUMENT", "INVALID_ARGUMENT"))
                self.assertEqual(error.violations, (Violation("task_id", "must be a UUID"),))
                self.assertEqual((error.metadata, error.retry_after), ({"task_id": "t"}, None))
                self.assertEqual(len(server.calls), 1)

    def test_a_task_says_who_started_and_who_cancelled_it(self) -> None:
        message = task()
        message.started_by, message.cancelled_by = "ingest", "ops@example.org"
        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(
                GetTask=lambda *_: pb.GetTaskResponse(task=message)
            ) as server, opened(kind, server.address) as caller:
                found = caller.call("get", "t")
                self.assertEqual((found.started_by, found.cancelled_by), ("ingest", "ops@example.org"))

    def test_a_token_for_one_task_is_asked_for_as_the_caller_says(self) -> None:
        def make(_: Any, __: Any) -> Any:
            answer = pb.CreateTaskTokenResponse(token="spool_task_x")
            answer.expires_at.seconds = 60
            return answer

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(CreateTaskToken=make) as server, opened(
                kind, server.address
            ) as caller:
                made = caller.call("create_task_token", "t")
                self.assertEqual((made.token, made.expires_at.timestamp()), ("spool_task_x", 60))
                self.assertNotIn("spool_task_x", repr(made))
                caller.call("create_task_token", "t", scopes=["tasks:cancel"], ttl=90)
                with self.assertRaises(SpoolError) as raised:
                    caller.call("create_task_token", "t", scopes=["admin"])
                self.assertEqual(raised.exception.code, "INVALID_ARGUMENT")
                first, second = server.requests_of("CreateTaskToken")
                self.assertEqual((list(first.scopes), first.HasField("ttl")), ([pb.SCOPE_TASKS_READ], False))
                self.assertEqual((list(second.scopes), second.ttl.seconds), ([pb.SCOPE_TASKS_CANCEL], 90))

    def test_an_overloaded_server_is_asked_again_after_its_hint(self) -> None:
        def get(_: Any, context: Any) -> Any:
            if len(server.calls) == 1:
                fail(context, "RESOURCE_EXHAUSTED", "OVERLOADED", retry_after=0.02)
            return pb.GetTaskResponse(task=task())

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(GetTask=get) as server, opened(kind, server.address) as caller:
                self.assertEqual(caller.call("get", "t").task_id, "t")

    def test_a_server_that_is_not_there_is_unavailable(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
            for kind in CALLERS:
                with self.subTest(kind), opened(kind, address, retry_for=0) as caller:
                    with self.assertRaises(SpoolError) as raised:
                        caller.call("get", "t")
                    self.assertEqual(raised.exception.code, "UNAVAILABLE")
                    self.assertEqual(raised.exception.message, f"nothing listens at {address}")
                    self.assertIsNone(raised.exception.reason)

    def test_a_request_that_cannot_be_sent_is_rejected_before_it_is_sent(self) -> None:
        calls: Tuple[Tuple[Tuple[Any, ...], str], ...] = (
            (("start", "k", {"n": math.nan}), "params.n"),
            (("start", "k", {"n": 2**53}), "params.n"),
            (("start", "k", {"list": [{}, {"bad": object()}]}), "params.list[1].bad"),
            (("start", "k\ud800"), "kind"),
            (("get", "\ud800"), "task_id"),
        )
        for kind in CALLERS:
            with ScriptedServer() as server, opened(kind, server.address) as caller:
                for args, field in calls:
                    with self.subTest(field, kind=kind), self.assertRaises(SpoolError) as raised:
                        caller.call(*args)
                    self.assertEqual(raised.exception.violations[0].field, field)

    def test_a_list_that_repeats_its_page_ends_with_data_loss(self) -> None:
        def page(request: Any, _: Any) -> Any:
            return pb.ListTasksResponse(tasks=[task()], next_page_token="again")

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(ListTasks=page) as server, opened(kind, server.address) as caller:
                items, error = caller.collect("list")
                self.assertEqual((len(items), error and error.code), (2, "DATA_LOSS"))

    def test_an_answer_without_the_task_is_data_loss(self) -> None:
        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(GetTask=lambda *_: pb.GetTaskResponse()) as server:
                with opened(kind, server.address) as caller, self.assertRaises(SpoolError) as raised:
                    caller.call("get", "t")
                self.assertEqual(raised.exception.code, "DATA_LOSS")


class WaitTest(unittest.TestCase):
    def test_only_final_ends_a_wait(self) -> None:
        """A terminal status without final is a page that was cut short."""

        def page(request: Any, context: Any) -> Any:
            if len(server.calls) == 1:
                return pb.GetEventsResponse(events=events(1, 2), next_from_seq=3, last_seq=4, status=SUCCEEDED)
            if len(server.calls) == 2:
                fail(context, "UNAVAILABLE", "DRAINING")
            if len(server.calls) == 3:
                return pb.GetEventsResponse(next_from_seq=3, last_seq=4, status=SUCCEEDED)
            return pb.GetEventsResponse(events=events(3, 4, final=4), next_from_seq=5, last_seq=4, status=SUCCEEDED)

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(GetEvents=page) as server, opened(kind, server.address) as caller:
                self.assertEqual(caller.call("wait", "t", 30).seq, 4)
                self.assertEqual([request.from_seq for request in server.requests_of("GetEvents")], [1, 3, 3, 3])

    def test_a_timeout_says_what_was_seen_last(self) -> None:
        def page(request: Any, _: Any) -> Any:
            new = events(request.from_seq, 2)
            return pb.GetEventsResponse(events=new, next_from_seq=3, last_seq=2, status=PENDING)

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(GetEvents=page) as server, opened(kind, server.address) as caller:
                with self.assertRaisesRegex(WaitTimeout, r"last event is 2 progress \(p 2/0\) of 2; the status is pending"):
                    caller.call("wait", "t", 0.3)

    def test_an_error_ends_a_wait_at_once(self) -> None:
        def page(_: Any, context: Any) -> Any:
            fail(context, "NOT_FOUND", "TASK_NOT_FOUND")

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(GetEvents=page) as server, opened(kind, server.address) as caller:
                with self.assertRaises(SpoolError) as raised:
                    caller.call("wait", "t", 30)
                self.assertEqual(raised.exception.reason, "TASK_NOT_FOUND")
                self.assertEqual(len(server.calls), 1)
