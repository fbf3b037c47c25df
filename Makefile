# `make demo` and `make test` need nothing but Python 3.11 to 3.13.
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(VENV)/bin/pip --disable-pip-version-check
SOURCES := keras_netopt callbacks layers tests benchmarks scripts colab
WORKERS ?= 2
TESTS := $(PY) -m pytest -q -n $(WORKERS) --durations=10
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help demo test test-jax test-torch test-all test-slow test-fuzz \
	test-costs coverage lint format bench bench-applications notebooks docs wheel clean

help:
	@echo "make demo       prune a real network, ship it to LiteRT, print one table"
	@echo "make test       the suite on TensorFlow"
	@echo "make test-all   the suite on TensorFlow, then JAX, then torch"
	@echo "make test-fuzz  every constructor with values drawn at random"
	@echo "make test-costs CPU seconds, fits and traces of each test file"
	@echo "make coverage   statement and branch coverage of each package"
	@echo "make lint       ruff and mypy"
	@echo "make notebooks  execute colab/"
	@echo "make bench      the benchmarks behind docs/methods (long)"
	@echo "make wheel      build the wheel, install it elsewhere, try it"

$(VENV)/bin/python:
	$(PYTHON) -c "import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f'Python 3.11 to 3.13 is needed, this is {v[0]}.{v[1]}. Remedy: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# A stamp a set of packages: each target installs what it needs, once.
$(VENV)/.demo: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(PIP) install -q -e ".[plots,litert]"
	@touch $@

$(VENV)/.dev: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(PIP) install -q -e ".[dev]"
	@touch $@ $(VENV)/.demo

$(VENV)/.torch: $(VENV)/.dev
	$(PIP) install -q "$(TORCH)"
	@touch $@

demo: $(VENV)/.demo
	KERAS_BACKEND=tensorflow $(VENV)/bin/keras-netopt demo

test: $(VENV)/.dev
	KERAS_BACKEND=tensorflow $(TESTS) -m "not slow and not fuzz" tests

test-jax: $(VENV)/.dev
	KERAS_BACKEND=jax $(TESTS) -m "not slow and not fuzz" tests

test-torch: $(VENV)/.torch
	KERAS_BACKEND=torch $(TESTS) -m "not slow and not fuzz" tests

# CPU seconds, `fit` calls and traces of each test file.
test-costs: $(VENV)/.dev
	KERAS_BACKEND=tensorflow $(TESTS) -p costs -m "not slow and not fuzz" tests

# Coverage of the suite on TensorFlow, by statement and branch.
coverage: $(VENV)/.dev
	mkdir -p build
	KERAS_BACKEND=tensorflow $(TESTS) -m "not slow and not fuzz" --cov --cov-report=json:build/coverage.json tests
	$(PY) scripts/coverage_by_package.py build/coverage.json

# Prerequisites run in this order and once a call: `make test test-all` is one
# TensorFlow run.
test-all: test test-jax test-torch

$(VENV)/.clusters: $(VENV)/.torch
	$(PIP) install -q -e ".[cluster,ray]"
	@touch $@

test-slow: $(VENV)/.clusters
	for backend in tensorflow jax torch; do \
	  KERAS_BACKEND=$$backend $(TESTS) -m slow tests || exit 1; done

$(VENV)/.fuzz: $(VENV)/.dev
	$(PIP) install -q -e ".[fuzz]"
	@touch $@

# In one process: the limit of memory is that of a process.
test-fuzz: $(VENV)/.fuzz
	KERAS_BACKEND=jax $(PY) -m pytest -q -m fuzz tests/fuzz

# Pages do not depend on the backend; JAX is imported in half of the time.
lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	KERAS_BACKEND=jax $(PY) scripts/make_docs.py --check
	KERAS_BACKEND=jax $(PY) -m benchmarks.render --check
	$(PY) scripts/type_view.py
	MYPYPATH=build/typing $(PY) -m mypy -p keras_netopt

format: $(VENV)/.dev
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

notebooks: $(VENV)/.dev
	KERAS_BACKEND=tensorflow NETOPT_EPOCHS=1 $(PY) -m pytest -q -o filterwarnings= --nbmake \
	  --nbmake-timeout=600 colab

bench: $(VENV)/.torch
	$(PY) -m benchmarks.pruning
	$(PY) -m benchmarks.quantization
	$(PY) -m benchmarks.tfmot_bridge
	$(PY) -m benchmarks.distillation
	$(PY) -m benchmarks.distribution
	KERAS_BACKEND=jax $(PY) -m benchmarks.sparse_training.accuracy
	KERAS_BACKEND=jax $(PY) -m benchmarks.sparse_training.alternating
	KERAS_BACKEND=jax $(PY) -m benchmarks.sparse_training.tickets
	KERAS_BACKEND=jax $(PY) -m benchmarks.sparse_training.weedout
	KERAS_BACKEND=tensorflow $(PY) -m benchmarks.sparse_training.compact
	$(PY) -m benchmarks.channel_pruning
	$(PY) -m benchmarks.growing
	$(PY) -m benchmarks.scale.surgery
	$(PY) -m benchmarks.curriculum
	$(PY) -m benchmarks.adaptive_depth
	$(PY) -m benchmarks.learning_rate
	for backend in tensorflow jax torch; do \
	  KERAS_BACKEND=$$backend $(PY) -m benchmarks.steps.overhead || exit 1; done
	KERAS_BACKEND=torch $(PY) -m benchmarks.steps.masking
	$(PY) -m benchmarks.scale.masks
	$(PY) -m benchmarks.litert_routes
	$(PY) -m benchmarks.micro
	$(PY) -m benchmarks.crashes
	$(PY) -m benchmarks.advice
	$(PY) -m benchmarks.edge
	$(PY) -m benchmarks.device --parts lowering agreement
	$(PIP) install -q -e ".[bench]"
	$(PY) -m benchmarks.hpo

bench-applications: $(VENV)/.dev
	KERAS_BACKEND=tensorflow $(PY) -m benchmarks.applications

docs: $(VENV)/.dev
	KERAS_BACKEND=tensorflow $(PY) scripts/make_docs.py
	KERAS_BACKEND=tensorflow $(PY) -m benchmarks.render

wheel: $(VENV)/.dev
	rm -rf build dist
	$(PY) -m build --wheel --outdir dist .
	KERAS_BACKEND=tensorflow $(PY) scripts/try_wheel.py dist

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache
