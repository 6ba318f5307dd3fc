# make demo     set up, run the sample post-change-password hook on its sample call
# make test     set up, run every test, every sample script among them
# make lint     ruff, mypy, import rules
# make test-all the sandbox's tests on every other CPython 3.11 to 3.14 of this machine
# make card     regenerate the language card of docs/hooks.md
# make lock     resolve the dependencies anew

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$name -c '$(SUPPORTED)' 2>/dev/null && echo $$name && break; done)
AT_LEAST ?= 1
OTHERS ?= 4
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint test-all card lock clean

demo: $(VENV)/.demo
	$(BIN)/hookcell run scripts/post_change_password.py --point post-change-password

test: $(VENV)/.dev
	$(BIN)/pytest -n 2

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-all: $(VENV)/.dev
	$(BIN)/python tests/every_python.py --at-least $(AT_LEAST) --others $(OTHERS)

card: $(VENV)/.dev
	$(BIN)/python tests/language/card.py

lock: $(VENV)/.dev
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--upgrade --extra build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--upgrade --extra dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) .venv-*

$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "hookcell needs Python 3.11 to 3.14; name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get install -qy python3-venv && $(PYTHON) -m venv $(VENV); \
		else echo "Python's venv is missing; on Debian: apt-get install python3-venv" >&2; exit 1; fi; }

$(VENV)/.demo: $(BIN)/pip requirements.lock pyproject.toml
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(BIN)/pip requirements-dev.lock pyproject.toml
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.demo
