# Two commands do all the set-up: `make tune` runs the quickstart study, `make test` the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STUDY ?= studies/quickstart.toml
LOSS ?= focal
SEED ?= 0
END ?= lowest
# a test that hangs ends the run, which names it and tells what every thread was doing
BOUND := --max-worker-restart 0 -o faulthandler_timeout=600 -o faulthandler_exit_on_timeout=true
QUIET := --quiet
PIP = $(BIN)/python -m pip install $(QUIET) --disable-pip-version-check -c constraints.txt
# else every process of the tests compiles lossreg again
unexport PYTHONDONTWRITEBYTECODE
DONE := $(VENV)/.installed
DONE_DEV := $(VENV)/.installed-dev

.DEFAULT_GOAL := help
.PHONY: help tune ui test test-all chaos loss lint bench benchmark claims notebooks catalogue docs screenshots package versions system postgresql clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# at a terminal pip shows what it does in these minutes
$(DONE) $(DONE_DEV): QUIET := $(shell test -t 2 || echo --quiet)

$(DONE): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing lossreg and TensorFlow into $(VENV), which takes some minutes"
	$(PIP) -e .
	@touch $@

$(DONE_DEV): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing lossreg, TensorFlow and what the tests need into $(VENV), which takes some minutes"
# Python compiles what the tests import
	$(PIP) --no-compile -e ".[dev]"
	@touch $(DONE) $@

tune: $(DONE) ## run a study (STUDY=studies/quickstart.toml): about a minute; the first time it installs for some minutes
	$(BIN)/lossreg tune $(STUDY)

ui: $(DONE) ## the MLflow UI on that study's store
	$(BIN)/lossreg ui $(STUDY)

test: $(DONE_DEV) postgresql ## the tests: 8 minutes on two idle cores
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not long" $(BOUND)

test-all: $(DONE_DEV) postgresql system ## all tests, the long ones too
	$(PIP) -e ".[ray,tables,benchmark,dashboard]"
# its tables alone: as an extra it would bring PyTorch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt islp
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

chaos: $(DONE_DEV) postgresql ## 200 trials on servers and workers that are killed at random (SEED=0)
	$(BIN)/python -m pytest tests/chaos -k "not short" -s --seed $(SEED)

loss: $(DONE_DEV) ## everything about one loss (LOSS=focal)
	$(BIN)/python -m pytest tests/conformance/test_suite.py tests/zoo tests/registry tests/reporting --loss $(LOSS)

lint: $(DONE_DEV) ## style, types, layers, form of the launchers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck studies/deploy/*.sh .ci/run .ci/package
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec studies/deploy/compose.yaml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/kubernetes-validate --strict --quiet studies/deploy/kubernetes.yaml

bench: $(DONE_DEV) ## lossreg against its peers
	$(BIN)/python studies/benchmarks/peers.py --peer-trials 6

claims: $(DONE) ## known claims about losses, tried again: docs/claims.md (Ctrl-C stops it, the same command goes on)
	$(PIP) -e ".[jax]"
	KERAS_BACKEND=jax $(BIN)/python studies/claims/run.py

benchmark: $(DONE) ## the verdict on 15 real data sets, into docs/benchmark.md (Ctrl-C stops it, the same command goes on)
	$(PIP) -e ".[benchmark]"
# its tables alone: as an extra it would bring PyTorch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt islp
	$(BIN)/python studies/benchmark/measure.py

notebooks: $(DONE) ## run studies/notebooks again and save their outputs
	$(BIN)/python -m pip install --quiet --disable-pip-version-check nbclient ipykernel
	$(BIN)/python studies/notebooks/execute.py

catalogue: $(DONE) ## write docs/losses.md again
	$(BIN)/python -m lossreg.reporting.catalogue > docs/losses.md

docs: build/checks.json ## the documentation site, into build/site
	$(PIP) -e ".[docs]"
	$(BIN)/python docs/make.py build/docs --checks build/checks.json
	$(BIN)/mkdocs build --strict

build/checks.json: $(DONE) $(wildcard lossreg/zoo/*.py lossreg/contract/*.py lossreg/conformance/*)
	@echo "checking all losses, which takes some minutes"
	@mkdir -p build
	$(BIN)/lossreg check --json > $@.part
	mv $@.part $@

package: $(DONE_DEV) ## wheel and sdist: built, installed and tried
	PYTHON=$(BIN)/python .ci/package

versions: postgresql ## the tests, with END=lowest or END=newest allowed versions of Keras, TensorFlow, Optuna, MLflow, ...
	mkdir -p build
	$(PYTHON) .ci/versions.py $(END) > build/$(END).txt
	$(PYTHON) -m venv build/$(END)
	build/$(END)/bin/python -m pip install --quiet --disable-pip-version-check -c build/$(END).txt -e ".[test,jax]"
	build/$(END)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not long" $(BOUND)

screenshots: $(DONE_DEV) system ## take the pictures of docs/screens again
	$(BIN)/python docs/screenshots.py

system: ## Debian's Chromium, for the tests that look at the MLflow UI
	command -v chromium >/dev/null || { apt-get update -q && apt-get install -q -y chromium; }

postgresql: ## Debian's PostgreSQL, for the tests of studies with several workers
	command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 \
		|| { apt-get update -q && apt-get install -q -y --no-install-recommends postgresql; }

clean: ## remove what the other targets made
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
