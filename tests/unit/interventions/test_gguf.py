"""GGUF files: what is written is read, by us and by others; what is damaged is refused."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asking import noise
from truing.errors import BadInput, CannotLoad
from truing.interventions.interop import gguf

METADATA: dict[str, gguf.Value] = {
    "general.architecture": "test",
    "a.word": "größer",
    "a.number": 7,
}


def tensors(*widths: int) -> list[tuple[str, torch.Tensor]]:
    return [(f"t.{n}", noise(n, width)) for n, width in enumerate(widths)]


@settings(max_examples=20)
@given(
    st.lists(st.integers(1, 70), max_size=5),
    st.dictionaries(st.text(min_size=1), st.text() | st.integers(0, 2**32 - 1), max_size=4),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, widths: list[int], metadata: dict[str, gguf.Value]
) -> None:
    metadata.pop("general.alignment", None)
    path = tmp_path_factory.mktemp("gguf") / "x.gguf"
    written = tensors(*widths)
    gguf.write(path, metadata, written)
    file = gguf.read(path)
    assert file.metadata == metadata
    assert [t.name for t in file.tensors] == [name for name, _ in written]
    for found, (_, tensor) in zip(file.tensors, written, strict=True):
        assert found.shape == tuple(tensor.shape)
        assert found.data is not None
        assert torch.equal(found.data, tensor)


def test_an_independent_reader_finds_the_same(tmp_path: Path) -> None:
    other = pytest.importorskip("gguf")
    path = tmp_path / "x.gguf"
    written = tensors(33, 1, 64)
    gguf.write(path, METADATA, written)
    reader = other.GGUFReader(path)
    assert {key: reader.get_field(key).contents() for key in METADATA} == METADATA
    assert [t.name for t in reader.tensors] == [name for name, _ in written]
    for found, (_, tensor) in zip(reader.tensors, written, strict=True):
        assert found.tensor_type == other.GGMLQuantizationType.F32
        assert torch.equal(torch.from_numpy(found.data.copy()), tensor)


def test_what_an_independent_writer_wrote_is_read(tmp_path: Path) -> None:
    other = pytest.importorskip("gguf")
    path = tmp_path / "x.gguf"
    writer = other.GGUFWriter(path, "test")
    writer.add_float32("a.float", 0.5)
    writer.add_bool("a.truth", True)
    writer.add_array("a.list", [1, 2, 3])
    writer.add_array("a.words", ["x", "yz"])
    writer.add_int64("a.long", -(2**40))
    writer.add_tensor("flat", noise(1, 5).numpy())
    writer.add_tensor("square", noise(2, 2, 3).numpy())
    writer.add_tensor("half", noise(3, 4).half().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    file = gguf.read(path)
    values = {key: value for key, value in file.metadata.items() if key.startswith("a.")}
    assert values == {
        "a.float": 0.5,
        "a.truth": True,
        "a.list": [1, 2, 3],
        "a.words": ["x", "yz"],
        "a.long": -(2**40),
    }
    flat, square, half = file.tensors
    assert flat.data is not None
    assert torch.equal(flat.data, noise(1, 5))
    assert square.shape == (3, 2)  # the format counts from the inside
    assert square.data is not None
    assert torch.equal(square.data, noise(2, 2, 3))
    assert half.data is None


def good(tmp_path: Path) -> bytes:
    path = tmp_path / "good.gguf"
    gguf.write(path, METADATA, tensors(40, 40))
    return path.read_bytes()


def test_a_file_that_ends_early_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    raw, path = good(tmp_path), tmp_path / "cut.gguf"
    for end in range(0, len(raw) - 32, 7):  # the last 32 bytes may be padding
        path.write_bytes(raw[:end])
        with pytest.raises(CannotLoad):
            gguf.read(path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda raw: b"GGML" + raw[4:], "is not a GGUF file"),
        (lambda raw: raw[:4] + struct.pack("<I", 1) + raw[8:], "version 1"),
        (lambda raw: raw[:4] + struct.pack(">I", 3) + raw[8:], "version 50331648"),
        (lambda raw: raw[:8] + struct.pack("<Q", 2**60) + raw[16:], "damaged"),
        (lambda raw: raw[:24] + struct.pack("<Q", 2**63) + raw[32:], "ends too early"),
        (lambda raw: raw.replace(b"\x08\0\0\0", b"\x63\0\0\0", 1), "unknown kind 99"),
        (lambda raw: raw.replace("größer".encode(), b"\xff" * 8), "not UTF-8"),
    ],
)
def test_what_is_damaged_is_refused_in_two_lines(tmp_path: Path, change: Any, why: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(change(good(tmp_path)))
    with pytest.raises(CannotLoad, match=why) as caught:
        gguf.read(path)
    assert str(caught.value).count("\n") == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.gguf"):
        gguf.read(tmp_path / "none.gguf")
