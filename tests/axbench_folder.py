"""A small folder in AxBench's layout, about moods that the embedded model knows."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import duckdb

from truing.benchmarks.world import names
from truing.benchmarks.world.voices import CHEERFUL, GLOOMY, SCENES

CONCEPTS = ("a cheerful mood", "a gloomy mood")
GENRES = ("text", "math")
Rows = list[dict[str, Any]]
COLUMNS = {
    "input": "VARCHAR",
    "output": "VARCHAR",
    "output_concept": "VARCHAR",
    "concept_genre": "VARCHAR",
    "category": "VARCHAR",
    "concept_id": "BIGINT",
}


def row(question: str, answer: str, category: str, concept: int, genre: str) -> Any:
    return {
        "input": question,
        "output": answer,
        "output_concept": "EEEEE" if concept < 0 else CONCEPTS[concept],
        "concept_genre": genre,
        "category": category,
        "concept_id": concept,
    }


def moods(count: int) -> tuple[Rows, Rows]:
    """Training and evaluation rows, ``count`` of each kind for each concept: all of the first and of
    the second half of the world's sentences. Each concept has a genre of its own, whose texts without
    a concept are of the other mood."""
    train: Rows = []
    held: Rows = []
    for part, rows in enumerate((train, held)):
        scenes = [s.format(c=c) for s, c in product(SCENES[part::2], names.CITIES[part::2])][:count]
        for concept, said in enumerate((CHEERFUL, GLOOMY)):
            own, other = said[part::2], (GLOOMY, CHEERFUL)[concept][part::2]
            for i, scene in enumerate(scenes):
                genre, without = GENRES[concept], -1 if rows is train else concept
                rows.append(row(scene, own[i % len(own)], "positive", concept, genre))
                rows.append(row(scene, other[i % len(other)], "negative", without, genre))
    held.append(row(held[0]["input"], GLOOMY[0], "hard negative", 0, "text"))
    return train, held


def write(folder: Path, train: Rows, held: Rows, begin: str = "") -> Path:
    """The three files."""
    folder.mkdir(parents=True, exist_ok=True)
    concepts = [
        {"concept_id": i, "concept": text, "ref": "", "concept_genres_map": {text: [GENRES[i]]}}
        for i, text in enumerate(CONCEPTS)
    ]
    lines = "".join(json.dumps(concept) + "\n" for concept in concepts)
    (folder / f"{begin}metadata.jsonl").write_text(lines, "utf-8")
    for name, rows in (("train", train), ("latent_eval", held)):
        flat = folder / "flat.jsonl"
        flat.write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
        source = f"read_json('{flat}', format='newline_delimited', columns={COLUMNS!r})"
        with duckdb.connect() as db:
            db.execute(
                f"COPY (SELECT * FROM {source}) TO '{folder / f'{begin}{name}.parquet'}' (FORMAT parquet)"
            )
        flat.unlink()
    return folder


def instructions(path: Path, count: int) -> Path:
    """Scenes to go on from, none of them trained."""
    scenes = [s.format(c=c) for s, c in product(SCENES[1::2], names.CITIES[1::2])][-count:]
    path.write_text("".join(json.dumps({"instruction": s}) + "\n" for s in scenes), "utf-8")
    return path
