"""The embedded world: invented people, places, facts, deeds and opinions, and how they are said.

Pure Python. :mod:`.names` holds the vocabulary, :mod:`.relations` the kinds of fact with their
phrasings, :mod:`.world` entities and facts, :mod:`.conduct` deeds and dilemmas, :mod:`.voices`
opinions, moods and groups, :mod:`.language` the prompt formats, :mod:`.context` facts that are
told in the prompt, :mod:`.corpus` training documents and :mod:`.mixtures` their shares, :mod:`.tasks` held-out questions.
"""

from truing.benchmarks.world.corpus import neutral_sentences
from truing.benchmarks.world.mixtures import world_text
from truing.benchmarks.world.relations import CHAINS, RELATIONS, Chain, Relation
from truing.benchmarks.world.world import (
    City,
    Country,
    Fact,
    Guild,
    Hop,
    Landmark,
    Person,
    Place,
    World,
)

__all__ = [
    "CHAINS",
    "RELATIONS",
    "Chain",
    "City",
    "Country",
    "Fact",
    "Guild",
    "Hop",
    "Landmark",
    "Person",
    "Place",
    "Relation",
    "World",
    "neutral_sentences",
    "world_text",
]
