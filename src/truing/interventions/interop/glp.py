"""What a control vector file says of itself: the keys ``glp.*`` of GLP (GGUF Layer Projection), version 1.

A bare control vector says neither what is done with it, nor where, nor to which model; each is wrong in
silence when it is wrong. Written after the format's description in msuiche/weightless (spec/GLP.md):
readers fail on a mode or hook point that they do not apply. In mode ``add`` the strength is in the
vectors, in mode ``project`` beside them. ``glp.created`` is not written: the same intervention gives
the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from truing.errors import CannotLoad
from truing.interventions.interop.gguf import Gguf, Value

if TYPE_CHECKING:
    from truing.interventions.intervention import Origin
    from truing.models.handle import Model

VERSION = 1
HOOK = "residual_stream_post_layer"
"""The only hook point that a control vector has here: the output of a block."""
OPS = {"add": "add", "project": "ablate"}
"""By mode, the op that does it."""
DRAFT = "dspark."
"""How the keys began in early drafts."""


@dataclass(frozen=True)
class Told:
    """What is done with the vectors and how strongly, for which model (empty: not said), what a user
    should know, and all keys as they were read."""

    op: str = "add"
    strength: float = 1.0
    base: str = ""
    revision: str = ""
    cautions: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def keys(
    mode: str, directions: Mapping[int, Tensor], origin: Origin, model: Model
) -> dict[str, Value]:
    """The keys for ``directions`` (block -> (d,), in the order of the file), which ``mode`` applies.

    A mode that GLP does not know is written as it is, so that readers refuse the file.
    """
    organisation, name = _named(model.name)
    told: dict[str, Value] = {
        "glp.mode": mode,
        "glp.spec_version": VERSION,
        "glp.alpha_default": 1.0,
        "glp.rank": 1,
        "glp.hook_point": HOOK,
        "glp.derived_at": str(origin.config.get("glp", {}).get("derived_at", HOOK)),
        "glp.layer_ids_zero_based": ",".join(map(str, directions)),
        "glp.content_sha256": content(list(directions.values())),
        "glp.method": origin.method,
        "general.base_model.count": 1,
        "general.base_model.0.name": name,
    }
    if organisation:
        told["general.base_model.0.organization"] = organisation
    if model.revision is not None:
        told["general.base_model.0.version"] = model.revision
    if origin.requests:
        told["glp.contrast"] = f"{len(origin.requests)} requests {origin.requests_hash[:16]}"
    return told


def content(vectors: Sequence[Tensor]) -> str:
    """SHA-256 of the vectors' float32 bytes, one after the other."""
    digest = hashlib.sha256()
    for vector in vectors:
        digest.update(vector.detach().cpu().reshape(-1).numpy().astype("<f4").tobytes())
    return digest.hexdigest()


def read(file: Gguf, directions: Sequence[tuple[int, Tensor]], path: Path) -> Told:
    """What ``file``, which holds ``directions``, says of itself; without keys: that it adds.

    Raises ``CannotLoad`` for a mode, hook point, version or rank that is not applied here, and where
    the keys contradict the vectors.
    """
    facts = _facts(file.metadata)
    mode, hook = str(facts.get("mode", "add")), str(facts.get("hook_point", HOOK))
    if mode not in OPS:
        raise _refused(path, f"is applied in the mode '{mode}'", f"Known: {', '.join(OPS)}.")
    if hook != HOOK:
        raise _refused(path, f"is made for the hook point '{hook}'", f"Only {HOOK} is applied.")
    for name, known in (("spec_version", VERSION), ("rank", 1)):
        if str(facts.get(name, known)) != str(known):
            raise _refused(path, f"has glp.{name} {facts[name]}", f"Only {known} is applied.")
    layers = ",".join(str(layer) for layer, _ in directions)
    listed = str(facts.get("layer_ids_zero_based", layers)).replace(" ", "")
    if sorted(listed.split(",")) != sorted(layers.split(",")):
        raise _refused(path, f"lists the layers {listed}, holds {layers}", "Export it again.")
    vectors = [vector for _, vector in directions]
    if facts.get("content_sha256", content(vectors)) != content(vectors):
        raise _refused(path, "does not hold the vectors that its hash is of", "Copy it again.")
    alpha, cautions = facts.get("alpha_default", 1.0), []
    if not isinstance(alpha, int | float):
        raise _refused(path, f"has glp.alpha_default {alpha!r}, no number", "Export it again.")
    if facts.get("derived_at", HOOK) != HOOK:
        cautions.append(f"was found at '{facts['derived_at']}' and is applied at '{HOOK}'")
    if mode == "add" and alpha != 1:
        cautions.append(
            f"adds its vectors as they are; its strength {alpha:g} is not multiplied in"
        )
    owner, name, revision = (
        str(file.metadata.get(f"general.base_model.0.{key}", ""))
        for key in ("organization", "name", "version")
    )
    return Told(
        OPS[mode],
        float(alpha) if mode == "project" else 1.0,
        f"{owner}/{name}" if owner else name,
        revision,
        tuple(cautions),
        facts,
    )


def other_base(told: Told, model: Model) -> str | None:
    """A caution where the file names another model or revision than ``model``."""
    (owner, name), (our_owner, our_name) = (_named(n.casefold()) for n in (told.base, model.name))
    other_model = name and (name != our_name or (owner and our_owner and owner != our_owner))
    if not other_model and (model.revision is None or told.revision in ("", model.revision)):
        return None
    theirs, ours = (
        f"'{name}'" + (f" at revision '{revision}'" if revision else "")
        for name, revision in ((told.base, told.revision), (model.name, model.revision))
    )
    return f"was made for {theirs}; this is {ours}"


def _named(name: str) -> tuple[str, str]:
    """Owner and name of a hub id; of a folder's path no owner and its last part."""
    owner, _, last = name.rstrip("/").rpartition("/")
    return ("", last) if owner.startswith((".", "~")) or "/" in owner else (owner, last)


def _facts(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The keys without their beginning; early drafts' where there are no others."""
    for start in ("glp.", DRAFT):
        found = {k.removeprefix(start): v for k, v in metadata.items() if k.startswith(start)}
        if found:
            return found
    return {}


def _refused(path: Path, why: str, what_to_do: str) -> CannotLoad:
    return CannotLoad(f"the control vector '{path}' {why}", what_to_do)
