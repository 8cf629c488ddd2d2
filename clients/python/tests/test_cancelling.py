"""Cancellations that meet a call which fails at the same moment: gRPC loses some of them."""

import asyncio
import logging
import unittest
from typing import Awaitable, Callable

from spooltape import AsyncClient, TaskContext, Worker, kind
from spooltape._cancellable import LocallyCancelled, cancellable

UNREACHABLE = "127.0.0.1:1"
TASK_ID = "01890000-0000-7000-8000-000000000000"
TRIES = 60
STEP_S = 0.0001
ENDS_WITHIN_S = 30.0


class CancellableTest(unittest.IsolatedAsyncioTestCase):
    async def test_a_step_that_loses_the_cancellation_does_not_hold_its_task(self) -> None:
        async def losing() -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise ValueError("the call has failed")

        task = asyncio.ensure_future(cancellable(losing()))
        await asyncio.sleep(0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task

    async def test_a_call_that_is_cancelled_is_told_from_a_task_that_is_cancelled(self) -> None:
        call: "asyncio.Future[int]" = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(cancellable(call))
        await asyncio.sleep(0)
        call.cancel()
        with self.assertRaises(LocallyCancelled):
            await cancellable(call)
        with self.assertRaises(asyncio.CancelledError):
            await task

    async def test_results_and_errors_pass(self) -> None:
        async def returns() -> int:
            return 7

        async def raises() -> int:
            raise ValueError("no")

        self.assertEqual(await cancellable(returns()), 7)
        with self.assertRaisesRegex(ValueError, "no"):
            await cancellable(raises())


class CancelledAtAnyMomentTest(unittest.IsolatedAsyncioTestCase):
    """Each try cancels a little later after the start, around the moment at which the connection is refused."""

    def setUp(self) -> None:
        logging.disable(logging.WARNING)  # Each try logs that nothing listens.
        self.addCleanup(logging.disable, logging.NOTSET)

    def worker(self) -> Worker:
        @kind("k")
        def one(task: TaskContext) -> None:
            pass

        return Worker([one], address=UNREACHABLE, drain=60)

    async def cancelled(self, begin: Callable[[], Awaitable[object]]) -> None:
        for count in range(TRIES):
            task = asyncio.ensure_future(begin())
            await asyncio.sleep(count * STEP_S)
            task.cancel()
            await asyncio.wait([task], timeout=ENDS_WITHIN_S)
            self.assertTrue(task.cancelled(), f"cancelled after {count * STEP_S:.4f} s")

    async def test_a_worker_stops(self) -> None:
        for count in range(TRIES):
            worker = self.worker()
            serving = asyncio.ensure_future(worker.serve())
            await asyncio.sleep(count * STEP_S)
            worker.stop()
            await asyncio.wait_for(serving, ENDS_WITHIN_S)

    async def test_a_worker_is_cancelled(self) -> None:
        await self.cancelled(lambda: self.worker().serve())

    async def test_a_follower_is_cancelled(self) -> None:
        async def follow() -> None:
            async with AsyncClient(UNREACHABLE) as client:
                async for _ in client.follow(TASK_ID):
                    pass

        await self.cancelled(follow)

    async def test_a_call_is_cancelled(self) -> None:
        async def get() -> None:
            async with AsyncClient(UNREACHABLE) as client:
                await client.get(TASK_ID)

        await self.cancelled(get)
