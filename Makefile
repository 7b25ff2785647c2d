# What there is to do here. `make up` and `make test` work on a fresh machine with git, make and
# Python 3.11; CONTRIBUTING.md says more.

.DEFAULT_GOAL := help
.PHONY: help install develop up test check docs pictures bench soak lock reference migration clean
ARGS ?=
ONLY ?=
NAME ?= change
MINUTES ?= 10
PEOPLE ?= 50
SEED ?=
AS =
KEEP ?=
export PYTHON ?= python3

help: ## Say what there is.
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

install: ## Install Atoll into .venv (leaves .venv/bin/atoll).
	@scripts/install.sh

up: install ## Install, then serve http://127.0.0.1:8000.
	@exec .venv/bin/atoll up $(ARGS)

develop: install
	@scripts/install.sh develop

test: ## Install what tests need, then check and run everything; ARGS="-k word" runs a part.
	@scripts/prepare-tests.sh
	@$(MAKE) --no-print-directory develop
	@scripts/run-tests.sh $(ARGS)

check: develop ## Linters, types and contracts only.
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo

docs: develop ## Build the documentation into site/; a warning is an error.
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet

pictures: develop ## Walk the stories of docs/tutorial/six-stories.md in a browser, and take its pictures anew.
	@scripts/prepare-tests.sh
	@.venv/bin/python -m pytest tests/browser -k "stories or operators_story or together or class or copies"
	@for one in docs/images/stories/*.png; do cp tests/artefacts/stories/$${one##*/} $$one; done

bench: develop ## Run benchmarks/*.py (ONLY=name: one), print a table, write benchmarks/results.json.
	@.venv/bin/python scripts/bench.py $(or $(AS),me) $(ONLY)

soak: develop ## Use it hard at random, break its parts, look what is left: MINUTES=10 PEOPLE=50 SEED=1.
	@.venv/bin/python scripts/soak.py --minutes=$(MINUTES) --people=$(PEOPLE) $(if $(SEED),--seed=$(SEED)) \
		$(if $(AS),--as=$(AS)) $(if $(KEEP),--keep)

lock: ## Choose the newest versions that fit pyproject.toml, and write requirements/*.lock.
	@scripts/lock.sh --upgrade

reference: develop ## Write those pages of docs/reference that the code itself can say.
	@.venv/bin/python scripts/reference.py

migration: develop ## Write the migration that the tables in the code need: NAME="what changes".
	@.venv/bin/python scripts/migration.py "$(NAME)"

clean: ## Remove what was made here (not what Atoll keeps in its data folder).
	@rm -rf .venv .tools site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
