# Everything a stranger needs: `make demo` and `make test`. Both set up `.venv` first.
PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv)
BANDIT := $(BIN)/bandit --quiet --configfile pyproject.toml --recursive --severity-level medium service workers models benchmarks

.PHONY: setup demo test test-slow check audit contract format lock weights pictures clean

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

# A process for each core, up to four; one thread in each, or they would wait for each other.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test: setup
	$(PYTEST)

test-slow: setup
	$(PYTEST) -m slow --durations 30

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BANDIT)

# What is known of our own code and of the locked dependencies. The second asks PyPI; a dependency that it cannot
# ask about fails, so that silence is never taken for safety.
audit: setup
	$(BANDIT)
	$(BIN)/pip-audit --requirement requirements.lock --disable-pip --strict

# Whether the API does what its document says: at least so many requests, made from the document.
contract: setup
	$(BIN)/python -m benchmarks.contract --requests $(or $(REQUESTS),10000)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Rewrites the locks from pyproject.toml: hashes, every platform, no index host. The second and third are parts of
# the first, for the two images: an API without torch, and workers.
COMPILE = VIRTUAL_ENV=.venv $(or $(UV),$(BIN)/uv) pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header pyproject.toml

lock:
	$(COMPILE) --all-extras --output-file requirements.lock
	$(COMPILE) --constraints requirements.lock --extra build --extra tracing \
		--output-file requirements-api.lock
	$(COMPILE) --constraints requirements.lock --extra worker --extra detector --extra tracing \
		--output-file requirements-worker.lock

# Trains the bundled generators (hours on a CPU; goes on where it was stopped), measures them, writes weights and
# cards. DATA is laid out as workers/bundle.py says; WORK keeps checkpoints and contact sheets.
weights: setup
	$(BIN)/python -m workers.bundle $(DATA) --work $(WORK)

# The page's pictures in the README, from drawn streets in a real browser.
pictures: setup
	$(PYTEST) -m slow tests/page
	$(BIN)/python -m tests.page.pictures

clean:
	rm -rf .venv demo
