# make reproduce   every figure and table, with the shipped weights, in results/ and figures/
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
# no: leave PyTorch out; Theano's C code then runs the networks.
TORCH ?= yes
# Says what it does on a terminal; elsewhere the lines before each step must do.
pip = $(bin)/python -m pip install $$(test -t 2 || echo --quiet)
# For example the index of PyTorch's smaller CPU-only build.
TORCH_ARGS ?=

bin := $(abspath $(VENV))/bin
ready := $(VENV)/ready
# Where environment and project are, and were when it was made; its scripts hold both paths.
here := $(abspath $(VENV)) $(CURDIR)
made := $(or $(shell cat $(ready) 2>/dev/null),$(here))
ifneq ($(words $(CURDIR)),1)
$(error the folder '$(CURDIR)' has spaces in its path, which make cannot handle; move the project)
endif
# The rules' shell commands find cnnviz here.
export PATH := $(bin):$(PATH)

.PHONY: help reproduce unlock record test gpu-check lint lock report clean
ifneq ($(made),$(here))
.PHONY: $(ready)
endif

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14
	@echo "Variables: CONFIG=$(CONFIG) CORES=$(CORES) PYTHON=$(PYTHON) VENV=$(VENV) TORCH=$(TORCH) TORCH_ARGS=$(TORCH_ARGS)"

reproduce: $(ready)  ## data, networks, figures, tables (CONFIG=config/retrain.yaml trains anew)
	@test -f "$(CONFIG)" || { echo "no configuration file '$(CONFIG)'; there are: $(wildcard config/*.yaml)" >&2; exit 2; }
	@$(bin)/cnnviz lock
	$(bin)/snakemake --configfile "$(CONFIG)" --cores $(CORES) $(SNAKEMAKE_ARGS)
	@$(bin)/cnnviz agreement $(if $(SNAKEMAKE_ARGS),2>/dev/null || true)

unlock: $(ready)  ## remove the lock of a run that was killed; 'make reproduce' then goes on
	@$(bin)/cnnviz lock --remove

record: $(ready)  ## make the tables of the finished run the recorded ones (thesis_tables/, data/)
	@$(bin)/cnnviz record

test: $(ready)  ## the whole test suite, with a small run of the workflow
	OMP_NUM_THREADS=1 $(bin)/python -m pytest -n $(CORES) $(PYTEST_ARGS)

# Any Python with PyTorch and a GPU: the project's environment, or the machine's.
GPU_PYTHON ?= $(bin)/python
gpu-check:  ## tests and benchmark on a CUDA GPU; GPU_PYTHON=python3 uses the machine's own
	@test -x "$$(command -v $(GPU_PYTHON))" || $(MAKE) $(ready)
	PYTHONPATH="src:$$PYTHONPATH" $(GPU_PYTHON) -m pytest tests/gpu -p no:cacheprovider $(PYTEST_ARGS)
	PYTHONPATH="src:$$PYTHONPATH" $(GPU_PYTHON) benchmarks/engines.py --device cuda --output benchmarks/records/gpu.json

lint: $(ready)  ## style, likely mistakes, types, and snakemake --lint
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/snakemake --lint

report: $(ready)  ## results/report.html, one entry for each figure and table
	$(bin)/snakemake --cores 1 --configfile "$(CONFIG)" --report results/report.html

$(ready): requirements-build.lock requirements.lock requirements-torch.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is required and '$(PYTHON)' was not found; get it from your system's packages, conda or pyenv, or name yours: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v[:2] == (3, 11) else "Python 3.11 is required and $(PYTHON) is %d.%d; get 3.11 from your system, conda or pyenv, or name yours: make PYTHON=/path/to/python3.11" % v[:2])'
	@cxx="$${CXX-g++}"; test -z "$$cxx" || command -v "$$cxx" >/dev/null || { echo "a C++ compiler is required and '$$cxx' was not found; install g++ (Debian: apt-get install g++) or set CXX" >&2; exit 2; }
	@$(PYTHON) -c 'import os, sys, sysconfig; h = os.path.join(sysconfig.get_paths()["include"], "Python.h"); sys.exit(0 if os.path.exists(h) else h + " is missing, and Theano needs it to compile; install the headers of your Python (Debian: apt-get install python3.11-dev)")'
ifneq ($(firstword $(made)),$(firstword $(here)))
	@echo "$(VENV) was made as $(firstword $(made)) and has been moved or copied: its scripts are made to fit"
	@grep -lIrF --exclude-dir=__pycache__ "$(firstword $(made))" $(VENV)/bin $(VENV)/pyvenv.cfg | xargs -r sed -i "s|$(firstword $(made))|$(firstword $(here))|g"
	@echo "$(firstword $(here)) moved" > $(ready)
endif
	@test -x $(bin)/pip || { echo "Making a virtual environment in $(VENV); about 400 MB are downloaded, once, and more where PyTorch comes with CUDA."; $(PYTHON) -m venv $(VENV); } || { rm -rf $(VENV); echo "$(PYTHON) cannot make virtual environments; install its venv module (Debian: apt-get install python3.11-venv)" >&2; exit 2; }
	@echo "Python packages, 1 of 4: what builds others (requirements-build.lock, about 3 MB) ..."
	@$(pip) --require-hashes -r requirements-build.lock
	@echo "Python packages, 2 of 4: Theano, Lasagne and what they and the workflow need (requirements.lock, about 180 MB) ..."
	@$(pip) --require-hashes --no-build-isolation -r requirements.lock
ifneq ($(TORCH),no)
	@echo "Python packages, 3 of 4: PyTorch (requirements-torch.txt, about 200 MB without CUDA and several GB with it; see TORCH and TORCH_ARGS in 'make help') ..."
	@$(pip) $(TORCH_ARGS) -r requirements-torch.txt || { echo "PyTorch could not be installed. It is optional: try again, or leave it out with TORCH=no" >&2; exit 2; }
endif
	@echo "Python packages, 4 of 4: cnnviz itself ..."
	@$(pip) --no-deps --no-build-isolation --editable .
	@echo "$(here)" > $@

lock_options := --quiet --generate-hashes --allow-unsafe --strip-extras \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

lock:  ## resolve pyproject.toml into the lock files (needs pip-tools)
	pip-compile $(lock_options) --extra test --extra lint --output-file requirements.lock pyproject.toml
	pip-compile $(lock_options) --only-build-deps --build-deps-for wheel --constraint requirements.lock --output-file requirements-build.lock pyproject.toml

clean:  ## remove what the workflow made, but not the environment
	rm -rf data/die360 results logs .snakemake figures/*.png figures/*.pdf figures/animations figures/features
