# Targets and their one-line help: `make`. Needs GNU make and a Python from 3.11 to 3.13 (or: make PYTHON=/path/to/python3).

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

# dash does not export a PATH that it was not given, and without one Python cannot find itself.
ifeq ($(strip $(PATH)),)
export PATH := /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
endif
export PATH
# An empty HOME is worse than none: pip would keep its cache in /.
ifeq ($(strip $(HOME)),)
unexport HOME
endif

SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifeq ($(origin PYTHON),undefined)
PYTHON = $(shell for python in python3 python3.13 python3.12 python3.11; do \
	if "$$python" -c '$(SUITABLE)' 2>/dev/null; then command -v "$$python"; break; fi; done)
endif
NO_PYTHON := no Python from 3.11 to 3.13 with the modules venv and ensurepip (on Debian and Ubuntu: the package python3-venv) \
	is on the PATH; install one, or name it: make PYTHON=/path/to/python3

BIN := .venv/bin
SANDBOX_BIN := .venv-sandbox/bin
# Whole files, the longest first, to as many processes as there are cores.
PYTEST := pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
UV := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url

# Always asked, does nothing when all is there. The locks keep two makes from building the same thing at once.
define virtualenv
	$(if $(PYTHON),,$(error $(NO_PYTHON)))
	@$(PYTHON) -m sandbox.virtualenv $(1) $(2) --locks .lily
endef

.PHONY: help run demo test lint bench bench-quick chaos hardship openapi lock clean virtualenv virtualenv-sandbox virtualenv-bench

##@ Use
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo

run: virtualenv virtualenv-sandbox ## Start everything on this machine; Ctrl-C ends it, the data stays
	@exec $(SANDBOX_BIN)/python -m sandbox.up

demo: virtualenv-sandbox ## A guided tour of the running system (in a second terminal)
	@exec $(SANDBOX_BIN)/python -m sandbox.demo

##@ Work
test: virtualenv virtualenv-sandbox ## Lint, types, floors and all tests; does no harm to a running system
	@PATH="$(CURDIR)/$(BIN):$$PATH"; export PATH; failed=; \
	for check in 'ruff check' mypy lint-imports '$(PYTEST)'; do \
		printf '\n== %s\n' "$$check"; \
		$$check || failed="$$failed, $$check"; \
	done; \
	if [ -n "$$failed" ]; then printf '\n== failed: %s\n' "$${failed#, }"; exit 1; fi; \
	printf '\n== all passed\n'

lint: virtualenv ## Lint, types and floors only
	@PATH="$(CURDIR)/$(BIN):$$PATH"; export PATH; ruff check && mypy && lint-imports

bench: virtualenv virtualenv-sandbox virtualenv-bench ## Measure the inbound path: a quarter of an hour with nothing else at work
	@exec $(BIN)/python -m benchmarks.inbound

bench-quick: virtualenv virtualenv-sandbox virtualenv-bench ## The same, coarser, in under two minutes
	@exec $(BIN)/python -m benchmarks.inbound --quick

chaos: virtualenv virtualenv-sandbox virtualenv-bench ## Kill, flush and stop everything in turn under load; is anything lost? Two minutes
	@exec $(BIN)/python -m benchmarks.chaos

hardship: virtualenv virtualenv-sandbox virtualenv-bench ## Restarts, attacks, outages, a backlog, 100,000 events, rules, badges, tags: an hour
	@failed=; \
	for trial in restart attack outages backlog memory propagation atlan tags; do \
		printf '\n== %s\n' "$$trial"; \
		$(BIN)/python -m "benchmarks.$$trial" || failed="$$failed, $$trial"; \
	done; \
	if [ -n "$$failed" ]; then printf '\n== promises broken or not to be tried: %s\n' "$${failed#, }"; exit 1; fi; \
	printf '\n== all promises kept\n'

openapi: virtualenv ## Make docs/openapi.yaml and docs/configuration.md from the code
	@mkdir -p docs .lily
	@$(BIN)/python -m app.openapi > .lily/openapi.yaml && mv .lily/openapi.yaml docs/openapi.yaml
	@$(BIN)/python -m lily.runtime.settings > .lily/configuration.md && mv .lily/configuration.md docs/configuration.md

lock: ## Compile the requirements again from pyproject.toml and sandbox/requirements.in (needs uv)
	@command -v uv > /dev/null || { echo 'make lock needs uv on the PATH: https://docs.astral.sh/uv/'; exit 1; }
	$(UV) pyproject.toml -o requirements.txt
	$(UV) --group dev -c requirements.txt pyproject.toml -o requirements-dev.txt
	$(UV) sandbox/requirements.in -o sandbox/requirements.txt
	$(UV) requirements-bench.in -o requirements-bench.txt

clean: ## Remove the virtualenvs, the caches and the local data
	rm -rf .venv .venv-sandbox .venv-bench .lily .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

virtualenv:
	$(call virtualenv,.venv,requirements-dev.txt)

virtualenv-sandbox:
	$(call virtualenv,.venv-sandbox,sandbox/requirements.txt)

virtualenv-bench:
	$(call virtualenv,.venv-bench,requirements-bench.txt)
