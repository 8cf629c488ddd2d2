"""Keeps known noise of gRPC out of the output of tests. Imported for its effect."""

import logging


def _is_wanted(record: logging.LogRecord) -> bool:
    # gRPC has one queue for the event loops of all threads. It logs an error where another loop was faster, or where a
    # loop is closed already. Neither loses an event: each loop is woken for its own.
    return "PollerCompletionQueue._handle_events" not in record.getMessage()


logging.getLogger("asyncio").addFilter(_is_wanted)
