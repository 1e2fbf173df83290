# make demo   set up, and make a signed release of the sample hospital table
# make test   set up, and run every check and test
# Both make their own virtual environment in $(VENV).

PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo-out
BIN = $(VENV)/bin

.PHONY: demo test check lint types tests clean help

help:
	@sed -n 's/^# //p' Makefile

# torch first and by itself: any later package is content with the build that is there.
$(BIN)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "privsynth needs Python 3.11 or newer: make demo PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,sdv]"
	touch $@

# The demonstration keeps its key and its ledger to itself, so that it can be run again and again.
demo: $(BIN)/.installed
	rm -rf $(DEMO)
	PRIVSYNTH_HOME=$(DEMO)/home $(BIN)/privsynth keys init --name DEMO --holder "DEMO, not to be trusted" --no-passphrase
	PRIVSYNTH_HOME=$(DEMO)/home $(BIN)/privsynth synthesize sample_data/hospital.csv \
		--schema sample_data/hospital.schema.yaml --unit patient_id --epsilon 3 --generator marginal --key DEMO \
		--out $(DEMO)/release || test $$? -eq 3  # 3 says that a check failed, and the reports say which
	PRIVSYNTH_HOME=$(DEMO)/home $(BIN)/privsynth verify $(DEMO)/release/public

test: $(BIN)/.installed lint types tests

check: test

lint: $(BIN)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.installed
	$(BIN)/mypy privsynth

# CI=1: the same examples and the same noise in every run.
tests: $(BIN)/.installed
	CI=1 $(BIN)/python -m pytest -n 2 --dist loadfile -q

clean:
	rm -rf $(VENV) $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis
