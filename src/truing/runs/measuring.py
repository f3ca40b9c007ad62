"""From cases and the interventions they are asked under to rows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from truing.errors import TruingError
from truing.interventions.intervention import Intervention
from truing.models.subject import Subject
from truing.protocols.protocol import KL, Protocol
from truing.protocols.questions import Question, next_ask_for, shown
from truing.runs.asking import Answer, Asked, Unanswered, answers, questions
from truing.runs.capability import Protocols
from truing.runs.keys import Keys
from truing.runs.making import Failed, Made
from truing.runs.schedule import Sheet
from truing.seeds import Seeds
from truing.types import Probe, Response, Row

Asking = Question | Unanswered


@dataclass(frozen=True, slots=True)
class Line:
    """One row to be: a probe of sheet ``index`` under one protocol."""

    index: int
    of: Sheet
    protocol: Protocol
    probe: Probe


@dataclass(frozen=True)
class Measuring:
    """How the rows of one cell are made."""

    model: Subject
    cell: str
    keys: Keys
    protocols: Protocols
    seeds: Seeds

    def expected(self, sheets: Sequence[Sheet]) -> Iterator[str]:
        """The keys of the rows that these sheets give."""
        return (self._key(line) for line in self._lines(sheets))

    def rows(self, sheets: Sequence[Sheet], under: Sequence[Made]) -> list[Row]:
        """Rows of all probes under all protocols, sheet i asked under ``under[i]``, in mixed
        batches. Sheets whose edit failed give rows that say so."""
        lines = list(self._lines(sheets))
        opening, base = self._unedited(lines)
        return self._edited(lines, opening, base, [under[line.index] for line in lines])

    def rows_under(self, sheets: Sequence[Sheet], total: Intervention) -> list[Row]:
        """The same with every sheet under ``total``, which the whole model carries meanwhile.

        What is compared with the base model needs both at hand and is asked before."""
        lines = list(self._lines(sheets))
        if total.prompt_only:
            opening, base = self._unedited(lines)
            return self._edited(lines, opening, base, [total] * len(lines))
        compared = [line for line in lines if line.protocol.scorer == KL]
        rest = [line for line in lines if line.protocol.scorer != KL]
        opening, base = self._unedited(compared)
        rows = self._edited(compared, opening, base, [total] * len(compared))
        opening, base = self._unedited(rest)
        with self.model.using(total):
            return rows + self._edited(rest, opening, base, [None] * len(rest))

    def unedited(self, sheets: Sequence[Sheet]) -> dict[str, Answer]:
        """What the model answers without any edit, by the keys of the rows."""
        lines = list(self._lines(sheets))
        _, base = self._unedited(lines)
        return {self._key(line): answer for line, answer in zip(lines, base, strict=True)}

    def _lines(self, sheets: Sequence[Sheet]) -> Iterator[Line]:
        for i, sheet in enumerate(sheets):
            for protocol, probe in self.protocols.of(sheet.case.probes):
                yield Line(i, sheet, protocol, probe)

    def _unedited(self, lines: Sequence[Line]) -> tuple[dict[int, Asking], list[Answer]]:
        """The questions that open, and what the model answers to all without any edit."""
        first = [i for i, line in enumerate(lines) if line.probe.follows is None]
        wanted = [(lines[i].protocol, lines[i].probe) for i in first]
        seeds = [self._seed(lines[i]) for i in first]
        opening = dict(zip(first, questions(self.model, wanted, seeds), strict=True))
        return opening, self._talk(lines, opening, [None] * len(lines))[1]

    def _edited(
        self,
        lines: Sequence[Line],
        opening: Mapping[int, Asking],
        base: Sequence[Answer],
        under: Sequence[Made | None],
    ) -> list[Row]:
        begun = time.perf_counter()
        asked, told = self._talk(lines, opening, under)
        seconds = (time.perf_counter() - begun) / max(1, len(lines))
        return [
            self._row(line, self._prompt(question, change), answer, unedited, seconds)
            for line, question, change, answer, unedited in zip(
                lines, asked, under, told, base, strict=True
            )
        ]

    def _talk(
        self,
        lines: Sequence[Line],
        opening: Mapping[int, Asking],
        under: Sequence[Made | None],
    ) -> tuple[list[Asking], list[Answer]]:
        """All questions and answers: those that open conversations, then turn after turn, each after
        what the model answered before."""
        asked, told = dict(opening), dict[int, Answer]()
        at = {(line.index, line.protocol.id, line.probe.id): i for i, line in enumerate(lines)}
        turn = list(opening)
        while turn:
            answered = self._answers(
                [lines[i] for i in turn], [asked[i] for i in turn], [under[i] for i in turn]
            )
            told |= dict(zip(turn, answered, strict=True))
            turn = []
            for i, line in enumerate(lines):
                before = at.get((line.index, line.protocol.id, line.probe.follows or ""))
                if i not in asked and before in told:
                    asked[i] = _next(line, asked[before], told[before])
                    turn.append(i)
        lost = Unanswered("the question that it follows is not asked")
        everything = range(len(lines))
        return [asked.get(i, lost) for i in everything], [told.get(i, lost) for i in everything]

    def _answers(
        self,
        lines: Sequence[Line],
        asked: Sequence[Asking],
        under: Sequence[Made | None],
    ) -> list[Answer]:
        found: dict[int, Answer] = {}
        can: dict[int, Asked] = {}
        for i, (question, change) in enumerate(zip(asked, under, strict=True)):
            if isinstance(change, Failed):
                found[i] = Unanswered(change.reason)
            elif isinstance(question, Unanswered):
                found[i] = question
            else:
                can[i] = Asked(question, change, self._seed(lines[i]))
        found |= dict(zip(can, answers(self.model, list(can.values())), strict=True))
        return [found[i] for i in range(len(asked))]

    def _prompt(self, question: Asking, change: Made | None) -> str:
        """The text as sent; of a question that cannot be sent, what is known of it."""
        if isinstance(question, Unanswered):
            return ""
        try:
            return self.model.render(
                question.prompt, None if isinstance(change, Failed) else change
            )
        except TruingError:
            return question.prompt if isinstance(question.prompt, str) else ""

    def _key(self, line: Line) -> str:
        sheet = line.of
        return self.keys.row(
            sheet.made_from, sheet.case, line.probe, line.protocol.id, sheet.moment, sheet.step
        )

    def _seed(self, line: Line) -> int:
        return self.seeds.child(line.of.case.id).child(line.probe.id).child("decoding").number

    def _row(self, line: Line, prompt: str, told: Answer, base: Answer, seconds: float) -> Row:
        return Row(
            key=self._key(line),
            cell=self.cell,
            case=line.of.case.id,
            probe=line.probe.id,
            aspect=line.probe.aspect,
            protocol=line.protocol.id,
            moment=line.of.moment,
            step=line.of.step,
            prompt=prompt,
            accepted=line.probe.accepted,
            response=told if isinstance(told, Response) else None,
            base=base if isinstance(base, Response) else None,
            group=line.probe.group,
            seconds=seconds if isinstance(told, Response) else None,
            error=told.reason if isinstance(told, Unanswered) else None,
            question=shown(line.probe.prompt),
            choices=() if line.protocol.forced else line.probe.choices,
        )


def _next(line: Line, before: Asking, answer: Answer) -> Asking:
    """The question of the next turn, after what was asked and answered before."""
    if isinstance(before, Unanswered) or isinstance(answer, Unanswered):
        return Unanswered("the question before it has no answer")
    try:
        return next_ask_for(line.protocol, line.probe, before, answer.text.strip())
    except TruingError as error:
        return Unanswered(error.what)
