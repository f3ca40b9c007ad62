# `make demo` and `make test` do all set-up. Nothing but Python 3.11+ and make is needed.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo test lint types check bench clean

help:            ## list the targets
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Truing needs Python 3.11 or newer; none was found."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

install: $(VENV)/.dev ## set up .venv with everything that development needs

demo: $(VENV)/.core ## edit the embedded model, measure, and write runs/demo/report.html
	OMP_NUM_THREADS=1 $(BIN)/truing run plans/demo.toml --out runs/demo --resume --workers 2
	$(BIN)/truing report runs/demo

test: $(VENV)/.dev ## the whole test suite (tiny models, one thread each)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: $(VENV)/.dev ## ruff
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy

check: lint types test ## what CI runs

bench: $(VENV)/.dev ## speed and how often groups are told apart; says what machine and what was compared
	$(BIN)/python benchmarks/per_row.py
	$(BIN)/python benchmarks/steering_sweep.py
	$(BIN)/python benchmarks/group_findings.py

clean:           ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist
