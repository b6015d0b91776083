# SPDX-License-Identifier: BSD-2-Clause
# make demo         the main job on real speech, end to end
# make test         ruff, mypy and the test suite; LANES=4|8|16 chooses the machine
# make lint         ruff and mypy alone
# make bench        liquid networks beside gated ones and other libraries: docs/performance.md; BENCH_ARGS=--quick
# make fuzz         a million inputs for what takes bytes from outside; FUZZ_ARGS=--inputs 10000 for fewer
# make fault-injection  a bad wire to a whole simulated chip, and random traffic on its bus: docs/testing.md
# make prove        proofs of the gateware's blocks, and a fault that breaks each
# make mutate       faults in the gateware, and whether random programs find them; MUTATE_ARGS="--mutants 400"
# make soak         random programs and networks, golden model against gateware: hours; SOAK_ARGS="--programs 500"
# make coverage     lines, arms and toggled bits of the gateware, under Verilator: some minutes
# make gate-level   the netlists on iCE40 and ECP5, cell by cell, against the golden model: docs/testing.md
# make verify-report  docs/verification.md from what these five found
# make synth-check  cells and clock of the machine on the smallest part
# make boards       every board's bitstream: docs/boards.md; BOARDS="ulx3s icebreaker", SEEDS=3
# make checkpoint   train the shipped checkpoints again, from scratch
# make clean        remove what was built; `make distclean` the virtual environment too
#
# Each makes the virtual environment .venv by itself. PYTHON names the interpreter (3.11 or later) that it is made with.

PYTHON ?= python3
LANES  ?= 8
VENV   ?= .venv
BIN     = $(VENV)/bin
PIP     = $(BIN)/python -m pip --disable-pip-version-check
export LIQUID_LANES = $(LANES)

# pytest runs this many at a time, and the tests of one file that wait for the same simulation wait together.
WORKERS ?= 2

.DELETE_ON_ERROR:
.PHONY: demo test lint bench fuzz fault-injection prove mutate soak coverage gate-level verify-report synth-check boards checkpoint clean distclean

demo: $(VENV)/.installed
	$(BIN)/liquid demo

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) $(PYTEST_ARGS)

lint: $(VENV)/.installed-test types
	$(BIN)/ruff check .
	MYPYPATH=build/types $(BIN)/mypy --strict -p liquid_accel

BENCH_ARGS ?= --write docs/performance.md
bench: $(VENV)/.installed-bench
	$(BIN)/liquid bench $(BENCH_ARGS)

fuzz: $(VENV)/.installed-test
	$(BIN)/python tests/fuzz/run.py $(FUZZ_ARGS)

fault-injection: $(VENV)/.installed-test
	$(BIN)/python tests/bench/chip_faults.py
	$(BIN)/python tests/bench/chip_traffic.py

prove: $(VENV)/.installed-test
	$(BIN)/python tests/formal/report.py

mutate: $(VENV)/.installed-test
	$(BIN)/python tests/mutation/run.py $(MUTATE_ARGS)

soak: $(VENV)/.installed-test
	$(BIN)/python tests/soak/run.py $(SOAK_ARGS)

coverage: $(VENV)/.installed-test
	$(BIN)/python tests/coverage/run.py $(COVERAGE_ARGS)

gate-level: $(VENV)/.installed-test
	$(BIN)/python tests/gate/run.py $(GATE_ARGS)

verify-report: $(BIN)/python
	$(BIN)/python tests/verification_page.py

synth-check: $(VENV)/.installed-synth
	$(BIN)/python -m liquid_accel.boards.synth_check

SEEDS ?= 3
boards: $(VENV)/.installed-synth
	$(BIN)/python -m liquid_accel.boards.record --seeds $(SEEDS) $(BOARDS)

checkpoint: $(VENV)/.installed-train
	$(BIN)/liquid train japanese-vowels --select 5 -o checkpoints/japanese_vowels.safetensors
	$(BIN)/liquid train keywords -o checkpoints/keywords.safetensors

# mypy does not follow setuptools' package-dir: it gets the package as a tree of links.
.PHONY: types
types:
	rm -rf build/types && mkdir -p build/types/liquid_accel
	for path in host/*; do ln -s "$(CURDIR)/$$path" build/types/liquid_accel/; done
	for name in rtl sim boards; do if [ -d $$name ]; then ln -s "$(CURDIR)/$$name" build/types/liquid_accel/; fi; done

# Stamps: an installation is repeated where the project file is newer, and not otherwise. The package itself is linked,
# not copied, so that an edit of it needs none.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml setup.py | $(BIN)/python
	$(PIP) install -q -e .
	touch $@

$(VENV)/.installed-synth: $(VENV)/.installed
	$(PIP) install -q -e '.[synth]'
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(PIP) install -q -e '.[bench]'
	touch $@

$(VENV)/.installed-train: $(VENV)/.installed
	$(PIP) install -q -e '.[train]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) install -q -e '.[train,test]'
	touch $@

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
