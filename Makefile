# Everything runs in .venv, which the first target that needs it sets up from pinned versions.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint format types docs docs-serve real real-words real-recordings bench clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,docs]'
	@touch $@

demo: $(READY)  ## train on real, human-rated sentences and show the shift at work (under ten minutes)
	$(BIN)/modashift demo

test: $(READY)  ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m 'not real'

lint: $(READY)  ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(READY)  ## put the code in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(READY)  ## build the documentation into site/
	$(BIN)/zensical build --clean

docs-serve: $(READY)  ## serve the documentation while it is written
	$(BIN)/zensical serve

real: $(READY)  ## longer runs on research data (CMU-MOSI) beside the checkout: all models, train to dev
	$(BIN)/python benchmarks/real_mosi.py

real-words: $(READY)  ## the same on word-level features: every model, one video left out at a time
	$(BIN)/python benchmarks/leave_one_video_out.py

real-recordings: $(READY)  ## decoding, faces, word times and speed on real recordings beside the checkout
	$(BIN)/python benchmarks/faces.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/words.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/extract_speed.py --words none
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/mutated_media.py

bench: $(READY)  ## measure: store, shift, training step
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/shift.py

clean:  ## remove the environment and everything built
	rm -rf .venv site .mypy_cache .ruff_cache .pytest_cache
