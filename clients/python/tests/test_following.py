"""What a follower does when a server or a connection fails it."""

import threading
import unittest
from typing import Any, Dict, Iterator, List, Tuple

from spooltape import Client, Reconnecting, Resumed, SpoolError
from spooltape import _messages as pb

from callers import CALLERS, opened, seqs
from scripted_server import Answer, ScriptedServer, events, fail, frame, task


class FollowTest(unittest.TestCase):
    def test_resumes_after_an_error_where_it_stopped(self) -> None:
        def stream(request: Any, context: Any) -> Iterator[Any]:
            if request.from_seq == 1:
                yield frame(1, 2)
                fail(context, "UNAVAILABLE", "STORE_UNAVAILABLE", retry_after=0.01)
            yield frame(3, 4, final=4)

        for kind in CALLERS:
            notices: List[Any] = []
            with self.subTest(kind), ScriptedServer(StreamEvents=stream) as server:
                with opened(kind, server.address) as caller:
                    items, error = caller.collect("follow", "t", on_reconnect=notices.append)
                self.assertEqual((seqs(items), error), ([1, 2, 3, 4], None))
                self.assertEqual([request.from_seq for request in server.requests_of("StreamEvents")], [1, 3])
                self.assertEqual([type(notice) for notice in notices], [Reconnecting, Resumed])

    def test_raises_data_loss_for_a_tape_that_breaks_the_promise(self) -> None:
        def resumed(request: Any, context: Any) -> Iterator[Any]:
            if request.from_seq == 1:
                yield frame(1, 2)
                fail(context, "UNAVAILABLE", "DRAINING")
            yield frame(2, 3, final=3)

        finished = pb.StreamEventsResponse(events=events(1, 2), last_seq=2, status=pb.TASK_STATUS_SUCCEEDED)
        scripts: Dict[str, Tuple[Answer, List[int]]] = {
            "skips to event 3": (lambda *_: iter([frame(1, 1), frame(3, 3)]), [1]),
            "repeats event 2": (resumed, [1, 2]),
            "ended without final": (lambda *_: iter([frame(1, 2)]), [1, 2]),
            "without final before event 3": (lambda *_: iter([finished]), [1, 2]),
            "comes after final": (lambda *_: iter([frame(1, 2, final=2), frame(3, 3)]), [1, 2]),
            "yet the last event is 3": (lambda *_: iter([frame(1, 2, final=2, last_seq=3)]), []),
        }
        for message, (stream, expected) in scripts.items():
            for kind in CALLERS:
                with self.subTest(message, kind=kind), ScriptedServer(StreamEvents=stream) as server:
                    with opened(kind, server.address) as caller:
                        items, error = caller.collect("follow", "t")
                    self.assertEqual(seqs(items), expected)
                    assert error is not None
                    self.assertEqual(error.code, "DATA_LOSS")
                    self.assertIn(message, error.message)

    def test_ends_at_once_past_the_end_of_a_finished_tape(self) -> None:
        def stream(request: Any, _: Any) -> Iterator[Any]:
            yield pb.StreamEventsResponse(next_from_seq=9, last_seq=3, status=pb.TASK_STATUS_SUCCEEDED)

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(StreamEvents=stream) as server, opened(kind, server.address) as caller:
                self.assertEqual(caller.collect("follow", "t", 9), ([], None))

    def test_leaves_the_connection_of_a_silent_and_of_a_draining_server(self) -> None:
        over = threading.Event()

        def silent(request: Any, context: Any) -> Iterator[Any]:
            if request.from_seq == 1:
                yield frame(1, 1)
                over.wait()
            yield frame(2, 2, final=2)

        def draining(request: Any, context: Any) -> Iterator[Any]:
            if request.from_seq == 1:
                yield frame(1, 1)
                fail(context, "UNAVAILABLE", "DRAINING", retry_after=0.01)
            yield frame(2, 2, final=2)

        for stream in (silent, draining):
            for kind in CALLERS:
                with self.subTest(stream.__name__, kind=kind), ScriptedServer(StreamEvents=stream) as server:
                    with opened(kind, server.address, heartbeat=0.2) as caller:
                        self.assertEqual(seqs(caller.collect("follow", "t")[0]), [1, 2])
                    first, second = server.peers_of("StreamEvents")
                    self.assertNotEqual(first, second)
        over.set()

    def test_is_patient_with_a_slow_reader(self) -> None:
        """Silence counts only while the reader waits: a stream that begins later is given up meanwhile."""
        over = threading.Event()

        def stream(request: Any, context: Any) -> Iterator[Any]:
            yield frame(1, 1)
            if request.task_id == "silent":
                over.wait()
            yield frame(2, 2, final=2)

        with ScriptedServer(StreamEvents=stream) as server, Client(server.address, heartbeat=0.2) as client:
            tape = client.follow("slow")
            self.assertEqual(next(tape).seq, 1)
            with self.assertRaisesRegex(SpoolError, "nothing came from"):
                list(client.follow("silent", retry_for=0))
            self.assertEqual(seqs(list(tape)), [2])
            over.set()
            self.assertEqual([r.task_id for r in server.requests_of("StreamEvents")], ["slow", "silent"])

    def test_does_not_retry_what_a_retry_would_meet_too(self) -> None:
        def stream(_: Any, context: Any) -> Iterator[Any]:
            fail(context, "OUT_OF_RANGE", "SEQ_OUT_OF_RANGE", metadata={"last_seq": "3"})
            yield

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(StreamEvents=stream) as server, opened(kind, server.address) as caller:
                _, error = caller.collect("follow", "t", 9)
                assert error is not None
                self.assertEqual((error.code, error.reason), ("OUT_OF_RANGE", "SEQ_OUT_OF_RANGE"))
                self.assertEqual(error.metadata["last_seq"], "3")
                self.assertEqual(len(server.requests_of("StreamEvents")), 1)

    def test_gives_up_after_retry_for(self) -> None:
        def stream(_: Any, context: Any) -> Iterator[Any]:
            yield pb.StreamEventsResponse(status=pb.TASK_STATUS_RUNNING)  # The first frame is no progress.
            fail(context, "UNAVAILABLE", "STORE_UNAVAILABLE")

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(StreamEvents=stream) as server, opened(kind, server.address) as caller:
                _, error = caller.collect("follow", "t", retry_for=0.3)
                assert error is not None
                self.assertEqual((error.code, error.reason), ("UNAVAILABLE", "STORE_UNAVAILABLE"))
                self.assertGreater(len(server.requests_of("StreamEvents")), 1)

    def test_ends_with_an_error_when_its_client_is_closed(self) -> None:
        over = threading.Event()

        def stream(*_: Any) -> Iterator[Any]:
            yield frame(1, 1)
            over.wait()

        with ScriptedServer(StreamEvents=stream) as server, Client(server.address) as client:
            tape = client.follow("t")
            next(tape)
            threading.Timer(0.05, client.close).start()
            with self.assertRaises(SpoolError) as raised:
                next(tape)
            over.set()
        self.assertEqual((raised.exception.code, raised.exception.message), ("CANCELLED", "the client is closed"))


