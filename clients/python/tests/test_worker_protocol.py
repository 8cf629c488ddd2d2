"""What a worker says on its stream, to a server that answers as a test scripts it."""

import threading
import unittest
from contextlib import contextmanager
from typing import Any, Callable, Iterator, List

from spooltape import Connected, Disconnected, Kind, SpoolError, TaskContext, Worker, WorkerNotice, kind
from spooltape import _messages as pb

import grpc_noise  # noqa: F401
from scripted_server import ScriptedServer, fail

HEARTBEAT = pb.Duration(nanos=200_000_000)


def welcome(token: str = "token", *, resumed: bool = False, appended: int = -1) -> pb.WorkResponse:
    held = [] if appended < 0 else [pb.HeldTask(task_id="t", attempt=1, appended=appended)]
    return pb.WorkResponse(
        welcome=pb.Welcome(
            session_id="s",
            resume_token=token,
            resumed=resumed,
            held=held,
            heartbeat_interval=HEARTBEAT,
            window_events=100,
            window_bytes=1_000_000,
        )
    )


def assign(name: str = "k") -> pb.WorkResponse:
    return pb.WorkResponse(assign=pb.Assign(task_id="t", kind=name, attempt=1))


def appended(through: int) -> pb.WorkResponse:
    return pb.WorkResponse(appended=pb.Appended(task_id="t", attempt=1, through=through))


FINISHED = pb.WorkResponse(finished=pb.Finished(task_id="t", attempt=1))
LEASE_LOST = pb.WorkResponse(lease_lost=pb.LeaseLost(task_id="t", attempt=1))
HEARTBEATS = pb.WorkResponse(heartbeat=pb.Heartbeat())


def drained(requests: Iterator[pb.WorkRequest]) -> Iterator[pb.WorkResponse]:
    """Answers a drain, and reads on until the worker leaves."""
    for request in requests:
        if request.WhichOneof("message") == "drain":
            yield pb.WorkResponse(drained=pb.Drained())
        elif request.WhichOneof("message") == "leave":
            return


def finish_of(requests: Iterator[pb.WorkRequest], events: List[int]) -> pb.Finish:
    """Reads until the finish, and collects the numbers of the events before."""
    for request in requests:
        first = request.append.first_number
        events.extend(range(first, first + len(request.append.events)))
        if request.WhichOneof("message") == "finish":
            return request.finish
    raise AssertionError("the worker did not finish")


@contextmanager
def working(server: ScriptedServer, *kinds: Kind, **options: Any) -> Iterator[List[WorkerNotice]]:
    """Runs a worker in a thread. It must stop by itself when it is asked to."""
    notices: List[WorkerNotice] = []
    worker = Worker(kinds, address=server.address, on_notice=notices.append, **options)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        yield notices
    finally:
        worker.stop()
        thread.join(30)
    assert not thread.is_alive(), "the worker did not stop"


