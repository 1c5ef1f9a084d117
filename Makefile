# make quickstart   everything on simulated sensors, in a few minutes
# make test         every check: format, lint, layers, types, tests (recordings: EDGEHAR_DATA, optional)
# make check        the same without the tests
# Both make their own environment in $(VENV) on the first call and reuse it until pyproject.toml or constraints.txt change.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Small networks gain nothing from more threads, and the tests should take as long everywhere.
export OMP_NUM_THREADS ?= 2

.PHONY: quickstart test check format clean

quickstart: $(STAMP)
	$(BIN)/edgehar quickstart

test: check
	$(BIN)/python -m pytest

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pyright --pythonpath $(BIN)/python -p tools/board_types.json

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); expected Python 3.11 or newer with venv" \
			"(Debian: apt install python3-venv); choose another with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[runtime,quantize,sign,mqtt,train,report,baselines,dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
