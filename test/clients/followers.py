"""Every way in which spooltape follows a tape, at once, over connections that are cut: followers.py TASK_ID.

Prints a line for each event: which follower, the seq and the type. Ends with 0 when each has come to the end.
"""

import asyncio
import sys
import threading
from typing import Callable, List

from spooltape import AsyncClient, Client, Event, FinalEvent

task_id = sys.argv[1]
errors: List[BaseException] = []


def say(follower: str, event: Event) -> None:
    sys.stdout.write(f"{follower} {event.seq} {event.type}\n")  # At once, because each follower has a thread.


def follow(spool: Client) -> None:
    for event in spool.follow(task_id):
        say("follow", event)


def follow_tasks(spool: Client) -> None:
    for frame in spool.follow_tasks(kinds=["word-count"], from_start=True):
        for event in (event for task in frame.tasks if task.task_id == task_id for event in task.events):
            say("follow_tasks", event)
            if isinstance(event, FinalEvent):
                return


async def follow_async() -> None:
    async with AsyncClient() as spool:

        async def one_tape() -> None:
            async for event in spool.follow(task_id):
                say("async_follow", event)

        async def many_tapes() -> None:
            async for frame in spool.follow_tasks(kinds=["word-count"], from_start=True):
                for event in (event for task in frame.tasks if task.task_id == task_id for event in task.events):
                    say("async_follow_tasks", event)
                    if isinstance(event, FinalEvent):
                        return

        async def end() -> None:
            say("async_wait", await spool.wait(task_id, 60))

        await asyncio.gather(one_tape(), many_tapes(), end())


def run(code: Callable[[], object]) -> None:
    try:
        code()
    except BaseException as error:
        errors.append(error)


with Client() as spool:
    codes: List[Callable[[], object]] = [
        lambda: follow(spool),
        lambda: follow_tasks(spool),
        lambda: say("wait", spool.wait(task_id, 60)),
        lambda: asyncio.run(follow_async()),
    ]
    threads = [threading.Thread(target=run, args=[code]) for code in codes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
if errors:
    raise errors[0]