class WorkerProtocolTest(unittest.TestCase):
    def test_a_silent_server_is_left_and_what_is_not_stored_is_sent_again(self) -> None:
        streams: List[pb.Hello] = []
        numbers: List[List[int]] = []
        done, over = threading.Event(), threading.Event()

        @kind("k")
        def emit(task: TaskContext) -> None:
            for number in range(1, 4):
                task.progress("p", number)
            resumed.wait()
            task.progress("p", 4)

        resumed = threading.Event()

        def work(requests: Iterator[pb.WorkRequest], context: Any) -> Iterator[pb.WorkResponse]:
            streams.append(next(requests).hello)
            seen: List[int] = []
            numbers.append(seen)
            if len(streams) == 1:
                yield welcome()
                yield assign()
                while len(seen) < 3:
                    append = next(requests).append
                    seen.extend(range(append.first_number, append.first_number + len(append.events)))
                yield appended(1)
                over.wait()  # Silent: no heartbeat.
                return
            yield welcome(resumed=True, appended=2)
            resumed.set()
            finish = finish_of(requests, seen)
            seen.append(-finish.number)
            yield FINISHED
            done.set()
            yield from drained(requests)

        with ScriptedServer(Work=work) as server:
            with working(server, emit) as notices:
                self.assertTrue(done.wait(30))
            over.set()
        self.assertEqual(numbers, [[1, 2, 3], [3, 4, -5]])
        first, second = streams
        self.assertEqual((first.resume_token, len(first.running)), ("", 0))
        self.assertEqual(second.resume_token, "token")
        self.assertEqual([(held.task_id, held.attempt) for held in second.running], [("t", 1)])
        self.assertEqual([type(notice) for notice in notices], [Connected, Disconnected, Connected])

    def test_a_worker_whose_session_is_gone_loses_its_tasks(self) -> None:
        streams: List[pb.Hello] = []
        reasons: List[Any] = []
        done = threading.Event()

        @kind("k")
        def emit(task: TaskContext) -> None:
            task.progress("p", 1)
            task.stopped.wait()
            try:
                task.progress("p", 2)
            except SpoolError as error:
                reasons.extend([task.stop_reason, error.reason])
            done.set()

        def work(requests: Iterator[pb.WorkRequest], context: Any) -> Iterator[pb.WorkResponse]:
            streams.append(next(requests).hello)
            yield welcome(token=f"token {len(streams)}")
            if len(streams) == 1:
                yield assign()
                next(requests)
                fail(context, "ABORTED", "SESSION_LOST")
            yield from drained(requests)

        with ScriptedServer(Work=work) as server, working(server, emit):
            self.assertTrue(done.wait(30))
        self.assertEqual(reasons, ["lost", "LEASE_LOST"])
        self.assertEqual(streams[1].resume_token, "token 1")

    def test_a_refused_event_fails_the_attempt(self) -> None:
        finishes: List[pb.Finish] = []
        done = threading.Event()

        @kind("k")
        def emit(task: TaskContext) -> None:
            task.progress("p", 1)
            task.progress("p", 2)
            task.stopped.wait()

        def work(requests: Iterator[pb.WorkRequest], context: Any) -> Iterator[pb.WorkResponse]:
            next(requests)
            yield welcome()
            yield assign()
            next(requests)
            refused = pb.Refused(task_id="t", attempt=1, reason="INVALID_ARGUMENT", message="log: wrong", appended=1)
            yield pb.WorkResponse(refused=refused)
            finishes.append(finish_of(requests, []))
            yield FINISHED
            done.set()
            yield from drained(requests)

        with ScriptedServer(Work=work) as server, working(server, emit):
            self.assertTrue(done.wait(30))
        error = finishes[0].error
        self.assertEqual(finishes[0].number, 2)
        self.assertEqual((error.reason, error.message), ("KIND_FAILED", "the server refused it: log: wrong"))

    def test_a_task_of_a_kind_that_the_worker_does_not_have_is_released(self) -> None:
        finishes: List[pb.Finish] = []
        done = threading.Event()

        @kind("k")
        def emit(task: TaskContext) -> None:
            pass

        def work(requests: Iterator[pb.WorkRequest], context: Any) -> Iterator[pb.WorkResponse]:
            next(requests)
            yield welcome()
            yield assign("other")
            finishes.append(finish_of(requests, []))
            yield LEASE_LOST
            done.set()
            yield from drained(requests)

        with ScriptedServer(Work=work) as server, working(server, emit):
            self.assertTrue(done.wait(30))
        self.assertEqual(finishes[0].WhichOneof("outcome"), "released")

    def test_the_hello_offers_the_kinds_with_their_settings(self) -> None:
        hellos: List[pb.Hello] = []
        heard = threading.Event()

        @kind("k", resumable=True, max_attempts=3, exclusive=lambda params: None)
        def one(task: TaskContext) -> None:
            pass

        def work(requests: Iterator[pb.WorkRequest], context: Any) -> Iterator[pb.WorkResponse]:
            hellos.append(next(requests).hello)
            heard.set()
            yield welcome()
            yield from drained(requests)

        with ScriptedServer(Work=work) as server, working(server, one, concurrency=7):
            self.assertTrue(heard.wait(30))
        offer = hellos[0].kinds[0]
        self.assertEqual((offer.name, offer.max_attempts, offer.resumable, offer.checks), ("k", 3, True, True))
        self.assertEqual((hellos[0].capacity, hellos[0].draining), (7, False))

    def test_an_error_that_a_retry_would_meet_too_ends_the_worker(self) -> None:
        @kind("k")
        def one(task: TaskContext) -> None:
            pass

        def work(requests: Iterator[pb.WorkRequest], context: Any) -> Iterator[pb.WorkResponse]:
            fail(context, "UNAUTHENTICATED", "UNAUTHENTICATED", metadata={"token": "wrong"})
            yield HEARTBEATS

        with ScriptedServer(Work=work) as server, self.assertRaises(SpoolError) as raised:
            Worker([one], address=server.address).run()
        self.assertEqual((raised.exception.code, raised.exception.metadata), ("UNAUTHENTICATED", {"token": "wrong"}))

    def test_a_worker_that_never_had_a_session_stops_at_once(self) -> None:
        @kind("k")
        def one(task: TaskContext) -> None:
            pass

        worker = Worker([one], address="127.0.0.1:1", drain=60)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        worker.stop()
        thread.join(10)
        self.assertFalse(thread.is_alive())

    def test_options_out_of_their_bounds_are_rejected(self) -> None:
        @kind("k")
        def one(task: TaskContext) -> None:
            pass

        makers: List[Callable[[], object]] = [
            lambda: Worker([]),
            lambda: Worker([one, one]),
            lambda: Worker([one], concurrency=0),
            lambda: Worker([one], concurrency=10_001),
            lambda: kind("no spaces"),
            lambda: kind("k", max_attempts=101),
        ]
        for make in makers:
            with self.assertRaises(ValueError):
                make()
