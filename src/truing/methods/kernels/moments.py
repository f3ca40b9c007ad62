"""Second moments of keys, C = E[k k^T], over ordinary text, and the file that holds them.

k is the input of a layer's down projection (f wide). The mean is over all attended tokens, the
beginning-of-text token included as in the published statistics unless ``skip_bos``; models of the
Llama type put a very large activation there, which then dominates C.
Meng et al. 2022, appendix E.1; Meng et al. 2023, section 4.2.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from truing.errors import BadInput, CannotLoad
from truing.methods.kernels.capture import add_outer_products
from truing.models.engine import max_positions
from truing.models.handle import Model

CHUNK = 64
"""Documents between two points at which collecting can be interrupted."""
PROBES = 32
"""Random directions that estimate how far C moved without keeping a second copy of it."""


class Header(BaseModel):
    """What the file says about itself. ``format`` grows when readers must change.

    ``weights`` and ``data`` are content hashes of the model and the texts ("": not known).
    ``settling`` holds (tokens, change): at each doubling of the text, the largest relative
    Frobenius change of any layer's C since there was half as much (estimated along 32 random
    directions).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    kind: str = "second-moments"
    model: str = ""
    weights: str = ""
    data: str = ""
    source: str = ""
    documents: int = 0
    tokens: int
    skip_bos: bool = False
    settling: tuple[tuple[int, float], ...] = ()

    @property
    def change(self) -> float | None:
        """The last relative change of C; ``None`` before the text was doubled once."""
        return self.settling[-1][1] if self.settling else None


@dataclass(frozen=True)
class Moments:
    """C per layer, float32 (f, f), and how it was made."""

    second_F_F: Mapping[int, Tensor]
    header: Header

    def layer(self, layer: int) -> Tensor:
        """C of ``layer``. Raises ``BadInput`` naming the layers that are there."""
        if layer not in self.second_F_F:
            have = ", ".join(str(known) for known in sorted(self.second_F_F))
            raise BadInput(
                f"the statistics hold layers {have}, not layer {layer}",
                "Collect that layer too, or edit one of these.",
            )
        return self.second_F_F[layer]


@dataclass
class _Running:
    """Sums so far: float64 (f, f) per layer."""

    sums: dict[int, Tensor]
    probes: dict[int, Tensor]
    tokens: int = 0
    documents: int = 0
    mark: dict[int, Tensor] = field(default_factory=dict)
    marked: int = 0
    settling: list[tuple[int, float]] = field(default_factory=list)

    def look(self) -> None:
        """At each doubling of the tokens, note how far C moved."""
        if self.tokens < max(1, 2 * self.marked):
            return
        now = {layer: self.sums[layer] @ self.probes[layer] / self.tokens for layer in self.sums}
        if self.mark:
            moved = [
                float((now[layer] - self.mark[layer]).norm() / now[layer].norm().clamp_min(1e-300))
                for layer in now
            ]
            self.settling.append((self.tokens, max(moved)))
        self.mark, self.marked = now, self.tokens


def data_hash(texts: Sequence[str]) -> str:
    """Content hash of the texts in order."""
    digest = hashlib.sha256()
    for text in texts:
        raw = text.encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()


