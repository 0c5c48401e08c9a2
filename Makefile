# Everything a stranger needs: `make demo` and `make test`. Both set up `.venv` first.
PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv)

.PHONY: setup demo test test-slow check format lock weights clean

setup: .venv/ready

# uv installs; where it is missing, pip puts it into the environment itself first.
.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Nightshift needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv $(if $(UV),--without-pip,)
	@$(if $(UV),true,test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv)
	VIRTUAL_ENV=.venv $(or $(UV),$(BIN)/uv) pip install --quiet --require-hashes -r requirements.lock
	VIRTUAL_ENV=.venv $(or $(UV),$(BIN)/uv) pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# DATA=path takes your own folder or zip; without it, drawn street scenes are used.
demo: setup
	$(BIN)/nightshift demo $(DATA) --out $(or $(OUT),demo)

test: setup
	$(BIN)/python -m pytest

test-slow: setup
	$(BIN)/python -m pytest -m slow

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Rewrites the lock from pyproject.toml: hashes, every platform, no index host.
lock:
	VIRTUAL_ENV=.venv $(or $(UV),$(BIN)/uv) pip compile --quiet --universal --all-extras --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header pyproject.toml --output-file requirements.lock

# Trains the bundled generators (hours on a CPU; goes on where it was stopped), measures them, writes weights and
# cards. DATA is laid out as workers/bundle.py says; WORK keeps checkpoints and contact sheets.
weights: setup
	$(BIN)/python -m workers.bundle $(DATA) --work $(WORK)

clean:
	rm -rf .venv demo
