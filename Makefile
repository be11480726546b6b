# Everything here runs without activation: the first target that needs it makes .venv and installs rung into it.
#   make demo   make test   make lint   make docs   make test-slow   make benchmark
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# SevenNet has an environment of its own: mace-torch pins an e3nn that it cannot use.
SEVENN := .venv-sevenn
SEVENN_INSTALLED := $(SEVENN)/.installed
# What only the slow tests need: the packages that the examples stand on are large.
EXAMPLES := $(VENV)/.examples
# An own interpreter: make demo PYTHON=/path/to/python3.12
PYTHON ?=
PYTEST_ARGS ?=
# Fast tests run in two processes with one thread each; a file's tests stay together, for they share fixtures.
WORKERS ?= -n 2 --dist loadfile

# Small matrices gain nothing from threads, and on a shared machine two threads were fifty times slower than one.
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

.PHONY: help install demo test test-slow install-sevenn test-sevenn lint docs benchmark study-h3 study-molecules study-claims results-sevenn clean

help:
	@echo "make demo       lift the bundled MoS2 potential and write demo/report.html"
	@echo "make test       the fast tests"
	@echo "make test-slow  the slow tests: seeds, killed processes, training"
	@echo "make test-sevenn  the tests of the SevenNet backend, in an environment of its own (two minutes to make, 1.5 GB)"
	@echo "make lint       ruff, mypy --strict, import-linter"
	@echo "make docs       the documentation, in site/"
	@echo "make study-h3   H + H2 from PBE to Monte Carlo: labels of PBE and UCCSD(T), base, lifts, barriers, tables, picture"
	@echo "make study-molecules  twelve molecules: labels of GFN2, MP2, CCSD(T) and B3LYP; NUMBER=300 for more geometries"
	@echo "make study-claims  training on two levels until it converges, on these molecules; hours"
	@echo "make results-sevenn  lifts of SevenNet-MF-0: hulls, mixing, a hop and dynamics; six hours, goes on where it stopped"
	@echo "make benchmark  time against mace-torch's own readout training"

install: $(INSTALLED)

# The stamp is newer than what was asked for only after pip has succeeded; two makes at once wait for each other.
$(INSTALLED): pyproject.toml constraints.txt
	@exec 9>.venv.lock; \
	if command -v flock >/dev/null; then flock 9; fi; \
	if [ ! $(INSTALLED) -ot pyproject.toml ] && [ ! $(INSTALLED) -ot constraints.txt ]; then exit 0; fi; \
	chosen=""; \
	for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then chosen="$$python"; break; fi; \
	done; \
	if [ -z "$$chosen" ]; then \
	  echo "rung needs Python 3.11 or later on PATH; install one or say 'make PYTHON=/path/to/python3.11'." >&2; exit 2; \
	fi; \
	if [ ! -x $(BIN)/python ]; then "$$chosen" -m venv $(VENV); fi; \
	echo "Installing rung and what it needs into $(VENV) (once; torch is the large part)."; \
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[mace,report,hdf5,evaluate,compare,pyscf,pyqmc,tblite,templates,dev,docs]'; \
	touch $(INSTALLED)

install-sevenn: $(SEVENN_INSTALLED)

$(SEVENN_INSTALLED): pyproject.toml constraints-sevenn.txt
	@exec 9>.venv-sevenn.lock; \
	if command -v flock >/dev/null; then flock 9; fi; \
	if [ ! $(SEVENN_INSTALLED) -ot pyproject.toml ] && [ ! $(SEVENN_INSTALLED) -ot constraints-sevenn.txt ]; then exit 0; fi; \
	chosen=""; \
	for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then chosen="$$python"; break; fi; \
	done; \
	if [ -z "$$chosen" ]; then \
	  echo "rung needs Python 3.11 or later on PATH; install one or say 'make PYTHON=/path/to/python3.11'." >&2; exit 2; \
	fi; \
	if [ ! -x $(SEVENN)/bin/python ]; then "$$chosen" -m venv $(SEVENN); fi; \
	echo "Installing rung and SevenNet into $(SEVENN) (once; torch is the large part)."; \
	$(SEVENN)/bin/python -m pip install -qq --disable-pip-version-check -c constraints-sevenn.txt -e '.[sevenn,report,hdf5]' pytest hypothesis; \
	touch $(SEVENN_INSTALLED)

$(EXAMPLES): $(INSTALLED)
	@exec 9>.venv.lock; \
	if command -v flock >/dev/null; then flock 9; fi; \
	if [ -e $(EXAMPLES) ] && [ ! $(EXAMPLES) -ot $(INSTALLED) ]; then exit 0; fi; \
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[examples]'; \
	touch $(EXAMPLES)

demo: $(INSTALLED)
	$(BIN)/rung demo

test: $(INSTALLED)
	$(BIN)/python -m pytest $(WORKERS) --durations=10 --durations-min=2 $(PYTEST_ARGS)

test-slow: $(EXAMPLES)
	$(BIN)/python -m pytest -m slow --durations=10 --durations-min=2 $(PYTEST_ARGS)

# Everything in the environment of SevenNet, its slow tests too: the contract of potentials and the backend's own folder.
test-sevenn: $(SEVENN_INSTALLED)
	$(SEVENN)/bin/python -m pytest -m "" --durations=10 --durations-min=5 $(PYTEST_ARGS) tests/contract/test_contract.py tests/contract/test_sabotage.py tests/backends/sevenn

# Some two hours for the lifts and four for the dynamics, on one quiet core; each part goes on where it stopped.
BASES := benchmarks/sevennet_bases
RESULTS := --work runs/sevennet_bases --write docs/results/sevennet-bases.md
results-sevenn: $(SEVENN_INSTALLED)
	$(SEVENN)/bin/python $(BASES)/hulls.py $(RESULTS)#hulls
	$(SEVENN)/bin/python $(BASES)/mixing.py $(RESULTS)#ingan
	$(SEVENN)/bin/python $(BASES)/hop.py $(RESULTS)#mos2
	$(SEVENN)/bin/python $(BASES)/li6ps5cl.py fit --work runs/sevennet_bases
	$(SEVENN)/bin/python $(BASES)/li6ps5cl.py errors --work runs/sevennet_bases
	$(SEVENN)/bin/python $(BASES)/li6ps5cl.py run --work runs/sevennet_bases --fused
	$(SEVENN)/bin/python $(BASES)/li6ps5cl.py table $(RESULTS)#li6ps5cl

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

benchmark: $(INSTALLED)
	$(BIN)/python benchmarks/readout_fit.py --write docs/results/speed.md#readout-fit

# All but the Monte Carlo: hours on one core, and every part goes on where it stopped.
study-h3: $(INSTALLED)
	$(BIN)/python examples/h3_qmc/labels.py h3_qmc/labels
	$(BIN)/python examples/h3_qmc/study.py h3_qmc/study --data h3_qmc/labels --write docs/results

# Hours on one core, and it goes on where it stopped.
NUMBER ?= 240
study-molecules: $(INSTALLED)
	$(BIN)/python examples/molecules/labels.py molecules/labels --number $(NUMBER)
	$(BIN)/python examples/molecules/assemble.py molecules/labels molecules/data

# Some hours on two cores, and it goes on where it stopped.
study-claims: $(INSTALLED)
	$(BIN)/python examples/molecules/claims.py molecules/claims

clean:
	rm -rf $(VENV) .venv.lock $(SEVENN) .venv-sevenn.lock site demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
