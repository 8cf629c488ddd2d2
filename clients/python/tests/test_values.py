"""Conversions, their bounds, and the settings of a connection."""

import math
import os
import unittest
from datetime import datetime, timedelta, timezone
from typing import Any, List
from unittest import mock

from spooltape import Client, Seconds, SpoolError, TaskError
from spooltape import _messages as pb
from spooltape._connection import read_endpoint
from spooltape._json import DEPTH_MAX, INTEGER_MAX, from_struct, to_struct
from spooltape._retry import BACKOFF_S_MAX, RetryBudget
from spooltape._times import from_duration, from_timestamp, to_duration, to_timestamp
from spooltape._worker.emission import (
    EVENT_BYTES_MAX,
    cut,
    exclusive_key,
    failure_of,
    log_event,
    partial_event,
    progress_event,
)


def struct(value: Any, bytes_max: int = 1_000_000, values_max: int = 1_000) -> pb.Struct:
    return to_struct(value, "v", bytes_max=bytes_max, values_max=values_max)


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = [value] if level % 2 and level < depth - 1 else {"a": value}
    return value


class JsonTest(unittest.TestCase):
    def test_values_come_back_as_they_were(self) -> None:
        value = {"": None, "a": [True, False, 0, -1, 1.5, "é\U0001f600", [], {}, {"b": [None]}], "n": INTEGER_MAX}
        found = from_struct(pb.Struct.FromString(struct(value).SerializeToString()))
        self.assertEqual(found, value)
        self.assertIs(type(found["n"]), int)
        self.assertIs(type(found["a"][4]), float)
        self.assertIs(found["a"][0], True)

    def test_what_would_change_is_rejected_with_its_path(self) -> None:
        for value, field in (
            ({"a": INTEGER_MAX + 1}, "v.a"),
            ({"a": [0, math.inf]}, "v.a[1]"),
            ({"a": "\ud800"}, "v.a"),
            ({1: 2}, "v"),
            ({"a": {"b": b"bytes"}}, "v.a.b"),
            ([1], "v"),
        ):
            with self.subTest(field), self.assertRaises(SpoolError) as raised:
                struct(value)
            self.assertEqual(raised.exception.violations[0].field, field)

    def test_each_bound_holds_and_one_past_it_is_rejected(self) -> None:
        struct(nested(DEPTH_MAX))
        struct({"a": [0] * 998})  # With the object and the list, 1,000 values.
        struct({"a": "x" * 91}, bytes_max=100)  # As protobuf, with the field's name and four lengths.
        struct({"a": "\n" * 46}, bytes_max=100)  # As JSON, each takes two bytes.
        for value, bytes_max in (
            (nested(DEPTH_MAX + 1), 1_000_000),
            ({"a": [0] * 999}, 1_000_000),
            ({"a": "x" * 92}, 100),
            ({"a": "\n" * 47}, 100),
        ):
            with self.assertRaises(SpoolError):
                struct(value, bytes_max)


class TimesTest(unittest.TestCase):
    def test_times_know_utc(self) -> None:
        east = datetime(2026, 3, 1, 1, 30, 0, 123_456, tzinfo=timezone(timedelta(hours=2)))
        found = from_timestamp(to_timestamp("t", east))
        self.assertEqual(found, east)
        self.assertEqual(found.tzinfo, timezone.utc)
        before = datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=timezone.utc)
        self.assertEqual(to_timestamp("t", before), pb.Timestamp(seconds=-1, nanos=500_000_000))
        with self.assertRaisesRegex(SpoolError, "time zone"):
            to_timestamp("t", datetime(2026, 1, 1))

    def test_durations_are_seconds_or_timedeltas(self) -> None:
        durations: List[Seconds] = [1.25, timedelta(milliseconds=1_250)]
        for duration in durations:
            self.assertEqual(from_duration(to_duration("d", duration)), timedelta(milliseconds=1_250))
        self.assertEqual(to_duration("d", -0.5), pb.Duration(seconds=0, nanos=-500_000_000))
        anything: List[Any] = [math.nan, math.inf, "1"]
        for wrong in anything:
            with self.assertRaisesRegex(SpoolError, "finite number of seconds"):
                to_duration("d", wrong)


class RetryTest(unittest.TestCase):
    def test_the_delay_doubles_up_to_a_bound(self) -> None:
        budget, error = RetryBudget(math.inf), SpoolError("UNAVAILABLE", "")
        for ceiling in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
            delay = budget.next_delay(error)
            assert delay is not None
            self.assertTrue(ceiling / 2 <= delay <= ceiling, delay)
        for _ in range(2_000):  # No overflow.
            self.assertLessEqual(budget.next_delay(error) or 0, BACKOFF_S_MAX)
        budget.succeeded()
        self.assertLessEqual(budget.next_delay(error) or 1, 0.1)

    def test_a_hint_of_the_server_is_the_least_delay(self) -> None:
        delay = RetryBudget(60).next_delay(SpoolError("RESOURCE_EXHAUSTED", "", retry_after=7))
        assert delay is not None
        self.assertTrue(7 <= delay <= 7 * 1.2, delay)

    def test_permanent_errors_and_used_up_budgets_have_none(self) -> None:
        self.assertIsNone(RetryBudget(60).next_delay(SpoolError("NOT_FOUND", "")))
        self.assertIsNone(RetryBudget(60).next_delay(ValueError()))
        self.assertIsNone(RetryBudget(0).next_delay(SpoolError("UNAVAILABLE", "")))
        self.assertIsNone(RetryBudget(60).next_delay(SpoolError("UNAVAILABLE", "", retry_after=61)))


