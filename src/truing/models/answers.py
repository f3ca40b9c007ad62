"""The disk cache of base answers: one SQLite file, safe under concurrent processes.

Keys are content hashes that hold everything that decides an answer, the current weights included,
so nothing is ever invalidated. A file that cannot be read is set aside; a folder that cannot be
written switches the cache off with a warning. Neither stops a run.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from truing.errors import TruingWarning
from truing.models.asks import Decoding

if TYPE_CHECKING:
    from truing.models.handle import Model

SCHEMA = 1
BUSY_SECONDS = 30.0
PER_QUERY = 500
T = TypeVar("T")


class NoAnswers:
    """A cache that holds nothing."""

    on = False

    def get(self, keys: Sequence[str]) -> dict[str, str]:
        return {}

    def put(self, items: Mapping[str, str]) -> None:
        return None


class Answers:
    """Texts by key in ``path``. Every call opens and closes the file: nothing is held or shared.

    ``what`` says in warnings what is stored.
    """

    def __init__(self, path: Path, what: str = "base answers") -> None:
        self.path = path
        self._what = what
        self.on = True

    def get(self, keys: Sequence[str]) -> dict[str, str]:
        """The stored texts of those ``keys`` that are known."""
        wanted = list(dict.fromkeys(keys))

        def read(db: sqlite3.Connection) -> dict[str, str]:
            found: dict[str, str] = {}
            for at in range(0, len(wanted), PER_QUERY):
                part = wanted[at : at + PER_QUERY]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, text FROM answers WHERE key IN ({marks})"
                for key, text in db.execute(query, part):
                    if isinstance(text, str):
                        found[key] = text
            return found

        return self._do(read, {}) if wanted and self.path.exists() else {}

    def put(self, items: Mapping[str, str]) -> None:
        """Store texts; a key that is there already keeps its text."""

        def write(db: sqlite3.Connection) -> None:
            with db:
                db.executemany("INSERT OR IGNORE INTO answers VALUES (?, ?)", list(items.items()))

        if items:
            self._do(write, None)

    def _do(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        if not self.on:
            return otherwise
        for again in (True, False):
            try:
                with self._open() as db:
                    return work(db)
            except sqlite3.DatabaseError as error:
                damaged = not isinstance(error, sqlite3.OperationalError)
                if damaged and again and self._set_aside(error):
                    continue
                self._off(error)
            except OSError as error:
                self._off(error)
            break
        return otherwise

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as db:
            if db.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:
                with db:
                    db.execute(
                        "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, text TEXT) "
                        "WITHOUT ROWID"
                    )
                    db.execute(f"PRAGMA user_version = {SCHEMA}")
            yield db

    def _set_aside(self, error: Exception) -> bool:
        for number in range(1, 100):
            aside = self.path.with_name(f"{self.path.name}.damaged-{number}")
            if not aside.exists():
                break
        try:
            self.path.replace(aside)
        except OSError:
            return False
        warnings.warn(
            f"the cache of {self._what} {self.path} cannot be read ({error}); it is now "
            f"{aside.name} and a new one is begun",
            TruingWarning,
            stacklevel=2,
        )
        return True

    def _off(self, error: Exception) -> None:
        self.on = False
        warnings.warn(
            f"{self._what} are not cached: {self.path}: {error}. Set TRUING_CACHE to a folder "
            "that can be written",
            TruingWarning,
            stacklevel=2,
        )


class Pending:
    """A cache whose new texts wait in ``new`` until somebody puts them into ``store``."""

    def __init__(self, store: Answers | NoAnswers | Pending) -> None:
        self._store = store
        self.new: dict[str, str] = {}

    @property
    def on(self) -> bool:
        return self._store.on

    def get(self, keys: Sequence[str]) -> dict[str, str]:
        here = {key: self.new[key] for key in keys if key in self.new}
        rest = [key for key in keys if key not in here]
        return {**self._store.get(rest), **here}

    def put(self, items: Mapping[str, str]) -> None:
        self.new.update(items)


def model_facts(model: Model) -> str | None:
    """A hash of everything about the model that decides its answers; ``None``: do not cache.

    Read anew for every call, so that weights that somebody edits in place are noticed. While a
    change is in force, or somebody's hooks are on the model, there is nothing to cache.
    """
    if not model.answers.on or model.in_force or model.hooked:
        return None
    config = model.hf.config.to_dict()
    for name in ("_name_or_path", "transformers_version", "dtype", "torch_dtype"):
        config.pop(name, None)
    facts = [
        SCHEMA,
        model.fingerprint,
        model.tokenizer_fingerprint,
        config,
        str(model.hf.config._attn_implementation),
        model.device.type,
        sorted(model.stop_ids),
    ]
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def base_key(
    facts: str, kind: str, ids: Sequence[int], start: int, decoding: Decoding | None
) -> str:
    """The cache key of one question to the base model."""
    question = [facts, kind, list(ids), start, None if decoding is None else astuple(decoding)]
    return hashlib.sha256(json.dumps(question).encode()).hexdigest()
