# spikeport: `make demo` and `make test` set themselves up on first use.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PACKAGES := toolchain/spikeport targets/spikeport_targets models/spikeport_models

.DEFAULT_GOAL := help
PEERS  := $(VENV)/.peers
.PHONY: help setup peers demo test test-slow matrix mutants mutants-page lint format zoo bench docs dist clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## a virtual environment with pinned versions

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[lava,events,dev]'
	$(BIN)/python -m pip install --quiet --no-deps --ignore-requires-python lava-nc==0.10.0
	touch $@

peers: $(PEERS)  ## other tools that take part in some tests, which skip without them

$(PEERS): $(STAMP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[lava,events,dev,peers,sanafe,gpu-tests,cluster,search]'
	-SPIKEPORT_ENVIRONMENTS=$(VENV)/environments $(BIN)/spikeport targets --install nengo-loihi
	-SPIKEPORT_ENVIRONMENTS=$(VENV)/environments $(BIN)/spikeport targets --install speck
	-SPIKEPORT_ENVIRONMENTS=$(VENV)/environments $(BIN)/spikeport targets --install xylo
	-SPIKEPORT_ENVIRONMENTS=$(VENV)/environments $(BIN)/spikeport targets --install lava
	touch $@

demo: $(STAMP)  ## the main job on real handwritten digits; writes build/demo/report.html
	$(BIN)/spikeport run digits --out build/demo

test: $(STAMP)  ## the suite, under eight minutes on two cores
	$(BIN)/python -m pytest -n 2 -m 'not slow and not bench'

test-slow: $(STAMP)  ## what takes longer than the suite may
	$(BIN)/python -m pytest -m 'slow and not bench'

MATRIX ?= 3.12:2.3.5 3.12:1.26.4 3.13:2.3.5
matrix: $(STAMP)  ## Lava's equality on other Pythons and numpys, in environments of their own under build/matrix
	$(BIN)/python tests/matrix.py $(MATRIX)

SHARD ?= 1/1
mutants: $(STAMP)  ## small changes that the tests have to notice; goes on where it was, SHARD=1/4 for one of four machines
	PYTHONPATH=tests $(BIN)/python -m mutants run --shard $(SHARD)

mutants-page: $(STAMP)  ## docs/results/mutants.md from what ran
	PYTHONPATH=tests $(BIN)/python -m mutants page

lint: $(STAMP)  ## format, style, types, who may import whom, and the names in changelog.d
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/towncrier build --draft >/dev/null

format: $(STAMP)  ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

zoo: $(PEERS)  ## published modules, captured or refused, and why; writes docs/results/zoo.md
	$(BIN)/python tests/capture/zoo.py

bench: $(PEERS)  ## benchmarks against named peers; writes build/bench.json, and build/bench/ as pages of docs/results
	$(BIN)/python -m pytest tests/benchmarks -m bench -s -p no:cacheprovider
	mkdir -p build/bench
	SPIKEPORT_ENVIRONMENTS=$(VENV)/environments $(BIN)/python tests/peer_speed.py --write build/bench/feed-forward-speed.md --scaling build/bench/scaling-axes.md
	$(BIN)/python tests/recurrent_speed.py --write build/bench/recurrent-speed.md
	$(BIN)/python tests/stream_speed.py --write build/bench/streaming.md
	$(BIN)/python tests/scaling_speed.py --write build/bench/scaling.md
	$(BIN)/python tests/onnx_speed.py --write build/bench/onnx-speed.md
	$(BIN)/python tests/channel_speed.py --write build/bench/channels.md

docs: $(STAMP)  ## the documentation site, no warning allowed; writes build/docs/site/index.html
	$(BIN)/python docs/generate.py build/docs --run
	$(BIN)/zensical build --strict --clean -f build/docs/zensical.toml

dist: $(STAMP)  ## wheel and sdist in dist/, installed in a clean environment; README's Python example runs from it
	$(BIN)/python tests/dist.py

clean:  ## remove what was built, keep the environment
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache
