"""GGUF files of a few float32 tensors: the container, whatever it holds.

Version 3 is written, 2 and 3 (the same layout) are read, little-endian. Written after the format's
description in the ggml repository (docs/gguf.md): header, metadata, tensor table, padding, tensors.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from truing.errors import BadInput, CannotLoad

MAGIC, VERSION, ALIGNMENT, F32 = b"GGUF", 3, 32, 0
U32, FLOAT32, STRING, ARRAY = 4, 6, 8, 9
NUMBERS = {
    0: "B", 1: "b", 2: "H", 3: "h", U32: "I", 5: "i", FLOAT32: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip
"""Kinds of metadata values as :mod:`struct` knows them."""

Value = str | int | float


@dataclass(frozen=True)
class Entry:
    """A tensor of a file, as it is listed. ``data`` is ``None`` where it is not float32."""

    name: str
    shape: tuple[int, ...]
    data: Tensor | None


@dataclass(frozen=True)
class Gguf:
    """What a file holds. Metadata values are numbers, strings, booleans or lists of them."""

    metadata: Mapping[str, Any]
    tensors: tuple[Entry, ...]


def write(path: Path, metadata: Mapping[str, Value], tensors: Sequence[tuple[str, Tensor]]) -> None:
    """Write strings, unsigned integers and float32 numbers as metadata, and 1-D tensors as float32."""
    head = MAGIC + struct.pack("<IQQ", VERSION, len(tensors), len(metadata))
    for key, value in metadata.items():
        head += _string(key)
        if isinstance(value, str):
            head += struct.pack("<I", STRING) + _string(value)
        elif isinstance(value, float):
            head += struct.pack("<If", FLOAT32, value)
        else:
            head += struct.pack("<II", U32, value)
    body = b""
    for name, tensor in tensors:
        head += _string(name) + struct.pack("<IQIQ", 1, tensor.numel(), F32, len(body))
        body += _padded(tensor.detach().cpu().reshape(-1).numpy().astype("<f4").tobytes())
    path.write_bytes(_padded(head) + body)


def read(path: Path) -> Gguf:
    """Read a file. Raises ``BadInput`` where there is none and ``CannotLoad`` for one that is no
    GGUF file, or a damaged one."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read '{path}': {error.strerror}", "Give a GGUF file.") from None
    reader = _Reader(path, raw)
    if reader.take(4) != MAGIC:
        raise CannotLoad(f"'{path}' is not a GGUF file", "Give a file in the GGUF format.")
    version = reader.number("I")
    if version not in (2, 3):
        raise CannotLoad(
            f"'{path}' is GGUF version {version}; versions 2 and 3, little-endian, are read",
            "Write it again with a current tool.",
        )
    n_tensors, n_values = reader.number("Q"), reader.number("Q")
    metadata = {}
    for _ in range(n_values):
        key = reader.string()
        metadata[key] = reader.value(reader.number("I"))
    table = []
    for _ in range(n_tensors):
        name = reader.string()
        shape = tuple(reader.number("Q") for _ in range(reader.number("I")))
        table.append((name, shape, reader.number("I"), reader.number("Q")))
    alignment = metadata.get("general.alignment", ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1:
        reader.damaged(f"its alignment is {alignment}")
    start = -(-reader.at // alignment) * alignment
    return Gguf(metadata, tuple(reader.entry(start, *row) for row in table))


class _Reader:
    """Bytes that are read one after the other, and never past their end."""

    def __init__(self, path: Path, raw: bytes) -> None:
        self.path, self.raw, self.at = path, raw, 0

    def take(self, n: int) -> bytes:
        if n > len(self.raw) - self.at:
            self.damaged("it ends too early")
        self.at += n
        return self.raw[self.at - n : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]

    def string(self) -> str:
        try:
            return self.take(self.number("Q")).decode()
        except UnicodeDecodeError:
            self.damaged("a string is not UTF-8")

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            inner, n = self.number("I"), self.number("Q")
            if inner == ARRAY:
                self.damaged("it nests arrays")
            return [self.value(inner) for _ in range(n)]
        if kind not in NUMBERS:
            self.damaged(f"a metadata value is of the unknown kind {kind}")
        return self.number(NUMBERS[kind])

    def entry(self, start: int, name: str, shape: tuple[int, ...], kind: int, offset: int) -> Entry:
        if kind != F32:
            return Entry(name, shape, None)
        self.at = start + offset
        if self.at > len(self.raw):
            self.damaged("it ends too early")
        numbers = np.frombuffer(self.take(4 * math.prod(shape)), dtype="<f4").astype(np.float32)
        return Entry(name, shape, torch.from_numpy(numbers.reshape(shape[::-1])))

    def damaged(self, why: str) -> NoReturn:
        raise CannotLoad(f"the GGUF file '{self.path}' is damaged: {why}", "Copy it again.")


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _padded(raw: bytes) -> bytes:
    return raw + bytes(-len(raw) % ALIGNMENT)