class EndpointTest(unittest.TestCase):
    def test_an_address_has_a_default_port_and_may_ask_for_tls(self) -> None:
        for address, target, is_secure in (
            ("db.example", "db.example:50051", False),
            ("[::1]", "[::1]:50051", False),
            ("10.0.0.1:7", "10.0.0.1:7", False),
            (" http://a:1/ ", "a:1", False),
            ("https://a", "a:50051", True),
            ("unix:/run/spool", "unix:/run/spool", False),
        ):
            with self.subTest(address):
                endpoint = read_endpoint(address, None, None, None)
                self.assertEqual((endpoint.target, endpoint.credentials is not None), (target, is_secure))

    def test_what_is_not_given_comes_from_the_environment(self) -> None:
        with mock.patch.dict(os.environ, {"SPOOL_ADDRESS": "a:1", "SPOOL_TOKEN": "secret"}):
            self.assertEqual(read_endpoint(None, None, None, None).target, "a:1")
            self.assertEqual(read_endpoint(None, None, None, None).metadata, [("authorization", "Bearer secret")])
            self.assertEqual(read_endpoint("b:2", "other", None, None).metadata, [("authorization", "Bearer other")])
        with mock.patch.dict(os.environ, {"SPOOL_CALL_NAMESPACE": "team-a"}):
            self.assertEqual(read_endpoint("a", None, None, None).metadata, [("spool-namespace", "team-a")])
            self.assertEqual(read_endpoint("a", None, "team-b", None).metadata, [("spool-namespace", "team-b")])
        with mock.patch.dict(os.environ, {"SPOOL_ADDRESS": "", "SPOOL_TOKEN": "", "SPOOL_CALL_NAMESPACE": ""}):
            endpoint = read_endpoint(None, None, None, None)
            self.assertEqual((endpoint.target, list(endpoint.metadata)), ("127.0.0.1:50051", []))

    def test_a_malformed_address_token_or_namespace_is_rejected(self) -> None:
        for options in (
            {"address": " "},
            {"address": "a", "token": "two words"},
            {"address": "a", "token": "é"},
            {"address": "a", "namespace": "team a"},
        ):
            with self.subTest(options), self.assertRaises(ValueError):
                Client(**options)  # type: ignore[arg-type]


class EmissionTest(unittest.TestCase):
    def test_each_bound_of_an_event_holds_and_one_past_it_is_rejected(self) -> None:
        progress_event("p" * 128, 0, INTEGER_MAX, None)
        progress_event("\U0001f600" * 64, 0, 0, None)
        partial_event("k", {"a": "x" * (EVENT_BYTES_MAX - 60)})
        for level in ("debug", "INFO", "Warn", "error"):
            log_event(level, "")
        wrong: Any
        for wrong in (
            lambda: progress_event("p" * 129, 0, 0, None),
            lambda: progress_event("\U0001f600" * 65, 0, 0, None),
            lambda: progress_event("", 0, 0, None),
            lambda: progress_event("p", -1, 0, None),
            lambda: progress_event("p", 0, INTEGER_MAX + 1, None),
            lambda: progress_event("p", 0.5, 0, None),  # type: ignore[arg-type]
            lambda: partial_event("k", {"a": "x" * EVENT_BYTES_MAX}),
            lambda: log_event("info", "x" * (EVENT_BYTES_MAX + 1)),
            lambda: log_event("fatal", ""),
        ):
            with self.assertRaises(SpoolError) as raised:
                wrong()
            self.assertEqual(raised.exception.reason, "INVALID_ARGUMENT")

    def test_a_failure_has_the_reason_that_the_code_gave(self) -> None:
        failure = failure_of(TaskError("NO_PAPER", "none", details={"tray": 2}))
        self.assertEqual((failure.reason, failure.message), ("NO_PAPER", "none"))
        self.assertEqual(from_struct(failure.details), {"tray": 2})
        self.assertEqual(failure_of(TaskError("no paper", "none")).reason, "KIND_FAILED")
        self.assertEqual(failure_of(TaskError("R" * 63)).reason, "R" * 63)
        self.assertEqual(failure_of(TaskError("R" * 64)).reason, "KIND_FAILED")
        self.assertEqual(failure_of(KeyError()).message, "KeyError")
        self.assertIn("could not be recorded", failure_of(TaskError("A", details={"a": math.nan})).message)

    def test_a_message_is_cut_to_what_a_tape_takes(self) -> None:
        self.assertEqual(cut("é" * 20_000), "é" * 8_192)
        self.assertEqual(cut("a\ud800"), "a?")

    def test_an_exclusive_key_has_at_most_1024_bytes(self) -> None:
        self.assertEqual(exclusive_key(None), "")
        self.assertEqual(exclusive_key("é" * 512), "é" * 512)
        for wrong in ("", "é" * 513, "a\0", 5):
            with self.assertRaises(SpoolError):
                exclusive_key(wrong)
