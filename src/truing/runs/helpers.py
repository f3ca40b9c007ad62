"""Several processes at one run: the cells are shared out, each process has the model to itself.

The owner of the run folder works too. It alone writes the manifest; every helper writes its rows to
files of its own and tells the owner what it does. Which process does a cell changes nothing about
its rows. A helper that lost its owner ends at once, however the owner went.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Protocol

import torch

from truing.errors import BadInput, StoreError, TruingError
from truing.models.subject import Subject
from truing.runs.cells import AnyModelSpec, Cell
from truing.runs.desk import RunDesk
from truing.runs.interrupts import Interrupts
from truing.runs.prepare import Prepared
from truing.runs.store import Store
from truing.runs.work import CellWork, Message

LoadModel = Callable[[Any], Subject]
PATIENCE = 30.0
"""Seconds that a helper has for finishing what it is writing."""


def nothing() -> None:
    """Set up nothing."""


@dataclass(frozen=True)
class Workers:
    """How many processes share a run's cells, each with ``torch``'s threads divided by their number.
    Helpers are new interpreters: ``set_up`` is called first in each, to register what the plan
    names. It and a run's ``load`` must be picklable."""

    count: int = 1
    set_up: Callable[[], None] = nothing


class Counter(Protocol):
    """A number that processes share."""

    value: int

    def get_lock(self) -> Any: ...


@dataclass(frozen=True)
class Claims:
    """Hands every cell to one worker only: iterate over it in each. ``taken`` is shared."""

    cells: tuple[Cell, ...]
    taken: Counter

    def __iter__(self) -> Iterator[Cell]:
        while True:
            with self.taken.get_lock():
                number = self.taken.value
                self.taken.value += 1
            if number >= len(self.cells):
                return
            yield self.cells[number]


@dataclass(frozen=True)
class Order:
    """What a helper is to do."""

    prepared: Prepared
    spec: AnyModelSpec
    facts: Mapping[str, Any]
    folder: Path
    claims: Claims
    load: LoadModel
    set_up: Callable[[], None]
    threads: int


@dataclass(frozen=True)
class Ended:
    """A helper's last message."""

    worker: int
    trouble: BaseException | None = None


class Helpers:
    """The helpers of one model's cells, running. The owner reads :meth:`messages` now and then."""

    def __init__(self, processes: Sequence[SpawnProcess], outbox: Any) -> None:
        self._running = dict(enumerate(processes, 1))
        self._outbox = outbox

    def messages(self, *, to_the_end: bool = False) -> Iterator[Message]:
        """What has been told since; with ``to_the_end``, also what will be, until all are done.

        Raises what a helper raised, and ``StoreError`` for one that died."""
        while self._running:
            try:
                message = self._outbox.get(timeout=0.2) if to_the_end else self._outbox.get_nowait()
            except queue.Empty:
                self._refuse_dead()
                if not to_the_end:
                    return
                continue
            if not isinstance(message, Ended):
                yield message
                continue
            self._running.pop(message.worker).join()
            if message.trouble is not None:
                raise message.trouble

    def stop(self) -> None:
        """Let them finish what they are writing."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.join(PATIENCE)
            process.kill()

    def _refuse_dead(self) -> None:
        for number, process in self._running.items():
            if process.exitcode is not None and self._outbox.empty():
                raise StoreError(
                    f"worker {number} of the run died (exit status {process.exitcode}); "
                    "out of memory is the usual reason",
                    "Go on with --resume and fewer --workers.",
                )


@contextmanager
def helpers(workers: Workers, order: Order) -> Iterator[Helpers]:
    """Helpers at work on ``order`` meanwhile; what they do not claim is the owner's."""
    context = multiprocessing.get_context("spawn")
    outbox = context.Queue()
    processes = [
        context.Process(target=_help, args=(number, order, outbox), daemon=True)
        for number in range(1, workers.count)
    ]
    for process in processes:
        process.start()
    running = Helpers(processes, outbox)
    try:
        yield running
    finally:
        running.stop()


def counter() -> Counter:
    """Zero, to be shared with helpers."""
    found: Counter = multiprocessing.get_context("spawn").Value("i", 0)
    return found


def _help(number: int, order: Order, outbox: Any) -> None:
    """A helper's whole life. Ctrl-C reaches all processes; the owner decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_owner, daemon=True).start()
    trouble: BaseException | None = None
    try:
        with Interrupts((signal.SIGTERM,)) as interrupts:
            _work(number, order, outbox, interrupts)
    except KeyboardInterrupt:
        pass
    except TruingError as error:
        trouble = error
    except Exception as error:  # whatever it is, the owner must know and say it
        trouble = RuntimeError(f"worker {number}: {type(error).__name__}: {error}")
    outbox.put(Ended(number, trouble))


def _work(number: int, order: Order, outbox: Any, interrupts: Interrupts) -> None:
    order.set_up()
    torch.set_num_threads(order.threads)
    with Store(order.folder, worker=number) as store:
        model = order.load(order.spec)
        if model.facts != order.facts:
            raise BadInput(
                f"worker {number} loads another model than the run's owner",
                "Its files changed meanwhile; start again.",
            )
        desk = RunDesk(store, interrupts, outbox.put, order.prepared.plan.judges)
        work = CellWork(order.prepared, model, order.facts, order.folder, desk)
        for message in work.messages(order.claims):
            outbox.put(message)


def _end_with_owner() -> None:
    owner = multiprocessing.parent_process()
    assert owner is not None
    connection.wait([owner.sentinel])
    os._exit(1)


@contextmanager
def threads_shared(count: int) -> Iterator[int]:
    """torch's threads divided by ``count`` meanwhile; how many that is."""
    before = torch.get_num_threads()
    share = max(1, before // count)
    torch.set_num_threads(share)
    try:
        yield share
    finally:
        torch.set_num_threads(before)
