"""A model behind a server of chat completions: it can be asked, and nothing else.

Published code for such models sends a few of them their system message after the question, caps
answers at 64 tokens, a reasoning model's thoughts included, and counts five identical requests at
temperature 0 as five observations (Huang et al. 2025, "Model Editing as a Double-Edged Sword"). Here
what opens a conversation comes first, the cap is the caller's, and an answer that was given is not
asked for again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from truing.errors import NotPossible, ServerStopped, TruingError
from truing.models.answers import Answers, NoAnswers
from truing.models.asks import (
    Ask,
    Change,
    Decoding,
    Diverged,
    DivergenceAsk,
    GenerateAsk,
    Generated,
    ScoreAsk,
    Scored,
)
from truing.servers import spending
from truing.servers.openai import OpenAISettings, OpenAISpeaker
from truing.servers.reply import Reply
from truing.types import Chat, Message, Prompt

if TYPE_CHECKING:
    from truing.models.arch import Arch
    from truing.models.spans import Speller

VERSION = "served-1"
THOUGHTS = ("<think>", "</think>")
"""What some servers write around a reasoning model's thoughts, in front of its answer."""
FREE = "Ask it under free protocols: wild, wild-chat, wild-question."


@dataclass(frozen=True, slots=True)
class Kept:
    """A reply and when it came, UTC to the second."""

    reply: Reply
    at: str


_KEPT = TypeAdapter(Kept)


