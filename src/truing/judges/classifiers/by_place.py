"""Is a trait told by what is said, or by how the texts of one round were written?

Opinions stand in lists; those of one place in all lists were often made together. A classifier that
learned from the other places and falls on one has met another style there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from truing.judges.classifiers.examples import Example, split
from truing.judges.classifiers.measures import Evaluation
from truing.judges.classifiers.tfidf import TfidfSettings
from truing.judges.classifiers.train import train_tfidf


def by_place(
    learn: Mapping[int, Sequence[Example]],
    measure: Mapping[int, Sequence[Example]],
    held_out: int,
    *,
    seed: int = 0,
) -> dict[int, Evaluation]:
    """How well a tfidf classifier does at each place of ``measure``, having learned from those of
    ``learn`` but ``held_out``. Keys are places in a list. The texts of both must not overlap.

    Raises ``BadInput`` where nothing is left to learn from.
    """
    kept = [e for place, examples in learn.items() if place != held_out for e in examples]
    learned = train_tfidf(split(kept, seed=seed, test=0.0), TfidfSettings())
    return {place: learned.evaluate(examples) for place, examples in sorted(measure.items())}
