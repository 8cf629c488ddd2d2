"""How an attempt keeps its events until they are stored."""

import asyncio
import threading
import unittest
from typing import Any, List

from spooltape import SpoolError
from spooltape import _messages as pb
from spooltape._worker.attempt import APPEND_EVENTS_MAX, MESSAGE_BYTES_MAX, Attempt
from spooltape._worker.emission import log_event


class AttemptTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.unsent: List[Attempt] = []

    def attempt(self, events: int = 100, size: int = 1_000_000) -> Attempt:
        return Attempt("t", 1, (events, size), self.unsent.append, asyncio.get_running_loop())

    @staticmethod
    def sent(attempt: Attempt) -> List[str]:
        """Takes everything that is to be sent: the numbers and texts of events, and the end."""
        lines: List[str] = []
        while True:
            request = attempt.take_unsent()
            if request is None:
                return lines
            for index, event in enumerate(request.append.events):
                lines.append(f"{request.append.first_number + index} {event.log.message}")
            if request.WhichOneof("message") == "finish":
                lines.append(f"{request.finish.number} {request.finish.WhichOneof('outcome')}")

    @staticmethod
    def emit(attempt: Attempt, *texts: str) -> None:
        for text in texts:
            attempt.emit(log_event("info", text))

    async def test_sends_again_what_is_not_stored(self) -> None:
        attempt = self.attempt()
        self.emit(attempt, "a", "b", "c")
        self.assertEqual(self.sent(attempt), ["1 a", "2 b", "3 c"])
        attempt.acknowledge(1)
        self.emit(attempt, "d")
        attempt.finish(pb.Finish(result=pb.Struct()))
        self.assertEqual(self.sent(attempt), ["4 d", "5 result"])
        attempt.acknowledge(2)
        attempt.resend()
        self.assertEqual(self.sent(attempt), ["3 c", "4 d", "5 result"])
        attempt.acknowledge(4)
        attempt.resend()
        self.assertEqual(self.sent(attempt), ["5 result"])

    async def test_a_message_has_bounds(self) -> None:
        attempt = self.attempt(10_000, 10_000_000)
        self.emit(attempt, *["x"] * (APPEND_EVENTS_MAX + 1))
        first, second = attempt.take_unsent(), attempt.take_unsent()
        assert first is not None and second is not None
        self.assertEqual((len(first.append.events), len(second.append.events)), (APPEND_EVENTS_MAX, 1))
        half = "x" * (MESSAGE_BYTES_MAX // 2)
        self.emit(attempt, half, half, half)
        sizes = [len(request.append.events) for request in iter(attempt.take_unsent, None)]
        self.assertEqual(sizes, [1, 1, 1])

    async def test_code_waits_at_the_window_until_events_are_stored(self) -> None:
        attempt = self.attempt(events=2)
        self.emit(attempt, "a")
        await attempt.room()
        self.emit(attempt, "b")
        waiting = asyncio.ensure_future(attempt.room())
        has_room = threading.Event()

        def wait() -> None:
            attempt.wait_for_room()
            has_room.set()

        thread = threading.Thread(target=wait)
        thread.start()
        await asyncio.sleep(0)
        self.assertFalse(waiting.done())
        self.assertFalse(has_room.is_set())
        attempt.acknowledge(1)
        await waiting
        thread.join()
        self.assertTrue(has_room.is_set())

    async def test_the_window_counts_bytes_too(self) -> None:
        attempt = self.attempt(size=10)
        self.emit(attempt, "more than ten bytes")
        waiting = asyncio.ensure_future(attempt.room())
        await asyncio.sleep(0)
        self.assertFalse(waiting.done())
        attempt.acknowledge(1)
        await waiting

    async def test_flush_waits_until_everything_so_far_is_stored(self) -> None:
        attempt = self.attempt()
        await attempt.flush()
        self.emit(attempt, "a", "b")
        flushed = asyncio.ensure_future(attempt.flush())
        await asyncio.sleep(0)
        self.emit(attempt, "c")
        attempt.acknowledge(1)
        await asyncio.sleep(0)
        self.assertFalse(flushed.done())
        attempt.acknowledge(2)
        await flushed

    async def test_a_lost_attempt_refuses_events_and_ends_every_wait(self) -> None:
        attempt = self.attempt(events=1)
        self.emit(attempt, "a")
        waits = [asyncio.ensure_future(attempt.room()), asyncio.ensure_future(attempt.flush())]
        errors: List[Any] = []

        def wait() -> None:
            try:
                attempt.wait_for_room()
            except SpoolError as error:
                errors.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        await asyncio.sleep(0)
        attempt.close()
        thread.join()
        errors.extend(await asyncio.gather(*waits, return_exceptions=True))
        with self.assertRaises(SpoolError) as raised:
            self.emit(attempt, "b")
        self.assertEqual([error.reason for error in [*errors, raised.exception]], ["LEASE_LOST"] * 4)
        self.assertEqual((attempt.stop_reason, attempt.take_unsent()), ("lost", None))

    async def test_the_first_reason_of_a_stop_counts(self) -> None:
        attempt = self.attempt()
        stops: List[str] = []
        attempt.on_stop = lambda: stops.append("stop")
        attempt.stop("cancel")
        attempt.stop("shutdown")
        self.assertEqual((attempt.stop_reason, stops, attempt.stopped.is_set()), ("cancel", ["stop"], True))

    async def test_a_refused_attempt_fails_after_the_accepted_events(self) -> None:
        attempt = self.attempt()
        self.emit(attempt, "a", "b", "c")
        self.assertEqual(len(self.sent(attempt)), 3)
        attempt.refuse("log.message: must be shorter", 1)
        attempt.refuse("again", 1)
        self.assertEqual(self.sent(attempt), ["2 error"])
        attempt.resend()
        self.assertEqual(self.sent(attempt), ["1 a", "2 error"])
        self.assertEqual(attempt.stop_reason, "lost")

    async def test_what_is_emitted_in_a_thread_is_announced_on_the_loop_once(self) -> None:
        attempt = self.attempt()
        thread = threading.Thread(target=lambda: self.emit(attempt, *"abc"))
        thread.start()
        thread.join()
        await asyncio.sleep(0)
        self.assertEqual(self.unsent, [attempt])
        self.assertEqual(len(self.sent(attempt)), 3)
        self.emit(attempt, "d")
        await asyncio.sleep(0)
        self.assertEqual(self.unsent, [attempt, attempt])
