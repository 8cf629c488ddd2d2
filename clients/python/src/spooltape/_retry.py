"""Decides whether and when a failed call or stream is tried again."""

from __future__ import annotations

import random
import time
from typing import Optional

from ._errors import SpoolError, is_transient

BACKOFF_S = 0.1
BACKOFF_S_MAX = 5.0
BACKOFF_JITTER = 0.5
HINT_JITTER = 0.2
"""The random share added to the server's hint, so that clients that were rejected together spread out."""
HINT_S_MAX = 24 * 60 * 60.0


class RetryBudget:
    """Allows retries for ``retry_for`` seconds without success. 0: none. ``math.inf``: no limit.

    The delay is the server's hint, or doubles with each failure. Both have jitter.
    """

    def __init__(self, retry_for: float) -> None:
        self._retry_for = retry_for
        self._failures = 0
        self._since: Optional[float] = None

    def succeeded(self) -> None:
        """Renews the budget: the next failure begins a new outage."""
        self._failures, self._since = 0, None

    def next_delay(self, error: BaseException) -> Optional[float]:
        """Returns the seconds until the next try. None: the error is permanent, or the budget is used up."""
        if not is_transient(error):
            return None
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        self._failures += 1
        ceiling = min(BACKOFF_S_MAX, BACKOFF_S * 2 ** min(self._failures - 1, 32))
        delay = ceiling * (1 - BACKOFF_JITTER * random.random())
        if isinstance(error, SpoolError) and error.retry_after is not None:
            hint = error.retry_after * (1 + HINT_JITTER * random.random())
            delay = max(delay, min(HINT_S_MAX, hint))
        return None if now - self._since + delay > self._retry_for else delay
