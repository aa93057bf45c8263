# Needs Python 3.11 or newer and make; everything else is installed into .venv.

VENV := .venv
PYTHON := $(VENV)/bin/python
# Written last, with the folder it was made in: a copied or moved checkout does not run the code of the old place.
INSTALLED := $(VENV)/installed-in
TRIALS := $(patsubst trials/test_%.py,%,$(sort $(wildcard trials/test_*.py)))
# Two processes of one thread each: torch in both with all cores would be slower than one alone.
WORKERS := 2

ifneq ($(shell cat $(INSTALLED) 2>/dev/null),$(CURDIR))
$(shell rm -f $(INSTALLED))
endif

.PHONY: help setup demo test check format lint types pytest trials clean
.DELETE_ON_ERROR:
.NOTPARALLEL:
# What a shell may carry that would bring other code into the environment, or stop pip.
unexport PYTHONPATH PYTHONHOME PYTHONWARNINGS PYTHONOPTIMIZE

help:  ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | awk -F '\t' '{printf "make %-10s %s\n", $$1, $$2}'
	@echo "make trial-NAME one trial:$(foreach name,$(TRIALS), $(name))"

setup: $(INSTALLED)  ## the virtual environment in .venv, done once

# An installation that was complete is brought up to date; one that was interrupted is begun again from nothing.
$(INSTALLED): pyproject.toml constraints.txt
	@set -eu; \
	if [ -f $@ ]; then rm $@; else \
	    for name in python3.11 python3.12 python3.13 python3.14 python3; do \
	        if $$name -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	        then found=$$name; break; fi; \
	    done; \
	    if [ -z "$${found:-}" ]; then \
	        echo "error: no Python 3.11 or newer with its venv module was found; install python3.11 and python3.11-venv" >&2; \
	        exit 1; \
	    fi; \
	    $$found -m venv --clear $(VENV); \
	fi; \
	echo "installing into $(VENV): a minute or two"; \
	$(PYTHON) -m pip install --quiet --constraint constraints.txt setuptools; \
	$(PYTHON) -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[train,hub,track,litert,onnx,openvino,similar,video,dev]'; \
	echo '$(CURDIR)' > $@

demo: $(INSTALLED)  ## draws scenes, fits a model to a latency budget, classifies with its file (under 5 minutes)
	$(PYTHON) -m mobilenet demo

test: check  ## the same as check: set up, then pass the one gate (8 to 12 minutes)

check: lint types pytest  ## format, lint, types, tests, the docs' code blocks, floors and cycles

format: $(INSTALLED)  ## rewrite the code in the project's format
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

lint: $(INSTALLED)
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .

types: $(INSTALLED)
	$(PYTHON) -m mypy

pytest: $(INSTALLED)
	$(PYTHON) -m pytest -n $(WORKERS) --durations 10

trials: $(addprefix trial-,$(TRIALS))  ## the long proofs, one after the other: accuracy, kill and resume, memory

# One at a time and with every core, because trials measure; -s shows what they measured.
trial-%: $(INSTALLED)
	$(PYTHON) -m pytest -s --durations 0 trials/test_$*.py

clean:  ## remove the virtual environment and all caches
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
