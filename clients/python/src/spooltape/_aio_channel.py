"""The calls of the asyncio client, one attempt each."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncGenerator, Dict, Optional, Type, TypeVar

import grpc
import grpc.aio

from . import _messages as pb
from ._cancellable import LocallyCancelled, cancellable
from ._connection import ANSWER_S_MAX, CHANNEL_OPTIONS, Endpoint, closed, read_rpc_error, silent
from ._decode import decode
from ._errors import SpoolError

_M = TypeVar("_M", bound=pb.Message)


def open_channel(endpoint: Endpoint) -> Any:
    """Opens a channel with a connection of its own."""
    if endpoint.credentials is None:
        return grpc.aio.insecure_channel(endpoint.target, CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(endpoint.target, endpoint.credentials, CHANNEL_OPTIONS)


class _Channel:
    """A gRPC channel, and how many calls are open on it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.grpc = open_channel(endpoint)
        self.calls = 0


class AioTransport:
    """Calls over one channel at a time, on one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._channel: Optional[_Channel] = None  # Made by the first call, on its event loop.
        self._abandoned: Dict[_Channel, None] = {}
        self._is_closed = False

    async def unary(self, path: str, request: pb.Message, answer: Type[_M], timeout: float = ANSWER_S_MAX) -> _M:
        """One attempt. Fails as UNAVAILABLE if no answer comes within ``timeout`` seconds."""
        channel = self._enter()
        try:
            call = channel.grpc.unary_unary(path)
            data = await cancellable(
                call(request.SerializeToString(), timeout=timeout, metadata=self._endpoint.metadata)
            )
        except grpc.aio.AioRpcError as error:
            raise self._failed(channel, error, timeout) from error
        except (grpc.aio.UsageError, LocallyCancelled) as error:
            if self._is_closed:
                raise closed() from error
            raise
        finally:
            await self._exit(channel)
        return decode(answer, data)

    async def stream(
        self, path: str, request: pb.Message, answer: Type[_M], silence: float
    ) -> AsyncGenerator[_M, None]:
        """One attempt. Fails as UNAVAILABLE if the reader waits and no message comes within ``silence`` seconds."""
        channel = self._enter()
        loop = asyncio.get_running_loop()
        call: Optional[Any] = None
        is_silent = False

        def give_up() -> None:
            nonlocal is_silent
            is_silent = True
            call.cancel()  # type: ignore[union-attr]

        try:
            call = channel.grpc.unary_stream(path)(request.SerializeToString(), metadata=self._endpoint.metadata)
            while True:
                # Only while the reader waits: a slow reader does not make a server silent.
                timer = loop.call_later(silence, give_up)
                try:
                    data = await cancellable(call.read())
                finally:
                    timer.cancel()
                if data is grpc.aio.EOF:
                    return
                yield decode(answer, data)
        except grpc.aio.AioRpcError as error:
            raise self._failed(channel, error, None) from error
        except (grpc.aio.UsageError, LocallyCancelled) as error:
            if is_silent:
                self._leave(channel)
                raise silent(self._endpoint.target, silence) from error
            if self._is_closed:
                raise closed() from error
            raise
        finally:
            if call is not None:
                call.cancel()
            await self._exit(channel)

    async def close(self) -> None:
        """Ends all open calls with an error, and rejects later ones."""
        self._is_closed = True
        channels = [*self._abandoned, *([] if self._channel is None else [self._channel])]
        for channel in channels:
            await channel.grpc.close()

    def _enter(self) -> _Channel:
        if self._is_closed:
            raise closed()
        if self._channel is None:
            self._channel = _Channel(self._endpoint)
        self._channel.calls += 1
        return self._channel

    async def _exit(self, channel: _Channel) -> None:
        channel.calls -= 1
        if channel.calls == 0 and channel in self._abandoned:
            del self._abandoned[channel]
            await channel.grpc.close()

    def _leave(self, channel: _Channel) -> None:
        """Makes the next call open a new connection. The old channel closes after its last call."""
        if self._channel is channel and not self._is_closed:
            self._abandoned[channel] = None
            self._channel = None

    def _failed(self, channel: _Channel, error: Any, timeout: Optional[float]) -> SpoolError:
        if self._is_closed:
            return closed()
        if timeout is not None and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            # The connection may be dead without a reset, and the channel would use it again.
            self._leave(channel)
            return silent(self._endpoint.target, timeout)
        failure = read_rpc_error(error.code(), error.details(), error.trailing_metadata(), self._endpoint.target)
        if failure.reason == "DRAINING":
            self._leave(channel)  # The server rejects calls until it exits. A load balancer may have other servers.
        return failure
