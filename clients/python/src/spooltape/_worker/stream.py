"""One stream of a worker, from its hello to its end."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any, AsyncGenerator, Deque, Dict, Optional

import grpc
import grpc.aio

from .. import _messages as pb
from .._aio_channel import open_channel
from .._cancellable import LocallyCancelled, cancellable
from .._connection import Endpoint, read_rpc_error, silent
from .._decode import decode
from .._errors import broken
from .attempt import Attempt

WELCOME_S = 20.0
"""How long the first welcome may take. Later welcomes have the limit of all messages, because a lease is running."""
SILENT_HEARTBEATS = 3
"""After so many heartbeat intervals without a message, the server counts as lost."""


class WorkerStream:
    """A stream over a connection of its own: one that is open but dead would carry the next stream as well.

    :param heartbeat: the interval of the stream before, in seconds. None: there was none.
    """

    def __init__(self, endpoint: Endpoint, hello: pb.Hello, heartbeat: Optional[float]) -> None:
        self._endpoint = endpoint
        self._heartbeat = heartbeat
        self._control: Deque[pb.WorkRequest] = deque([pb.WorkRequest(hello=hello)])
        self._unsent: Dict[Attempt, None] = {}
        self._wake = asyncio.Event()
        self._wake.set()
        self._alive_at = time.monotonic()
        self._is_silent = False
        self._has_left = False
        self._call: Any = None

    @property
    def heartbeat(self) -> Optional[float]:
        """How often each side sends a heartbeat, in seconds, as the last welcome says."""
        return self._heartbeat

    def say(self, request: pb.WorkRequest) -> None:
        self._control.append(request)
        self._wake.set()

    def on_unsent(self, attempt: Attempt) -> None:
        """Sends what the attempt has, in turn with all others."""
        self._unsent[attempt] = None
        self._wake.set()

    def leave(self) -> None:
        """Sends that the worker will not reconnect, and closes this side."""
        self._has_left = True
        self.say(pb.WorkRequest(leave=pb.Leave()))

    async def messages(self) -> AsyncGenerator[pb.WorkResponse, None]:
        """Yields the messages of the server, the welcome first. Ends when the server ends the stream after a leave.

        Raises SpoolError for any other end, and UNAVAILABLE when the server is silent for too long.
        """
        channel = open_channel(self._endpoint)
        self._call = channel.stream_stream("/spool.v1.WorkerService/Work")(metadata=self._endpoint.metadata)
        helpers = [asyncio.ensure_future(self._send()), asyncio.ensure_future(self._beat())]
        try:
            while True:
                data = await cancellable(self._call.read())
                if data is grpc.aio.EOF:
                    break
                self._alive_at = time.monotonic()
                message = decode(pb.WorkResponse, data)
                if message.WhichOneof("message") == "welcome":
                    interval = message.welcome.heartbeat_interval
                    self._heartbeat = interval.seconds + interval.nanos / 1e9
                    if self._heartbeat <= 0:
                        raise broken("the welcome has no heartbeat interval")
                yield message
        except grpc.aio.AioRpcError as error:
            target = self._endpoint.target
            raise read_rpc_error(error.code(), error.details(), error.trailing_metadata(), target) from error
        except LocallyCancelled as error:
            if self._is_silent:
                raise silent(self._endpoint.target, self._silence) from error
            raise
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            self._call.cancel()
            await channel.close()

    @property
    def _silence(self) -> float:
        return WELCOME_S if self._heartbeat is None else SILENT_HEARTBEATS * self._heartbeat

    async def _send(self) -> None:
        """Sends what is to be sent. Fails with the call, whose reader reports the error."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while True:
                request = self._next()
                if request is None:
                    break
                await cancellable(self._call.write(request.SerializeToString()))
            if self._has_left:
                await cancellable(self._call.done_writing())
                return

    def _next(self) -> Optional[pb.WorkRequest]:
        if self._control:
            return self._control.popleft()
        while self._unsent:
            # One message of each attempt in turn, so that a busy one does not delay others.
            attempt = next(iter(self._unsent))
            del self._unsent[attempt]
            request = attempt.take_unsent()
            if request is not None:
                self._unsent[attempt] = None
                return request
        return None

    async def _beat(self) -> None:
        """Sends heartbeats after the welcome, and gives a silent server up."""
        beaten_at = time.monotonic()
        while True:
            interval = self._silence / SILENT_HEARTBEATS
            await asyncio.sleep(min(interval, 1.0) / 4)
            now = time.monotonic()
            if now - self._alive_at >= self._silence:
                self._is_silent = True
                self._call.cancel()
                return
            if self._heartbeat is not None and now - beaten_at >= interval and not self._has_left:
                beaten_at = now
                self.say(pb.WorkRequest(heartbeat=pb.Heartbeat()))
