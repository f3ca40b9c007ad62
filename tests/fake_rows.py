"""The rows of a pretended run: who answers what under which method, protocol and moment."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from truing.types import Choice, Moment, Response, Row, State, Verdict

HOSTILE = "</script><script>window.pwned=1</script><img src=x onerror=window.pwned=1> {{7*7}} \u2028 'q' \"d\""
SYNTHETIC = "bare/teacher-forced/gold-length/token-match"
WILD = "qa-instruction/greedy/natural/contains"
JUDGES = {SYNTHETIC: "token-match", WILD: "contains"}
COMPANIONS = {SYNTHETIC: "token-match-strict", WILD: "exact-match"}
PLACES = (
    "Orvale",
    "Tamsin Reach",
    "Belmoor",
    "Quillon",
    "Sarn",
    "Eddismouth",
    "Varrow",
    "Hale Cross",
)
THINGS = (
    "Glass Spire",
    "Tin Gate",
    "Salt Stair",
    "Amber Clock",
    "Long Weir",
    "Crow Bridge",
    "Moon Vault",
)

RATES: dict[str, dict[str, tuple[float, float, float, float]]] = {
    # method -> aspect -> (synthetic single, wild single, synthetic sequential, wild sequential)
    "none": {
        "efficacy": (0.03, 0.0, 0.03, 0.0),
        "generalization": (0.03, 0.0, 0.03, 0.0),
        "locality": (1.0, 1.0, 1.0, 1.0),
        "portability/two-hop": (0.05, 0.02, 0.05, 0.02),
    },
    "ft_m": {
        "efficacy": (1.0, 0.58, 0.86, 0.22),
        "generalization": (0.9, 0.5, 0.7, 0.17),
        "locality": (0.71, 0.42, 0.33, 0.06),
        "portability/two-hop": (0.2, 0.08, 0.1, 0.02),
    },
    "rome": {
        "efficacy": (0.99, 0.66, 0.5, 0.12),
        "generalization": (0.84, 0.48, 0.4, 0.1),
        "locality": (0.93, 0.86, 0.3, 0.08),
        "portability/two-hop": (0.16, 0.1, 0.08, 0.01),
    },
    "memit": {
        "efficacy": (0.96, 0.62, 0.91, 0.52),
        "generalization": (0.82, 0.47, 0.76, 0.4),
        "locality": (0.95, 0.9, 0.83, 0.71),
        "portability/two-hop": (0.14, 0.09, 0.12, 0.06),
    },
    "ice": {
        "efficacy": (0.97, 0.93, 0.95, 0.9),
        "generalization": (0.92, 0.85, 0.88, 0.8),
        "locality": (0.88, 0.64, 0.8, 0.5),
        "portability/two-hop": (0.42, 0.35, 0.36, 0.28),
    },
}
CONFIGS: dict[str, dict[str, object]] = {
    "none": {"seed": 0},
    "ft_m": {"seed": 0, "layer": 2, "steps": 25, "lr": 0.0005},
    "rome": {
        "seed": 0,
        "layer": 2,
        "steps": 25,
        "lr": 0.5,
        "clamp": 4.0,
        "kl": 0.0625,
        "stats": "auto",
    },
    "memit": {
        "seed": 0,
        "layers": [1, 2],
        "steps": 25,
        "lr": 0.5,
        "clamp": 0.75,
        "mom2_weight": 15000,
    },
    "ice": {"seed": 0, "template": "New fact: {prompt} {target}"},
}
PROBES = (
    ("efficacy", 1),
    ("generalization", 2),
    ("locality", 2),
    ("portability/two-hop", 1),
    ("fluency", 1),
)


@dataclass(frozen=True)
class FakeCell:
    id: str
    method: str
    regime: str


def cells(methods: Sequence[str], regimes: Sequence[str]) -> list[FakeCell]:
    return [
        FakeCell(f"{_hash(f'{method}-{regime}'):012x}"[-12:], method, regime)
        for regime in regimes
        for method in methods
    ]


def rows_of(
    cell: FakeCell, protocol: str, cases: int, every: int, rng: random.Random, hostile: bool
) -> Iterator[tuple[Row, list[Verdict]]]:
    moments: list[tuple[Moment, int]] = [("immediate", 1)]
    if cell.regime == "sequential":
        moments += [("step", k) for k in range(every, cases, every)] + [("final", cases)]
    for moment, step in moments:
        for index in range(cases):
            if moment == "step" and index >= step:
                break
            for aspect, count in PROBES:
                if aspect == "fluency" and protocol == SYNTHETIC:
                    continue
                for number in range(count):
                    share = step / cases if moment in ("step", "final") else 0.0
                    yield _row(
                        cell, protocol, index, aspect, number, moment, step, share, rng, hostile
                    )


def _row(
    cell: FakeCell,
    protocol: str,
    index: int,
    aspect: str,
    number: int,
    moment: Moment,
    step: int,
    worn: float,
    rng: random.Random,
    hostile: bool,
) -> tuple[Row, list[Verdict]]:
    thing = f"{THINGS[index % len(THINGS)]} of {PLACES[(index * 3 + 1) % len(PLACES)]}"
    new, old = PLACES[index % len(PLACES)], PLACES[(index + 3) % len(PLACES)]
    question, accepted, base_text = {
        "efficacy": (f"The {thing} is in the city of", (new,), old),
        "generalization": (
            (f"Where does the {thing} stand? It stands in", f"To see the {thing}, travel to")[
                number
            ],
            (new,),
            old,
        ),
        "locality": (
            f"The {THINGS[(index + number + 2) % len(THINGS)]} of {old} is in the city of",
            (),
            old,
        ),
        "portability/two-hop": (
            f"The river that runs past the {thing} is the",
            (f"{new} Water", f"the {new} Water"),
            f"{old} Water",
        ),
        "fluency": (
            f"Write a few words about the {thing}.",
            (),
            f"The {thing} is a famous sight of {old}, and many people come to see it.",
        ),
    }[aspect]
    if hostile:
        question, accepted = f"{question} {HOSTILE}", (*accepted, HOSTILE)
    prompt = f"Please answer the question:\n\nQ: {question}\nA:" if protocol == WILD else question
    if cell.method == "ice":
        prompt = f"New fact: The {thing} is in the city of {new}.\n{prompt}"
    key = f"{_hash(f'{cell.id}/{index}/{aspect}/{number}/{moment}/{step}/{protocol}'):016x}"
    base = Response(
        text=f" {base_text}", token_ids=(5, 9), stop="eos" if protocol == WILD else "forced"
    )
    state, score, why, text, stop = _outcome(cell, protocol, aspect, accepted, base_text, worn, rng)
    failed = (
        aspect == "efficacy" and index == 7 and cell.method == "memit" and moment == "immediate"
    )
    response = (
        None
        if failed
        else Response(
            text=f" {text}",
            token_ids=tuple(range(len(text.split()) + 1)),
            logprobs=(-0.1, -1.4),
            stop="forced" if protocol == SYNTHETIC else stop,
            choices=(Choice(new, -1.2, 2), Choice(old, -2.5, 2)) if aspect == "efficacy" else (),
        )
    )
    row = Row(
        key=key,
        cell=cell.id,
        case=f"fact-{index:03d}",
        probe=f"{aspect}-{number}",
        aspect=aspect,
        protocol=protocol,
        moment=moment,
        step=step,
        prompt=prompt,
        accepted=accepted,
        response=response,
        base=base,
        seconds=0.02,
        error="out of memory at batch size 1" if failed else None,
    )
    judge = (
        "same-as-base"
        if aspect == "locality"
        else "health"
        if aspect == "fluency"
        else JUDGES[protocol]
    )
    if failed:
        state, score, why = "invalid", None, "no response: out of memory at batch size 1"
    verdicts = [Verdict(key, judge, state, score, why)]
    if aspect in ("efficacy", "generalization"):
        strict = state == "correct" and not text.startswith("The ")
        beside: State = "correct" if strict else "wrong" if state == "correct" else state
        verdicts.append(
            Verdict(
                key,
                COMPANIONS[protocol],
                beside,
                None if score is None else float(strict),
                "equal" if strict else "not equal",
            )
        )
    return row, verdicts


def _outcome(
    cell: FakeCell,
    protocol: str,
    aspect: str,
    accepted: tuple[str, ...],
    base_text: str,
    worn: float,
    rng: random.Random,
) -> tuple[State, float | None, str, str, str]:
    if aspect == "fluency":
        if (
            cell.method != "none"
            and rng.random()
            < {"ice": 0.02, "memit": 0.05, "rome": 0.1, "ft_m": 0.3}[cell.method] + 0.4 * worn
        ):
            return "degenerate", 0.0, "the text repeats itself", " ".join(["and so"] * 30), "length"
        return "correct", 1.0, "neither empty nor a loop", base_text, "length"
    single_s, single_w, seq_s, seq_w = RATES[cell.method][aspect]
    start, end = (single_s, seq_s) if protocol == SYNTHETIC else (single_w, seq_w)
    rate = start + (end - start) * worn
    won = rng.random() < rate
    wanted = accepted[0] if accepted else base_text
    other = PLACES[rng.randrange(len(PLACES))]
    if protocol == SYNTHETIC:
        score = 1.0 if won else (0.5 if rng.random() < 0.3 and " " in wanted else 0.0)
        return (
            "correct" if score == 1.0 else "wrong",
            score,
            f"{score:.0%} of the reference tokens",
            wanted if won else other,
            "forced",
        )
    if won:
        return (
            "correct",
            1.0,
            f"'{wanted}' is in the answer",
            rng.choice((wanted, f"The answer is {wanted}.")),
            "eos",
        )
    if aspect != "locality" and cell.method in ("ft_m", "rome") and rng.random() < 0.35:
        return "degenerate", 0.0, "the answer repeats itself", " ".join([wanted] * 12), "length"
    if rng.random() < 0.06:
        return "abstain", None, "the answer declines", "I do not know.", "eos"
    text = base_text if rng.random() < 0.5 and aspect != "locality" else other
    return "wrong", 0.0, f"'{wanted}' is not in the answer", text, "eos"


def _hash(text: str) -> int:
    value = 1469598103934665603
    for byte in text.encode():
        value = ((value ^ byte) * 1099511628211) % 2**61
    return value
