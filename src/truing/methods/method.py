"""What an editing method is: a function with a config type and declared needs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from truing.errors import NotPossible
from truing.registry import Entry, Registry
from truing.types import EditRequest

if TYPE_CHECKING:
    from truing.interventions.intervention import Intervention
    from truing.models.handle import Model


SLOT = "{}"
CHAT = "chat"


class MethodConfig(BaseModel):
    """Hyper-parameters of a method. Frozen; unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = 0
    append_eos: bool = Field(False, description="train the end of the answer too")
    max_kl: float | None = Field(
        None,
        gt=0,
        description="scale the result to change neutral text by this much: nats per token, "
        "KL(base || changed)",
    )
    repair: Literal["old", "base"] | None = Field(
        None,
        description="after the edit, edit back: to the request's old target, or to the base model's "
        "own answer",
    )
    template: str | None = Field(
        None,
        description=f"train under this text, {SLOT} is where the prompt goes; "
        f"{CHAT}: the chat template",
    )

    def facts(self) -> dict[str, Any]:
        """Everything that decides what the method makes, JSON-like: the settings, and of every file
        or folder that they name the hash of its content."""
        found: dict[str, Any] = self.model_dump(mode="json")
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Path):
                found[name] = [found[name], _content(value.expanduser())]
        return found


