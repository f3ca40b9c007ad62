"""The ``truing`` command: one small module per verb, imported when the verb runs.

``truing --help`` imports no torch. Errors that a user can meet end in two lines on stderr, without
a traceback; ``TRUING_DEBUG=1`` shows it.
"""

from __future__ import annotations

import os
import sys
from inspect import getdoc
from typing import Annotated

import typer

from truing import __version__
from truing.cli import (
    ask,
    audit,
    axbench,
    calibrate,
    capability,
    classifier,
    data,
    doctor,
    edit,
    export,
    groups,
    import_,
    inspect,
    judge,
    longform,
    ls,
    people,
    personality,
    pocket,
    report,
    reproduce,
    resistance,
    review,
    run_plan,
    stats,
    steer,
    summarize,
    trace,
    train,
    tune,
)
from truing.errors import BadInput, TruingError

app = typer.Typer(
    name="truing",
    help="Change one thing in a language model, then measure everything that moved.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
app.command("ls")(ls.ls)
app.command("edit")(edit.edit)
app.command("ask")(ask.ask)
app.command("run")(run_plan.run)
app.command("judge")(judge.judge)
app.command("calibrate")(calibrate.calibrate)
app.command("report")(report.report)
app.command("capability")(capability.capability)
app.command("export")(export.export)
app.command("import")(import_.import_vectors)
app.command("reproduce")(reproduce.reproduce)
app.command("trace")(trace.trace)
app.command("tune")(tune.tune)
app.command("audit")(audit.audit)
app.command("inspect")(inspect.inspect)
app.command("resistance")(resistance.resistance)
app.command("groups")(groups.groups)
app.command("summarize")(summarize.summarize)
app.command("doctor")(doctor.doctor)
app.add_typer(people.app, name="people")
app.add_typer(personality.app, name="personality")
app.add_typer(steer.app, name="steer")
app.add_typer(axbench.app, name="axbench")
app.add_typer(stats.app, name="stats")
app.add_typer(train.app, name="train")
app.add_typer(classifier.app, name="classifier")
app.add_typer(review.app, name="review")
app.add_typer(longform.app, name="longform")
app.add_typer(data.app, name="data")
app.add_typer(pocket.app, name="pocket")


def _flowing(verbs: typer.Typer) -> None:
    """Let the lines of a paragraph of help run on; in the code they end where its lines end."""
    for command in verbs.registered_commands:
        paragraphs = (getdoc(command.callback) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(each.split()) for each in paragraphs)
    for group in verbs.registered_groups:
        if group.typer_instance is not None:
            _flowing(group.typer_instance)


_flowing(app)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"truing {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Change one thing in a language model, then measure everything that moved."""


def run() -> None:
    """Entry point: run the command and turn errors into two lines and an exit code.

    Exit codes: 0 done; 1 the work failed; 2 the input was wrong; 3 an audit found something; 4 a
    requirement is not met; 130 interrupted.
    """
    try:
        app(standalone_mode=True)
    except TruingError as error:
        if os.environ.get("TRUING_DEBUG"):
            raise
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2 if isinstance(error, BadInput) else 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    except Exception as error:
        if os.environ.get("TRUING_DEBUG"):
            raise
        sys.stderr.write(
            f"error: unexpected {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}\n"
            "This is a fault in Truing. TRUING_DEBUG=1 shows where; please report it.\n"
        )
        sys.exit(70)
