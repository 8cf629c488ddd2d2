"""Both clients behind the same blocking calls, so that a test runs with each."""

import asyncio
from contextlib import contextmanager
from typing import Any, Callable, Iterator, List, Optional, Tuple, Type, Union

from spooltape import AsyncClient, Client, SpoolError

import grpc_noise  # noqa: F401

Outcome = Tuple[List[Any], Optional[SpoolError]]
"""What was yielded, and the error that ended it."""


class SyncCaller:
    """Calls by Client."""

    def __init__(self, address: str, **options: Any) -> None:
        self._client = Client(address, **options)

    def call(self, name: str, *args: Any, **options: Any) -> Any:
        return getattr(self._client, name)(*args, **options)

    def collect(self, name: str, *args: Any, until: Callable[[Any], bool] = lambda _: False, **options: Any) -> Outcome:
        items: List[Any] = []
        try:
            for item in getattr(self._client, name)(*args, **options):
                items.append(item)
                if until(item):
                    break
        except SpoolError as error:
            return items, error
        return items, None

    def close(self) -> None:
        self._client.close()


class AsyncCaller:
    """Calls by AsyncClient, on an event loop of its own."""

    def __init__(self, address: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = AsyncClient(address, **options)

    def call(self, name: str, *args: Any, **options: Any) -> Any:
        return self._loop.run_until_complete(getattr(self._client, name)(*args, **options))

    def collect(self, name: str, *args: Any, until: Callable[[Any], bool] = lambda _: False, **options: Any) -> Outcome:
        async def collect() -> Outcome:
            items: List[Any] = []
            try:
                stream = getattr(self._client, name)(*args, **options)
                async for item in stream if hasattr(stream, "__aiter__") else await stream:
                    items.append(item)
                    if until(item):
                        break
            except SpoolError as error:
                return items, error
            return items, None

        return self._loop.run_until_complete(collect())

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


Caller = Union[SyncCaller, AsyncCaller]
CALLERS: Tuple[Type[Caller], ...] = (SyncCaller, AsyncCaller)


@contextmanager
def opened(kind: Type[Caller], address: str, **options: Any) -> Iterator[Caller]:
    caller = kind(address, **options)
    try:
        yield caller
    finally:
        caller.close()


def seqs(items: List[Any]) -> List[int]:
    return [event.seq for event in items]
