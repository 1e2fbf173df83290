# make demo   set up, and make a signed release of the sample hospital table
# make test   set up, and run every check and test; of slow tests with many cases every third one
# make test-all   the same with every case
# make docs   build the reference of the library into build/reference, from its docstrings
# make demo-service   set up, and serve the sample hospital table at http://127.0.0.1:8787; Ctrl-C ends it
# make sbom   write what an installation of the service holds to build/sbom.json (CycloneDX)
# make lock   renew requirements/, the tested versions with their hashes; UPGRADE=--upgrade takes newer ones
# Each makes its own virtual environment in $(VENV).

PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo-out
BIN = $(VENV)/bin
REFERENCE ?= build/reference
ROOMS = $(sort $(subst /,.,$(patsubst %/__init__.py,%,$(wildcard privsynth/*/__init__.py)) \
	$(patsubst %.py,%,$(wildcard privsynth/[a-z]*.py))))
TORCH = torch==2.13.0
UPGRADE ?=
# torch has a file of its own and is left out of the others: which build of it, with which drivers, is yours to say.
LOCK = $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" $(UPGRADE)
LOCK_EXTRAS = echo torch | $(LOCK) --excludes - pyproject.toml

.PHONY: demo demo-service sbom test test-all check lint types tests docs lock clean help

help:
	@sed -n 's/^# //p' Makefile

# torch first and by itself: any later package is content with the build that is there. The versions are those of
# requirements/dev.txt; its hashes are left out, since pip would ask for one of this folder too.
$(BIN)/.installed: pyproject.toml requirements/dev.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "privsynth needs Python 3.11 or newer: make demo PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	sed -e '/--hash=/d' -e 's/ *\\$$//' requirements/dev.txt > $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(VENV)/constraints.txt -e ".[dev,sdv]"
	touch $@

# The demonstration keeps its key and its ledger to itself, so that it can be run again and again.
demo: $(BIN)/.installed
	rm -rf $(DEMO)
	PRIVSYNTH_HOME=$(DEMO)/home $(BIN)/privsynth keys init --name DEMO --holder "DEMO, not to be trusted" --no-passphrase
	PRIVSYNTH_HOME=$(DEMO)/home $(BIN)/privsynth synthesize sample_data/hospital.csv \
		--schema sample_data/hospital.schema.yaml --unit patient_id --epsilon 3 --generator marginal --key DEMO \
		--out $(DEMO)/release || test $$? -eq 3  # 3 says that a check failed, and the reports say which
	PRIVSYNTH_HOME=$(DEMO)/home $(BIN)/privsynth verify $(DEMO)/release/public
	@echo
	@echo "Open next   $(DEMO)/release/public/report.html, what a recipient reads"
	@echo "            $(DEMO)/release/officer/report.html, what stays inside"
	@echo "The command $(BIN)/privsynth; after '. $(BIN)/activate' it is privsynth, as in README.md"

# The service of the demonstration has a home of its own. It prints a link with which its first administrator signs in.
demo-service: $(BIN)/.installed
	mkdir -p $(DEMO)/served
	cp sample_data/hospital.csv $(DEMO)/served/
	PRIVSYNTH_HOME=$(DEMO)/service-home PRIVSYNTH_SERVICE_SOURCE_FOLDER=$(abspath $(DEMO)/served) $(BIN)/privsynth serve

# From the versions and hashes of the lock, so that it says the same on every machine.
sbom: $(BIN)/.installed
	mkdir -p build
	cat requirements/service.txt requirements/torch.txt > build/sbom-requirements.txt
	$(BIN)/cyclonedx-py requirements build/sbom-requirements.txt --pyproject pyproject.toml --mc-type application \
		--spec-version 1.6 --output-reproducible --output-format JSON --output-file build/sbom.json

test: $(BIN)/.installed lint types tests

check: test

# Also the cases of slow tests that `make test` leaves out.
test-all:
	PRIVSYNTH_ALL_TESTS=1 $(MAKE) test

lint: $(BIN)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.installed
	$(BIN)/mypy privsynth

# CI=1: the same examples and the same noise in every run.
tests: $(BIN)/.installed
	CI=1 $(BIN)/python -m pytest -n 2 --dist loadfile -q

# The public names on the first page, and every room of the package after it, for those who work on it.
docs: $(BIN)/.installed
	rm -rf $(REFERENCE)
	$(BIN)/pdoc --docformat google --no-show-source --output-directory $(REFERENCE) privsynth $(ROOMS)

lock: $(BIN)/.installed
	$(LOCK_EXTRAS) --extra dev --extra sdv --output-file requirements/dev.txt
	$(LOCK_EXTRAS) --constraint requirements/dev.txt --output-file requirements/verify.txt
	$(LOCK_EXTRAS) --constraint requirements/dev.txt --extra sample --output-file requirements/sample.txt
	$(LOCK_EXTRAS) --constraint requirements/dev.txt --extra synthesize --output-file requirements/synthesize.txt
	$(LOCK_EXTRAS) --constraint requirements/dev.txt --extra service --output-file requirements/service.txt
	echo "$(TORCH)" | $(LOCK) --constraint requirements/dev.txt --output-file requirements/torch.txt -

clean:
	rm -rf $(VENV) $(DEMO) build .mypy_cache .ruff_cache .pytest_cache .hypothesis
