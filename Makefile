# make reproduce   every figure and table, with the shipped weights
# make test        the whole test suite
# make help        all targets
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3.11
VENV ?= .venv
CONFIG ?= config/default.yaml
CORES ?= $(shell nproc 2>/dev/null || echo 2)
SNAKEMAKE_ARGS ?=
PYTEST_ARGS ?=

bin := $(abspath $(VENV))/bin
ready := $(VENV)/ready
# The rules' shell commands find cnnviz here.
export PATH := $(bin):$(PATH)

.PHONY: help reproduce test lint lock report clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14
	@echo "Variables: CONFIG=$(CONFIG) CORES=$(CORES) PYTHON=$(PYTHON) VENV=$(VENV)"

reproduce: $(ready)  ## data, networks, figures, tables (CONFIG=config/retrain.yaml trains anew)
	@test -f "$(CONFIG)" || { echo "no configuration file '$(CONFIG)'; there are: $(wildcard config/*.yaml)" >&2; exit 2; }
	$(bin)/snakemake --configfile "$(CONFIG)" --cores $(CORES) $(SNAKEMAKE_ARGS)

test: $(ready)  ## the whole test suite, with a small run of the workflow
	$(bin)/python -m pytest $(PYTEST_ARGS)

lint: $(ready)  ## snakemake --lint
	$(bin)/snakemake --lint

report: $(ready)  ## results/report.html, one entry for each figure and table
	$(bin)/snakemake --configfile "$(CONFIG)" --report results/report.html

$(ready): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is required and '$(PYTHON)' was not found; get it from your system's packages, conda or pyenv, or name yours: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v[:2] == (3, 11) else "Python 3.11 is required and $(PYTHON) is %d.%d; get 3.11 from your system, conda or pyenv, or name yours: make PYTHON=/path/to/python3.11" % v[:2])'
	@command -v $${CXX:-g++} >/dev/null || { echo "a C++ compiler is required and '$${CXX:-g++}' was not found; install g++ (Debian: apt-get install g++) or set CXX" >&2; exit 2; }
	test -x $(bin)/python || $(PYTHON) -m venv $(VENV)
	$(bin)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(bin)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

lock:  ## resolve pyproject.toml into requirements.lock (needs pip-tools)
	pip-compile --quiet --extra test --generate-hashes --allow-unsafe --strip-extras \
	    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	    --output-file requirements.lock pyproject.toml

clean:  ## remove what the workflow made, but not the environment
	rm -rf data/die360/*.npy results logs .snakemake figures/*.png figures/*.pdf
