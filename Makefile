# make quickstart   everything on simulated sensors, in a few minutes
# make test         every check: format, lint, layers, types, tests (recordings: EDGEHAR_DATA, optional)
# make check        the same without the tests
# make stress       minutes of endless streams, sensor faults and damaged packages
# make docs         the documentation site in site/, every link checked
# make test-aarch64 the board's wheels in an emulator, compared with x86-64; make test-py310: with Python 3.10 (docs/aarch64.md)
# All make their own environment in $(VENV) on the first call and reuse it until pyproject.toml or constraints.txt change.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Small networks gain nothing from more threads, and the tests should take as long everywhere.
export OMP_NUM_THREADS ?= 2

.PHONY: quickstart test stress check docs format clean test-aarch64 test-py310

quickstart: $(STAMP)
	$(BIN)/edgehar quickstart

# The tests run side by side, one thread each, and start more than a hundred processes that share bytecode.
test: export OMP_NUM_THREADS = 1
test: check
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

stress: $(STAMP)
	$(BIN)/python -m pytest -m slow tests/stress

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pyright --pythonpath $(BIN)/python -p tools/board_types.json

docs: $(STAMP)
	$(BIN)/mkdocs build

PACKAGE ?= runs/quickstart/package
COMPARE_BOARDS = $(BIN)/python tools/aarch64/compare.py '$(PACKAGE)' $(if $(PYTHON310),--python310 '$(PYTHON310)')

test-aarch64: $(STAMP)
	$(COMPARE_BOARDS) $(if $(BOARD_ROOT),--root '$(BOARD_ROOT)') $(if $(MIRROR),--mirror '$(MIRROR)')

test-py310: $(STAMP)
	$(COMPARE_BOARDS) --no-emulate

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) --version 2>&1); expected Python 3.11 or newer with venv" \
			"(Debian: apt install python3-venv); choose another with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[runtime,litert,quantize,sign,mqtt,metrics,page,train,shards,report,explain,baselines,dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist site .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
