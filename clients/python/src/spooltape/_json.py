"""JSON values: their checks, and their conversion from and to google.protobuf.Struct."""

from __future__ import annotations

import json
import math
from typing import Any, Dict, List, Mapping, Union

from . import _messages as pb
from ._errors import invalid

JsonValue = Union[None, bool, int, float, str, List[Any], Dict[str, Any]]
JsonObject = Dict[str, Any]

KIB = 1024
MIB = 1024 * KIB
DEPTH_MAX = 32
"""How deep a JSON value may nest."""
INTEGER_MAX = 2**53 - 1
"""On the wire, numbers are doubles. A larger integer would change."""


def check_text(field: str, text: object) -> str:
    """Returns the text. Rejects text that UTF-8 cannot carry."""
    if not isinstance(text, str):
        raise invalid(field, f"must be text, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise invalid(field, "must not hold an unpaired surrogate") from None
    return text


def to_struct(value: object, field: str, *, bytes_max: int, values_max: int) -> pb.Struct:
    """Converts a JSON object. Rejects values that would change on the way, and values past a bound.

    Both bounds hold: ``bytes_max`` for the size as JSON and as protobuf, ``values_max`` for the number of values.
    """
    if not isinstance(value, Mapping):
        raise invalid(field, f"must be a JSON object, not {type(value).__name__}")
    struct = pb.Struct()
    _Writer(field, values_max).write_object(struct, value, field, DEPTH_MAX)
    size = struct.ByteSize()
    # JSON text is at most six times as long as protobuf.
    is_over = size > bytes_max or (size * 6 > bytes_max and _text_bytes(value) > bytes_max)
    if is_over:
        raise invalid(field, f"must be at most {bytes_max} bytes as JSON and as protobuf")
    return struct


def _text_bytes(value: Mapping[str, Any]) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=dict).encode())


class _Writer:
    def __init__(self, field: str, values_max: int) -> None:
        self.field = field
        self.values_max = values_max
        self.values_left = values_max - 1

    def count(self) -> None:
        self.values_left -= 1
        if self.values_left < 0:
            raise invalid(self.field, f"must hold at most {self.values_max:,} values")

    def write_object(self, struct: pb.Struct, value: Mapping[Any, Any], path: str, depth: int) -> None:
        if depth == 0:
            raise invalid(path, f"must nest at most {DEPTH_MAX} deep")
        fields = struct.fields
        for key, item in value.items():
            if not isinstance(key, str):
                raise invalid(path, f"must have text as keys, not {type(key).__name__}")
            check_text(path, key)
            self.write(fields[key], item, f"{path}.{key}", depth - 1)

    def write(self, target: pb.Value, value: object, path: str, depth: int) -> None:
        self.count()
        if value is None:
            target.null_value = pb.NULL_VALUE
        elif isinstance(value, bool):
            target.bool_value = value
        elif isinstance(value, str):
            target.string_value = check_text(path, value)
        elif isinstance(value, int):
            if abs(value) > INTEGER_MAX:
                raise invalid(path, "must be at most 2^53 - 1 as a number: pass it as text")
            target.number_value = value
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise invalid(path, "must be a finite number")
            target.number_value = value
        elif isinstance(value, Mapping):
            target.struct_value.SetInParent()
            self.write_object(target.struct_value, value, path, depth)
        elif isinstance(value, (list, tuple)):
            if depth == 0:
                raise invalid(path, f"must nest at most {DEPTH_MAX} deep")
            target.list_value.SetInParent()
            values = target.list_value.values
            for index, item in enumerate(value):
                self.write(values.add(), item, f"{path}[{index}]", depth - 1)
        else:
            raise invalid(path, f"must be JSON, not {type(value).__name__}")


def from_struct(struct: pb.Struct) -> JsonObject:
    """Converts to plain values. A number without a fraction becomes an int."""
    return {key: _from_value(value) for key, value in struct.fields.items()}


def _from_value(value: pb.Value) -> JsonValue:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= INTEGER_MAX else number
    if kind == "string_value":
        return value.string_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    return None


