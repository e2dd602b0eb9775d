# Makes the environment in .venv and calls the tools in it. `make help` lists the targets.
# dodo.py defines what is built from what.

PYTHON ?= python3
# Which build of torch: auto, cpu (without CUDA), or locked (as requirements.lock has it).
TORCH ?= auto
# How many runs `make test-all` sweeps while it kills and stops the sweep's processes.
SOAK_RUNS ?= 300
VENV := .venv
# The last thing that a finished set-up leaves behind.
READY := $(VENV)/.ready
RUN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/python -m

# What requirements.lock covers. On Linux the locked torch is its CUDA build; tools/setup_env.sh
# takes the CPU build instead where there is no GPU.
LOCKED_EXTRAS := book dev meter parquet report sweep tables train
LOCK_FLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help env paper pdf test test-all bench gpu-check lint format lock clean distclean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "Another Python (3.11 or newer): make PYTHON=python3.12 paper"

env: $(READY) ## Make the environment in .venv

$(READY): requirements.lock pyproject.toml tools/setup_env.sh
	@PYTHON="$(PYTHON)" TORCH="$(TORCH)" sh tools/setup_env.sh $(VENV)

paper: $(READY) ## Build the paper as a web site: _build/html/index.html
	@$(RUN) doit

pdf: $(READY) ## Print the paper to one PDF: _build/html/pepr.pdf (needs Chromium and its driver)
	@$(RUN) doit pdf

test: $(READY) ## Run the fast tests, on every core
	@$(RUN) pytest -n logical --dist loadfile --no-loadscope-reorder -m "not slow"

test-all: $(READY) ## Run all tests: every architecture, whole sweeps, the site in a browser
	@PEPR_SOAK_RUNS=$(SOAK_RUNS) $(RUN) pytest -n logical --dist loadfile --no-loadscope-reorder

bench: $(READY) ## Measure speed anew, 45 minutes: benchmarks/results.json, which a chapter shows
	@for script in "training" "scoring" "tables" "metering" "metering --real" "sweep" \
	  "sweep --real --runs 6"; do set -- $$script; name=$$1; shift; \
	  $(VENV)/bin/python benchmarks/$$name.py "$$@" --json benchmarks/results.json || exit 1; done

gpu-check: $(READY) ## Try meter, speed and training on a GPU, 8 minutes: results/gpu-check/verdict.md
	@$(VENV)/bin/python benchmarks/gpu_check.py $(if $(DATA),--data phantom $(DATA))

lint: $(READY) ## Check style, formatting and types
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) basedpyright

format: $(READY) ## Fix style and formatting
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

lock: $(READY) ## Lock anew what pyproject.toml asks for (newest: LOCK_FLAGS=--upgrade)
	@$(RUN) uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	  --python-version 3.11 $(LOCKED_EXTRAS:%=--extra %) --custom-compile-command "make lock" \
	  $(LOCK_FLAGS) --output-file requirements.lock pyproject.toml

clean: ## Remove what was built and the caches (not .venv, not results/)
	rm -rf _build .doit.db* dist .pytest_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -path ./.git -prune -o \
	  -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## Remove .venv as well
	rm -rf $(VENV)