class ServedModel:
    """A :class:`truing.models.subject.Subject` whose weights are elsewhere.

    A prompt that is text becomes one user turn; ``system`` opens every conversation that has no
    system message of its own. ``max_tokens`` replaces the number of tokens that a question allows,
    for models that think before they answer. Stop strings are found here, in what came back, by the
    rule that local models follow. Every answer is kept on disk under a hash of server, model,
    messages and decoding as soon as it is there.
    """

    has_weights = False
    positions: int | None = None
    revision: str | None = None
    tokenizer_fingerprint = ""

    def __init__(
        self,
        model: str,
        settings: OpenAISettings,
        *,
        cache: Path,
        system: str | None = None,
        max_tokens: int | None = None,
    ) -> None:
        self.model, self.settings = model, settings
        self.name = f"openai:{model}"
        self.system, self.max_tokens = system, max_tokens
        self.answers: Answers | NoAnswers = Answers(cache / "served.sqlite3", "served answers")
        self.purse = spending.Purse(settings.prices, settings.budget_usd)
        self._speakers: dict[int, OpenAISpeaker] = {}
        self._in_force: list[Change] = []
        self._heard: dict[str, dict[str, Any]] = {}

    @property
    def facts(self) -> dict[str, Any]:
        """What is asked of whom; what answered is in :attr:`heard`."""
        asked = {
            "version": VERSION,
            "server": self.settings.base_url.rstrip("/"),
            "model": self.model,
            "system": self.system,
            "max_tokens": self.max_tokens,
            "temperature": self.settings.temperature,
        }
        return {
            "revision": None,
            "fingerprint": hashlib.sha256(json.dumps(asked).encode()).hexdigest(),
            "tokenizer": self.tokenizer_fingerprint,
            "model_type": "served",
            "dtype": "",
            "asked": asked,
        }

    @property
    def fingerprint(self) -> str:
        return str(self.facts["fingerprint"])

    @property
    def heard(self) -> dict[str, dict[str, Any]]:
        """By what the server said had answered: when the first and the last answer of this session
        were given (those from the disk cache: long ago), and the settings that it refused and that
        were therefore not sent."""
        return {name: dict(facts) for name, facts in self._heard.items()}

    @property
    def spent(self) -> spending.Spent:
        return self.purse.spent

    def resume_spending(self, before: spending.Spent) -> None:
        """Let ``before``, spent in earlier sessions, count against the budget."""
        settings = self.settings
        self.purse = spending.Purse(settings.prices, settings.budget_usd, before)
        self._speakers.clear()

    @property
    def arch(self) -> Arch:
        self._refuse("its layers are not here", "Prompts can change it: ice, instruct.")

    @property
    def hf(self) -> NoReturn:
        self._refuse("its weights are not here", "Prompts can change it: ice, instruct.")

    @property
    def speller(self) -> Speller:
        self._refuse("its tokens are not known here", FREE)

    def score(
        self, asks: Sequence[ScoreAsk], *, progress: Callable[[int], None] | None = None
    ) -> list[Scored]:
        """Raises ``NotPossible``: servers do not tell the likelihood of given texts."""
        self._refuse("it does not tell how likely a given text is", FREE)

    def generate(
        self, asks: Sequence[GenerateAsk], *, progress: Callable[[int], None] | None = None
    ) -> list[Generated]:
        """Answers, in the order of ``asks``; equal questions are asked once, many at a time.

        A question that gets no answer has an ``error``. Raises ``NotPossible`` for what :meth:`fits`
        names, and ``ServerStopped`` where no further answer can be had; those before are kept.
        """
        for ask in asks:
            if (why := self.fits(ask)) is not None:
                self._refuse(why, FREE)
        chats = [self._chat(ask.prompt, ask.under) for ask in asks]
        tokens = [self._tokens(ask.decoding) for ask in asks]
        keys = [self._key(chat, most) for chat, most in zip(chats, tokens, strict=True)]
        found = self._known(keys)
        missing: dict[int, dict[str, Chat]] = {}
        for key, chat, most in zip(keys, chats, tokens, strict=True):
            if key not in found:
                missing.setdefault(most, {})[key] = chat
        for most, wanted in missing.items():
            found |= self._asked(wanted, most)
        if progress is not None and asks:
            progress(len(asks))
        for key in dict.fromkeys(keys):
            self._note(found[key])
        return [
            generated(found[key].reply, ask.decoding) for key, ask in zip(keys, asks, strict=True)
        ]

    def divergences(
        self, asks: Sequence[DivergenceAsk], *, progress: Callable[[int], None] | None = None
    ) -> list[Diverged]:
        """Raises ``NotPossible``, as :meth:`score` does."""
        self._refuse("it does not tell how likely a given text is", FREE)

    def fits(self, ask: Ask) -> str | None:
        """Why ``ask`` cannot be answered, or ``None``."""
        if not isinstance(ask, GenerateAsk):
            return f"'{self.name}' does not tell how likely a given text is"
        if ask.decoding.top_k:
            return f"'{self.name}' answers greedily: servers do not draw from the likeliest tokens"
        if ask.under is not None and not ask.under.for_prompt(ask.prompt).prompt_only:
            return f"'{self.name}' has no weights here that an intervention could change"
        try:
            chat = self._chat(ask.prompt, ask.under)
        except TruingError as error:
            return error.what
        return None if any(m.content.strip() for m in chat) else "the prompt is empty"

    def estimate(self, asks: Sequence[GenerateAsk]) -> spending.Estimate:
        """What asking each of ``asks`` would take, answers in the cache included. Asks nobody."""
        tokens_in = tokens_out = 0
        for ask in asks:
            chat = self._chat(ask.prompt, ask.under)
            one = spending.estimate([chat], self._tokens(ask.decoding), None)
            tokens_in, tokens_out = tokens_in + one.tokens_in, tokens_out + one.tokens_out
        prices = self.settings.prices
        usd = None if prices is None else prices.usd(tokens_in, tokens_out)
        return spending.Estimate(len(asks), tokens_in, tokens_out, usd)

    def rewritten(self, prompt: Prompt, under: Change | None = None) -> Prompt:
        """The conversation as it is sent."""
        return self._chat(prompt, under)

    def render(self, prompt: Prompt, under: Change | None = None) -> str:
        """The conversation as it is sent, as text: each turn after who says it, a lone user turn
        as it is."""
        chat = self._chat(prompt, under)
        if len(chat) == 1:
            return chat[0].content
        return "\n".join(f"{message.role}: {message.content}" for message in chat)

    @contextmanager
    def using(self, change: Change) -> Iterator[ServedModel]:
        """Inside the block questions are asked under ``change`` too. Nests. Raises ``NotPossible`` for
        one that is more than words."""
        if not change.prompt_only:
            self._refuse("its weights are not here", "Prompts can change it: ice, instruct.")
        self._in_force.append(change)
        try:
            yield self
        finally:
            self._in_force.pop()

    @contextmanager
    def uncached(self) -> Iterator[ServedModel]:
        """Inside the block answers are neither read from the disk cache nor written: the server is
        asked again."""
        before, self.answers = self.answers, NoAnswers()
        try:
            yield self
        finally:
            self.answers = before

    @contextmanager
    def remembering_at_once(self) -> Iterator[None]:
        """Answers are kept one by one: they are paid for, and none depends on what it is asked with."""
        yield

    def _chat(self, prompt: Prompt, under: Change | None) -> Chat:
        chat: Prompt = (Message("user", prompt),) if isinstance(prompt, str) else prompt
        for change in (under, *reversed(self._in_force)):
            chat = chat if change is None else change.for_prompt(prompt).rewrite(chat)
        assert not isinstance(chat, str)
        if self.system and all(message.role != "system" for message in chat):
            chat = (Message("system", self.system), *chat)
        return chat

    def _tokens(self, decoding: Decoding) -> int:
        return self.max_tokens or decoding.max_new_tokens

    def _key(self, chat: Chat, most: int) -> str:
        asked = [self.facts["asked"], [asdict(message) for message in chat], most]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()

    def _known(self, keys: Sequence[str]) -> dict[str, Kept]:
        found: dict[str, Kept] = {}
        for key, text in self.answers.get(keys).items():
            try:
                found[key] = _KEPT.validate_json(text)
            except ValidationError:
                continue  # as if it were not there
        return found

    def _asked(self, wanted: Mapping[str, Chat], most: int) -> dict[str, Kept]:
        """Replies by key. Each is on disk before the next is looked at."""
        if most not in self._speakers:
            settings = replace(self.settings, max_tokens=most)
            self._speakers[most] = OpenAISpeaker(self.model, settings, self.purse)
        keys, found = list(wanted), dict[str, Kept]()
        try:
            for i, reply in self._speakers[most].replies(list(wanted.values()), ()):
                found[keys[i]] = Kept(reply, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
                if reply.text is not None:
                    text = json.dumps(asdict(found[keys[i]]), ensure_ascii=False)
                    self.answers.put({keys[i]: text})
        except TruingError as error:
            raise ServerStopped(error.what, error.next) from None
        return found

    def _note(self, kept: Kept) -> None:
        if kept.reply.text is None:
            return
        name = kept.reply.answered_by or "(it does not say)"
        seen = self._heard.setdefault(name, {"first": kept.at, "last": kept.at, "not_sent": []})
        seen["first"], seen["last"] = min(seen["first"], kept.at), max(seen["last"], kept.at)
        seen["not_sent"] = sorted({*seen["not_sent"], *kept.reply.left_out})

    def _refuse(self, why: str, way_out: str) -> NoReturn:
        said = why if why.startswith("'") else f"'{self.name}' is behind a server: {why}"
        raise NotPossible(said, way_out)


def generated(reply: Reply, decoding: Decoding) -> Generated:
    """A reply as an answer: without thoughts, and cut at the first stop string."""
    if reply.text is None:
        return Generated("", (), (), "none", reply.error or "the server gave no answer")
    text, end = reply.text, "length" if reply.ended == "length" else "eos"
    opening, closing = THOUGHTS
    if text.lstrip().startswith(opening):
        _, closed, text = text.partition(closing)
        if not closed:
            return Generated(
                "", (), (), "none", "the answer had not begun when its tokens were used up"
            )
        text = text.lstrip()
    start = len(text) - len(text.lstrip()) if decoding.arm else 0
    cuts = [at for at in (text.find(stop, start) for stop in decoding.stop if stop) if at >= 0]
    if cuts:
        text, end = text[: min(cuts)], "stop"
    return Generated(text, (), (), end)