class RunTest(unittest.TestCase):
    def test_follows_over_another_stream_when_the_first_breaks(self) -> None:
        def run(request: Any, context: Any) -> Iterator[Any]:
            yield pb.RunTaskResponse(task=task(), status=pb.TASK_STATUS_RUNNING, next_from_seq=1)
            yield pb.RunTaskResponse(events=events(1, 2), next_from_seq=3, last_seq=2, status=pb.TASK_STATUS_RUNNING)
            fail(context, "UNAVAILABLE", "DRAINING")

        def stream(request: Any, _: Any) -> Iterator[Any]:
            yield frame(request.from_seq, 4, final=4)

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(RunTask=run, StreamEvents=stream) as server:
                with opened(kind, server.address) as caller:
                    items, error = caller.collect("run", "k", {"a": 1})
                self.assertEqual((seqs(items), error), ([1, 2, 3, 4], None))
                self.assertEqual(server.requests_of("StreamEvents")[0].from_seq, 3)


class FollowTasksTest(unittest.TestCase):
    @staticmethod
    def _frame(first: int, last: int, cursor: str) -> pb.FollowTasksResponse:
        followed = pb.FollowedTask(task_id="t", kind="k", events=events(first, last))
        return pb.FollowTasksResponse(tasks=[followed], next_cursor=cursor)

    def test_resumes_with_the_cursor_of_the_last_frame(self) -> None:
        def stream(request: Any, context: Any) -> Iterator[Any]:
            if request.cursor == "":
                yield self._frame(5, 6, "one")
                fail(context, "UNAVAILABLE", "DRAINING")
            yield self._frame(7, 8, "two")
            fail(context, "INVALID_ARGUMENT", "INVALID_ARGUMENT")

        for kind in CALLERS:
            with self.subTest(kind), ScriptedServer(FollowTasks=stream) as server, opened(kind, server.address) as caller:
                frames, error = caller.collect("follow_tasks", from_start=True)
                self.assertEqual([seqs(frame.tasks[0].events) for frame in frames], [[5, 6], [7, 8]])
                self.assertEqual(error and error.code, "INVALID_ARGUMENT")
                requests = server.requests_of("FollowTasks")
                self.assertEqual([(r.cursor, r.from_start) for r in requests], [("", True), ("one", False)])

    def test_raises_data_loss_where_a_tape_is_repeated_or_the_stream_ends(self) -> None:
        repeated = [self._frame(5, 6, "one"), self._frame(6, 7, "two")]
        for frames, expected in ((repeated, "repeats event 6"), ([self._frame(1, 1, "one")], "ended without an error")):
            for kind in CALLERS:
                with self.subTest(expected, kind=kind), ScriptedServer(FollowTasks=lambda *_: iter(frames)) as server:
                    with opened(kind, server.address) as caller:
                        items, error = caller.collect("follow_tasks")
                    self.assertEqual(len(items), 1)
                    assert error is not None
                    self.assertEqual(error.code, "DATA_LOSS")
                    self.assertIn(expected, error.message)
