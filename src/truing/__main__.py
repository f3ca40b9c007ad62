"""``python -m truing`` is the ``truing`` command."""

from truing.cli.main import run

run()