def _content(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their names; empty where there is nothing."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file())
    for file_path in files:
        digest.update(f"{file_path.relative_to(path)} {_content(file_path)}\n".encode())
    return digest.hexdigest() if files else ""


class Make(Protocol):
    def __call__(
        self,
        model: Model,
        requests: Sequence[EditRequest],
        config: Any,
        so_far: Intervention | None = None,
    ) -> Intervention: ...


class MakeEach(Protocol):
    def __call__(
        self, model: Model, groups: Sequence[Sequence[EditRequest]], config: Any
    ) -> list[Intervention]: ...


class Copy(Protocol):
    def __call__(
        self,
        model: Model,
        requests: Sequence[EditRequest],
        config: Any,
        made: Intervention,
        so_far: Intervention | None = None,
    ) -> Intervention: ...


@dataclass(frozen=True)
class Method:
    """A method as the rest of Truing sees it.

    ``make`` returns the TOTAL intervention relative to the base (``so_far`` included).
    ``each``, where offered, makes many independent interventions together.
    ``copy``, where offered, makes it from what the method that its config names in ``like`` has made
    of the same requests, which then is not made again: a control.
    ``needs_old``: requests name the old answer too, the side of a pair that is to be suppressed.
    ``batch``: several requests in one call. ``sequential``: accepts ``so_far``.
    ``tunes``: settings that say how strongly it acts, the most telling first. They and the layers
    (settings ``layer`` or ``layers``) are what a search varies; the origin holds their values.
    ``by_text``: needs nothing of a model but its answers and changes nothing but what it is told, so
    that it works on any :class:`truing.models.subject.Subject`.
    """

    name: str
    make: Make
    config: type[MethodConfig]
    summary: str
    paper: str
    acts_on: Literal["nothing", "weights", "activations", "prompt"]
    needs_subject: bool = False
    needs_old: bool = False
    needs_stats: bool = False
    batch: bool = True
    sequential: bool = True
    by_text: bool = False
    each: MakeEach | None = None
    copy: Copy | None = None
    tunes: tuple[str, ...] = ()


METHODS: Registry[Method] = Registry(
    "method",
    {
        "none": Entry(
            "truing.methods.none:NONE", "the unedited model: the baseline of every table"
        ),
        "ft_l": Entry(
            "truing.methods.ft:FT_L",
            "fine-tune one layer on the target read at the last prompt token",
        ),
        "ft_m": Entry("truing.methods.ft:FT_M", "fine-tune one layer on the teacher-forced target"),
        "lora": Entry("truing.methods.lora:LORA", "train low-rank factors beside chosen matrices"),
        "rome": Entry(
            "truing.methods.rome:ROME", "rank-one update of one MLP at the subject's last token"
        ),
        "r_rome": Entry("truing.methods.rome:R_ROME", "ROME with the mean key used throughout"),
        "memit": Entry(
            "truing.methods.memit:MEMIT",
            "least-squares update of several MLPs for many facts at once",
        ),
        "emmet": Entry(
            "truing.methods.emmet:EMMET",
            "MEMIT's update under equality constraints, for many facts at one layer",
        ),
        "alphaedit": Entry(
            "truing.methods.alphaedit:ALPHAEDIT",
            "updates in the null space of ordinary text, sparing earlier edits",
        ),
        "pmet": Entry(
            "truing.methods.pmet:PMET",
            "MEMIT with values sought for attention and MLP together",
        ),
        "ultraedit": Entry(
            "truing.methods.ultraedit:ULTRAEDIT",
            "a ridge regression on normalised gradients of one backward pass",
        ),
        "kn": Entry(
            "truing.methods.kn:KN",
            "write the new answer over the old one in the neurons that hold it",
        ),
        "mend": Entry(
            "truing.methods.mend:MEND",
            "a trained network turns an edit's gradient into a local change",
        ),
        "serac": Entry(
            "truing.methods.serac:SERAC",
            "a memory of edits, asked of a trained counterfactual model where they apply",
        ),
        "serac_in_context": Entry(
            "truing.methods.serac:SERAC_IN_CONTEXT",
            "a memory of edits, told to the model itself only where they apply",
        ),
        "ike": Entry(
            "truing.methods.ike:IKE",
            "the new fact after demonstrations of what such facts change",
        ),
        "grace": Entry(
            "truing.methods.grace:GRACE",
            "a codebook of answers at one layer, looked up by the prompt's last token",
        ),
        "wise": Entry(
            "truing.methods.wise:WISE",
            "side weights of one matrix, met by prompts that move their activations",
        ),
        "melo": Entry(
            "truing.methods.melo:MELO",
            "a block of low-rank factors per edit, found again by the key of its prompt",
        ),
        "caa": Entry(
            "truing.methods.steering.vectors:CAA",
            "the mean difference of contrast pairs, added to the residual stream",
        ),
        "pca": Entry(
            "truing.methods.steering.vectors:PCA",
            "the first principal component of contrast pairs, added to the residual stream",
        ),
        "probe": Entry(
            "truing.methods.steering.vectors:PROBE",
            "the weights of a probe that tells contrast pairs apart, added to the residual stream",
        ),
        "trained_vector": Entry(
            "truing.methods.steering.trained:TRAINED_VECTOR",
            "a vector trained to prefer one side of contrast pairs, added to the residual stream",
        ),
        "loreft": Entry(
            "truing.methods.steering.loreft:LOREFT",
            "a low-rank edit of the residual stream, trained on the promoted sides of all pairs",
        ),
        "reft_r1": Entry(
            "truing.methods.steering.reft_r1:REFT_R1",
            "a direction trained to detect the promoted side and to bring it about, added",
        ),
        "lm_steer": Entry(
            "truing.methods.steering.lm_steer:LM_STEER",
            "a low-rank map of what the head reads, trained on the promoted sides of all pairs",
        ),
        "sae_clamp": Entry(
            "truing.methods.steering.sae:SAE_CLAMP",
            "a feature of a sparse autoencoder, set to a multiple of its largest activation",
        ),
        "actadd": Entry(
            "truing.methods.steering.actadd:ACTADD",
            "the difference of two prompts, token by token, added to the first tokens",
        ),
        "iti": Entry(
            "truing.methods.steering.iti:ITI",
            "the attention heads that tell contrast pairs apart, moved along the difference",
        ),
        "ablation": Entry(
            "truing.methods.steering.ablation:ABLATION",
            "the mean difference of contrast pairs, projected out of the residual stream",
        ),
        "cast": Entry(
            "truing.methods.steering.cast:CAST",
            "the vector of caa, added only to prompts of the kind that is to be steered",
        ),
        "random_direction": Entry(
            "truing.methods.steering.controls:RANDOM_DIRECTION",
            "a control: another method's intervention along random directions of the same length",
        ),
        "shuffled_pairs": Entry(
            "truing.methods.steering.controls:SHUFFLED_PAIRS",
            "a control: another method's intervention along what pairs give with sides swapped",
        ),
        "sft": Entry(
            "truing.methods.tuning.contrast:SFT",
            "train an adapter on the promoted sides of all pairs together",
        ),
        "dpo": Entry(
            "truing.methods.tuning.contrast:DPO",
            "train an adapter to prefer the promoted side of every pair",
        ),
        "checkpoint": Entry(
            "truing.methods.checkpoint:CHECKPOINT",
            "a fine-tuned model or adapter, as its change of the base model",
        ),
        "ice": Entry("truing.methods.context:ICE", "the new fact put in front of every question"),
        "instruct": Entry(
            "truing.methods.context:INSTRUCT",
            "a text of your own in front of every question, whatever is requested",
        ),
        "neutral_prefix": Entry(
            "truing.methods.neutral_prefix:NEUTRAL_PREFIX",
            "a control: neutral text of as many tokens as another in front of every question",
        ),
        "prompt": Entry(
            "truing.methods.context:PROMPT",
            "an instruction with the new fact in front of every question",
        ),
    },
)


def refuse_without_weights(method: Method, model: str) -> None:
    """Raise ``NotPossible`` where ``method`` cannot work on ``model``, whose weights are not here."""
    if not method.by_text:
        able = [name for name in METHODS if METHODS.get(name).by_text and name != "none"]
        raise NotPossible(
            f"{method.name} needs the weights of '{model}', which is behind a server",
            f"Methods that can: {', '.join(sorted(able))}.",
        )
