# Realtime Avatar. `make help` lists what there is.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0
INSTALL := $(BIN)/python -m pip install --no-deps --require-hashes --no-input --disable-pip-version-check

# The settings of `make serve`, as environment variables or as `make serve PORT=9000`.
export PROFILE HOST PORT DASHBOARD_PORT DATA_DIR TLS_CERT TLS_KEY API_KEYS_FILE \
  LOGICAL_GPUS COST_MODEL TRANSPORT MODELS_DIR ENGINES_DIR
# ... and those of `make models`, beside the hub's own (HF_ENDPOINT, HF_TOKEN).
export MODELS_FROM VERIFY

# A profile with an engine that runs on torch needs the second lock, to serve; to fetch weights none does.
PROFILE_FILE = $(wildcard $(PROFILE) cluster/$(PROFILE).yaml)
TORCH_STAMP = $(if $(PROFILE),$(if $(shell grep -lsE 'engine: *(xtts|ditto)' $(PROFILE_FILE) /dev/null),$(VENV)/.installed-torch))

.DEFAULT_GOAL := help
.PHONY: help serve models engines install check test bench load quality plan manifests chaos lock

help: ## this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10
	@echo; echo 'Settings of serve: PROFILE=embedded HOST=127.0.0.1 PORT=8000 DASHBOARD_PORT=8265 DATA_DIR=var/data'
	@echo '                   TLS_CERT= TLS_KEY= API_KEYS_FILE=   (profiles: files in cluster/)'
	@echo 'Of models too:     MODELS_DIR=var/models; of models alone: VERIFY=1 MODELS_FROM=s3://bucket/models'
	@echo 'Of engines too:    MODELS_DIR=var/models ENGINES_DIR=var/engines'

serve: install $(TORCH_STAMP) ## install what is missing, start the graph, print the page's address
	@exec $(BIN)/python -m graph.launch

models: install ## fetch the weights that PROFILE needs into MODELS_DIR, and check them
	@exec $(BIN)/python -m graph.models

engines: install $(TORCH_STAMP) ## build what PROFILE runs on this machine's GPU (plans) into ENGINES_DIR
	@exec $(BIN)/python -m graph.engines

install: $(VENV)/.installed

# The stamp is newer than the lock when everything in the lock is there.
$(VENV)/.installed: requirements.lock requirements-portraits.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed; say which: make serve PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "error: Python's venv module is missing; on Debian: apt install python3-venv"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing $$(grep -c == requirements.lock) packages (about 1.2 GB on disk, once) ..."
	@$(INSTALL) -r requirements.lock
	@$(INSTALL) -q -r requirements-portraits.lock  # for its .tflite files; its code and what that needs are not used
	@touch $@

$(VENV)/.installed-test: requirements-test.lock $(VENV)/.installed
	@echo "Installing the test tools ..."
	@$(INSTALL) -q -r requirements-test.lock
	@$(FOR_A_CARD)
	@touch $@

# torch itself is in no lock: which build of it (CPU, CUDA) is the machine's affair, and so are the libraries that it brings.
$(VENV)/.installed-torch: requirements-torch.lock $(VENV)/.installed
	@echo "Installing torch and the engines that need it (about 2 GB on disk, several more with CUDA; once) ..."
	@$(INSTALL) -q -r requirements-torch.lock
	@$(BIN)/python -m pip install --no-input --disable-pip-version-check -q \
	  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $(TORCH)
	@$(FOR_A_CARD)
	@touch $@

# Beside a card and torch: CTranslate2 wants CUDA 12's cuBLAS, which a torch for CUDA 13 does not bring; and ONNX Runtime for CUDA
# takes the place of the other, which each lock brings back. Both have the same files, hence the force.
FOR_A_CARD = if command -v nvidia-smi >/dev/null && $(BIN)/python -c 'import torch' 2>/dev/null; then \
  $(BIN)/python -m pip uninstall --yes -q onnxruntime && \
  $(BIN)/python -m pip install --no-deps --no-input --disable-pip-version-check -q --force-reinstall \
    'nvidia-cublas-cu12==12.9.*' onnxruntime-gpu==1.31.1; fi

check: $(VENV)/.installed-test ## ruff, mypy, unit, contract and graph tests: before every commit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile tests/unit tests/contracts tests/graph tests/ditto

test: $(VENV)/.installed-torch check ## all of check, then real Ray Serve and a real browser: what CI runs
	@tests/page/install_browser.sh
	@tests/serve/install_prometheus.sh
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/serve tests/page tests/gpu

bench: $(VENV)/.installed-test ## latency of a turn and speed of each engine on this machine
	$(BIN)/python -m benchmarks.engines
	$(BIN)/python -m benchmarks.turn_latency

load: $(VENV)/.installed-test ## how many people can speak at once: the curve, into var/capacity.html
	$(BIN)/python -m benchmarks.capacity

quality: $(VENV)/.installed-torch $(VENV)/.installed-test ## how good a profile's answers are: words, voice, lips; report into var/quality
	$(BIN)/python -m benchmarks.quality $(if $(PROFILE),--profile $(PROFILE)) $(if $(BASELINE),--baseline $(BASELINE))

plan: $(VENV)/.installed-test ## how many L4s so many callers need: make plan CALLERS=100
	$(BIN)/python -m benchmarks.plan $(if $(CALLERS),--callers $(CALLERS))

manifests: $(VENV)/.installed ## write the Kubernetes and Grafana files anew from the profiles and the metrics
	$(BIN)/python -m cluster.kuberay.generate
	$(BIN)/python -m graph.dashboard

chaos: $(VENV)/.installed-test ## what people notice while replicas, engines, a node and the disk fail
	$(BIN)/python -m benchmarks.chaos

lock: ## resolve the locks anew from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --extra cpu --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade -o requirements.lock
	uv pip compile pyproject.toml --extra cpu --extra test -c requirements.lock --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --upgrade -o requirements-test.lock
	uv pip compile pyproject.toml --extra l4 --extra quality -c requirements-test.lock --python-version 3.11 \
	  --python-platform x86_64-manylinux_2_35 --no-emit-package torch --no-emit-package webrtcvad --no-emit-package typing \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade -o requirements-torch.lock