def collect(
    model: Model,
    texts: Sequence[str],
    layers: Sequence[int],
    *,
    source: str = "",
    skip_bos: bool = False,
    max_tokens: int | None = None,
    checkpoint: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Moments:
    """Second moments at ``layers`` over ``texts``, all layers in one pass.

    Documents are cut at ``max_tokens`` (default: what the model can read, at most 1024). Sums are
    float64. With ``checkpoint``, progress is saved there every 64 documents and an interrupted
    call goes on where it stopped, if weights, texts and layers are the same; the file is removed
    at the end. ``progress`` gets the number of documents done since the last call.
    """
    limit = min(max_tokens or 1024, max_positions(model.hf) or 1024)
    facts = {
        "weights": model.fingerprint,
        "data": data_hash(texts),
        "layers": sorted(set(layers)),
        "skip_bos": skip_bos,
        "max_tokens": limit,
    }
    running = _resume(checkpoint, facts) or _fresh(model, sorted(set(layers)))
    while running.documents < len(texts):
        chunk = texts[running.documents : running.documents + CHUNK]
        lines = [model.speller.prompt_ids(text)[:limit] for text in chunk if text.strip()]
        running.tokens += add_outer_products(model, lines, running.sums, skip_bos=skip_bos)
        running.documents += len(chunk)
        running.look()
        if checkpoint is not None:
            _write_checkpoint(checkpoint, facts, running)
        if progress is not None:
            progress(len(chunk))
    if not running.tokens:
        raise BadInput("there is no text to collect statistics from", "Give some documents.")
    header = Header(
        model=model.name,
        weights=model.fingerprint,
        data=str(facts["data"]),
        source=source,
        documents=running.documents,
        tokens=running.tokens,
        skip_bos=skip_bos,
        settling=tuple(running.settling),
    )
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return Moments(
        {layer: (total / running.tokens).float() for layer, total in running.sums.items()}, header
    )


def _fresh(model: Model, layers: Sequence[int]) -> _Running:
    rng = torch.Generator().manual_seed(0)
    sums, probes = {}, {}
    for layer in layers:
        width = model.arch.down(layer).d_in
        sums[layer] = torch.zeros(width, width, dtype=torch.float64)
        probes[layer] = torch.randn(width, PROBES, generator=rng, dtype=torch.float64)
    return _Running(sums, probes)


def save(moments: Moments, path: Path) -> None:
    """Write one safetensors file; the header travels in its metadata as JSON."""
    tensors = {f"layer.{layer}": c.contiguous() for layer, c in moments.second_F_F.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    save_file(tensors, partial, metadata={"truing": moments.header.model_dump_json()})
    partial.replace(path)


def load(path: Path) -> Moments:
    """Read what :func:`save` wrote. Raises ``CannotLoad`` where the file is not of that kind."""
    header, tensors = _read(path)
    try:
        parsed = Header.model_validate_json(header)
    except ValidationError as error:
        raise CannotLoad(
            f"{path} is not a file of second moments ({error.errors()[0]['msg']})",
            "Make one with truing.methods.kernels.moments.collect, or import an .npz.",
        ) from None
    if parsed.format > 1 or parsed.kind != "second-moments":
        raise CannotLoad(
            f"{path} has format {parsed.format}; this version reads 1", "Update truing."
        )
    return Moments(
        {int(n.removeprefix("layer.")): _checked(path, n, t) for n, t in tensors.items()}, parsed
    )


def import_npz(files: Mapping[int, Path], *, source: str = "") -> Moments:
    """Statistics of the ROME/MEMIT line: one .npz per layer with ``mom2.count`` and ``mom2.mom2``.

    ``mom2.mom2`` is the sum of k k^T (f, f), ``mom2.count`` the number of tokens. Nothing is
    unpickled. Raises ``CannotLoad`` where a file is damaged or has another shape.
    """
    second: dict[int, Tensor] = {}
    tokens: set[int] = set()
    for layer, path in files.items():
        try:
            with np.load(path, allow_pickle=False) as stored:
                count = int(np.asarray(stored["mom2.count"]).item())
                total = torch.from_numpy(np.asarray(stored["mom2.mom2"], dtype=np.float64))
        except (OSError, KeyError, ValueError, EOFError) as error:
            raise CannotLoad(
                f"{path} does not hold 'mom2.count' and 'mom2.mom2' ({error})",
                "Give the .npz files that rome or memit wrote as *_mom2_*.npz.",
            ) from None
        if count <= 0:
            raise CannotLoad(f"{path}: mom2.count is {count}", "The file is damaged.")
        second[layer] = _checked(path, "mom2.mom2", (total / count).float())
        tokens.add(count)
    if not second:
        raise BadInput("no files to import", "Give one .npz per layer.")
    return Moments(second, Header(tokens=min(tokens), source=source or "imported .npz"))


def _checked(path: Path, name: str, moment: Tensor) -> Tensor:
    if moment.dim() != 2 or moment.shape[0] != moment.shape[1]:
        raise CannotLoad(
            f"{path}: '{name}' has shape {tuple(moment.shape)}, not (f, f)", "Is it another file?"
        )
    if not bool(torch.isfinite(moment).all()):
        raise CannotLoad(f"{path}: '{name}' is not finite", "Collect the statistics again.")
    return moment.float()


def _read(path: Path) -> tuple[str, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as stored:
            header = (stored.metadata() or {}).get("truing", "")
            return str(header), {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CannotLoad(
            f"{path} cannot be read as safetensors ({error})",
            "Give a file that truing's statistics were saved to.",
        ) from None


def _write_checkpoint(path: Path, facts: Mapping[str, object], running: _Running) -> None:
    state = {
        "facts": facts,
        "tokens": running.tokens,
        "documents": running.documents,
        "marked": running.marked,
        "settling": running.settling,
    }
    tensors = {}
    for layer, total in running.sums.items():
        tensors[f"sum.{layer}"] = total
        tensors[f"probe.{layer}"] = running.probes[layer]
        if layer in running.mark:
            tensors[f"mark.{layer}"] = running.mark[layer]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    save_file(tensors, partial, metadata={"truing": json.dumps(state)})
    partial.replace(path)


def _resume(path: Path | None, facts: Mapping[str, object]) -> _Running | None:
    if path is None or not path.exists():
        return None
    try:
        header, tensors = _read(path)
        state = json.loads(header)
    except (CannotLoad, ValueError):
        return None
    if state.get("facts") != facts:
        return None
    kinds: dict[str, dict[int, Tensor]] = {"sum": {}, "probe": {}, "mark": {}}
    for name, tensor in tensors.items():
        kind, _, layer = name.partition(".")
        kinds[kind][int(layer)] = tensor
    return _Running(
        kinds["sum"],
        kinds["probe"],
        tokens=state["tokens"],
        documents=state["documents"],
        mark=kinds["mark"],
        marked=state["marked"],
        settling=[(int(n), float(change)) for n, change in state["settling"]],
    )
