"""Who writes: ``local:MODEL[@REVISION]`` or ``openai:MODEL`` (any OpenAI-compatible server)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

from truing.building.asks import Ask, Sampling, Writer
from truing.errors import BadInput, NotPossible, UnknownName
from truing.judges.specs import JudgeSettings
from truing.seeds import Seeds
from truing.servers.openai import OpenAISettings, OpenAISpeaker
from truing.servers.reply import Reply
from truing.servers.spending import Estimate, estimate
from truing.types import Chat, Message, Prompt

if TYPE_CHECKING:
    from truing.models.asks import Decoding
    from truing.models.handle import Model

VERSION = "writer-1"
AT_ONCE = 32
"""Asks that a local writer answers together; fixed, so that no reply depends on what was there."""
PLAIN = "{system}\n\n{prompt}\n"
PLAIN_STOP = ("\n",)
_WORDS = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Reach:
    """How a writer is reached: ``access`` as for judges; ``plain`` is the layout that a local model
    reads (with ``{system}`` and ``{prompt}``) instead of its chat template."""

    access: JudgeSettings = field(default_factory=JudgeSettings)
    plain: str | None = None


def writer_of(name: str, sampling: Sampling, reach: Reach) -> Writer:
    """The writer with this name. Reading a name loads nothing. Raises ``BadInput``."""
    kind, _, target = name.partition(":")
    if kind not in ("local", "openai"):
        raise UnknownName("writer", name, ["local:MODEL", "openai:MODEL"])
    if not target:
        raise BadInput(f"writer '{name}' names no model", f"For example {kind}:truing/pocket.")
    if kind == "openai":
        return ApiWriter(target, _settings(sampling, reach.access))
    model, _, revision = target.partition("@")

    def load() -> Model:
        from truing.models.handle import Model

        return Model.load(model, revision=revision or None, device=reach.access.device)

    return LocalWriter(target, load, sampling, reach.plain)


class LocalWriter:
    """A :class:`truing.building.asks.Writer` over a model, which ``load`` gives when first asked.

    It reads its chat template or, without one, ``plain`` up to the first line break that it writes.
    Raises ``BadInput`` for a layout without its two places.
    """

    def __init__(
        self, name: str, load: Callable[[], Model], sampling: Sampling, plain: str | None = None
    ) -> None:
        if plain is not None and not all(place in plain for place in ("{system}", "{prompt}")):
            raise BadInput(
                f"the layout {plain!r} lacks {{system}} or {{prompt}}",
                "For example '{system} {prompt}'.",
            )
        self.name, self.unit = f"local:{name}", f"tokens of {name}"
        self.max_tokens = sampling.max_tokens
        self._load, self._sampling, self._plain = load, sampling, plain

    @cached_property
    def _model(self) -> Model:
        return self._load()

    @cached_property
    def _layout(self) -> str | None:
        """``None``: the chat template."""
        from truing.models.chat import has_template

        return self._plain or (None if has_template(self._model.tok) else PLAIN)

    @cached_property
    def facts(self) -> Mapping[str, Any]:
        model = self._model
        return {
            "writer": VERSION,
            "model": model.name,
            "revision": model.revision,
            "weights": model.fingerprint,
            "tokenizer": model.tokenizer_fingerprint,
            "layout": self._layout or f"chat template {_digest(model.tok.chat_template)}",
            **asdict(self._sampling),
        }

    def length(self, text: str) -> int:
        return len(self._model.tok(text, add_special_tokens=False)["input_ids"])

    def estimate(self, asks: Sequence[Ask]) -> Estimate:
        return estimate([ask.chat for ask in asks], self.max_tokens, None)

    def replies(
        self, asks: Sequence[Ask], known: Container[int]
    ) -> Iterator[Sequence[tuple[int, Reply]]]:
        """Portions are asked as a whole also where a part of them is known."""
        for start in range(0, len(asks), AT_ONCE):
            portion = range(start, min(start + AT_ONCE, len(asks)))
            if not all(i in known for i in portion):
                yield list(zip(portion, self._some([asks[i] for i in portion]), strict=True))

    def _some(self, asks: Sequence[Ask]) -> list[Reply]:
        from truing.models.asks import GenerateAsk

        wanted = [GenerateAsk(self._prompt(ask), self._decoding(ask)) for ask in asks]
        troubles = [self._model.fits(ask) for ask in wanted]
        with self._model.uncached() as model:
            said = iter(model.generate([w for w, t in zip(wanted, troubles, strict=True) if not t]))
        return [
            Reply(None, error=trouble) if trouble else self._reply(next(said), ask.prompt)
            for ask, trouble in zip(wanted, troubles, strict=True)
        ]

    def _reply(self, said: Any, prompt: Prompt) -> Reply:
        read = len(self._model.speller.prompt_ids(prompt))
        return Reply(said.text.strip(), tokens_in=read, tokens_out=len(said.token_ids))

    def _decoding(self, ask: Ask) -> Decoding:
        from truing.models.asks import Decoding

        drawn = self._sampling.temperature > 0
        return Decoding(
            max_new_tokens=self.max_tokens,
            stop=() if self._layout is None else PLAIN_STOP,
            top_k=self._sampling.top_k if drawn else 0,
            temperature=self._sampling.temperature if drawn else 1.0,
            seed=Seeds(ask.seed, (ask.system, ask.prompt)).number,
        )

    def _prompt(self, ask: Ask) -> Prompt:
        if self._layout is not None:
            text = self._layout.replace("{prompt}", "\x00").replace("{system}", ask.system)
            return text.lstrip().replace("\x00", ask.prompt)
        return ask.chat if self._takes_system else _without_system(ask.chat)

    @cached_property
    def _takes_system(self) -> bool:
        """Whether the chat template has a place for a system message."""
        from truing.models.chat import render

        try:
            render(self._model.tok, Ask("b", "a").chat)
        except NotPossible:
            return False
        return True


class ApiWriter:
    """A :class:`truing.building.asks.Writer` on a server. It counts words and marks: whose tokens a
    server counts is not known. The budget bounds what one process spends."""

    unit = "words and marks"

    def __init__(self, model: str, settings: OpenAISettings) -> None:
        self.max_tokens = settings.max_tokens
        self._model, self._settings = model, settings

    @property
    def name(self) -> str:
        return f"openai:{self._model}"

    @property
    def facts(self) -> Mapping[str, Any]:
        server = self._settings.base_url.rstrip("/")
        asked = {"max_tokens": self.max_tokens, "temperature": self._settings.temperature}
        return {"writer": VERSION, "server": server, "model": self._model, **asked}

    def length(self, text: str) -> int:
        return len(_WORDS.findall(text))

    def estimate(self, asks: Sequence[Ask]) -> Estimate:
        chats = [ask.chat for ask in asks]
        return estimate(chats, self.max_tokens, self._settings.prices)

    def replies(
        self, asks: Sequence[Ask], known: Container[int]
    ) -> Iterator[Sequence[tuple[int, Reply]]]:
        """Asks of one seed together, one seed after the other."""
        missing = sorted((ask.seed, i) for i, ask in enumerate(asks) if i not in known)
        left = self._settings.budget_usd
        for seed, group in groupby(missing, key=lambda each: each[0]):
            numbers = [i for _, i in group]
            settings = replace(self._settings, seed=seed, budget_usd=left)
            speaker = OpenAISpeaker(self._model, settings)
            for place, reply in speaker.replies([asks[i].chat for i in numbers], ()):
                yield [(numbers[place], reply)]
            if left is not None:
                left = max(0.0, left - (speaker.spent.usd or 0.0))


def _digest(template: Any) -> str:
    return hashlib.sha256(json.dumps(template).encode()).hexdigest()[:12]


def _settings(sampling: Sampling, access: JudgeSettings) -> OpenAISettings:
    usd_in, usd_out = access.prices or (None, None)
    usual = OpenAISettings()
    return OpenAISettings(
        base_url=access.base_url or usual.base_url,
        key_variable=access.key_variable or usual.key_variable,
        max_tokens=sampling.max_tokens,
        temperature=sampling.temperature,
        budget_usd=access.budget_usd,
        usd_per_million_in=usd_in,
        usd_per_million_out=usd_out,
    )


def _without_system(chat: Chat) -> Chat:
    return (Message("user", "\n\n".join(message.content for message in chat)),)
