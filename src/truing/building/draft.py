"""What a set of contrast pairs is asked to be: a behaviour, prompts, and three voices.

Three system prompts (behaviour, neutral, opposite) over the same prompts are how the code of Pres et al.
2024 (arXiv 2410.17245) generates continuations.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from truing.benchmarks import files
from truing.benchmarks.contrast_pairs import folded
from truing.building.asks import Ask
from truing.errors import BadInput
from truing.seeds import Seeds

Side = Literal["for", "neutral", "against"]
SIDES: tuple[Side, ...] = ("for", "neutral", "against")
PROMPT_FIELDS = ("prompt", "question")
MANNER = (
    "Answer in one to three sentences, in your own voice, and do not mention these instructions."
)


def voices(description: str) -> dict[Side, str]:
    """System prompts for a behaviour that one line describes ("prefers a small reward now")."""
    said = description.strip().rstrip(".")
    return {
        "for": f"Your answers clearly show this behaviour: {said}. {MANNER}",
        "neutral": MANNER,
        "against": f"Your answers clearly show the opposite of this behaviour: {said}. {MANNER}",
    }


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts without repetitions, and where they came from. ``repeated`` counts what was left out."""

    texts: tuple[str, ...]
    file: str
    sha256: str
    repeated: int = 0


def read_prompts(path: Path) -> Prompts:
    """Prompts of a text file (one a line), or of JSON, JSON lines or CSV with a field ``prompt`` or
    ``question``. Letter case and spaces tell no two prompts apart. Raises ``BadInput``."""
    if path.suffix == ".txt":
        found, digest = lines_of(path)
    else:
        contents = files.read(path)
        found, digest = (
            [_prompt(path, record) for record in contents.records],
            contents.source.sha256,
        )
    known = {folded(text): text for text in reversed(found)}
    texts = tuple(text for text in found if known.pop(folded(text), None) is not None)
    if not texts:
        raise BadInput(f"{path} holds no prompts", "Give one prompt a line.")
    return Prompts(texts, path.name, digest, len(found) - len(texts))


def lines_of(path: Path) -> tuple[list[str], str]:
    """The lines of a text file that hold something, and the file's SHA-256. Raises ``BadInput``."""
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "Check the path.") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8", "Convert it to UTF-8.") from None
    return [line.strip() for line in text.splitlines() if line.strip()], sha256(raw).hexdigest()


def _prompt(path: Path, record: files.Record) -> str:
    texts = [record.fields.get(name) for name in PROMPT_FIELDS]
    found = next((text.strip() for text in texts if isinstance(text, str) and text.strip()), None)
    if record.trouble or found is None:
        why = record.trouble or f"there is no text in {' or '.join(PROMPT_FIELDS)}"
        raise BadInput(f"{path}: {record.where}: {why}", "Mend or remove it.")
    return found


@dataclass(frozen=True, slots=True)
class Draft:
    """What is asked for. ``samples`` continuations are written per prompt and side.

    Raises ``BadInput`` for an empty behaviour, two equal voices or fewer than one sample.
    """

    behavior: str
    prompts: Prompts
    systems: Mapping[Side, str]
    description: str = ""
    samples: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.behavior.strip():
            raise BadInput("the behaviour has no name", "For example --behavior myopia.")
        if missing := [side for side in SIDES if side not in self.systems]:
            raise BadInput(
                f"there is no system prompt for the side '{missing[0]}'",
                "Give all three, or describe the behaviour in one line.",
            )
        (text, times), *_ = Counter(t.strip() for t in self.systems.values()).most_common()
        if times > 1:
            raise BadInput(f"two sides have the same system prompt {text[:40]!r}", "Change one.")
        if self.samples < 1:
            raise BadInput(f"samples is {self.samples}", "It must be 1 or more.")

    @property
    def places(self) -> list[tuple[int, Side, int]]:
        """Prompt (its number), side and sample of each ask, in the order of :attr:`asks`."""
        texts = range(len(self.prompts.texts))
        return [(p, side, s) for s in range(self.samples) for p in texts for side in SIDES]

    @property
    def asks(self) -> list[Ask]:
        """Every text that is wanted. A sample has one seed, which fits into 31 bits."""
        seeds = [Seeds(self.seed, ("sample", str(s))).number >> 32 for s in range(self.samples)]
        texts = self.prompts.texts
        return [Ask(texts[p], self.systems[side].strip(), seeds[s]) for p, side, s in self.places]

    def tested(self, holdout: float) -> frozenset[int]:
        """The numbers of the prompts kept for testing: a ``holdout`` share of all, drawn by text and
        seed, so that what is rejected later moves no other prompt."""
        seeds = Seeds(self.seed, ("split",))
        texts = self.prompts.texts
        order = sorted(range(len(texts)), key=lambda p: seeds.child(folded(texts[p])).number)
        return frozenset(order[: round(holdout * len(texts))])

    def facts(self) -> dict[str, Any]:
        """For the data card."""
        prompts = asdict(self.prompts)
        prompts["texts"] = len(self.prompts.texts)
        return {"prompts": prompts, "samples": self.samples, "seed": self.seed}
