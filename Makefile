# Everything is made inside this checkout: .venv/ and nothing else. Needs git, make and python >= 3.11.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.synced
SYNC   := UV_PROJECT_ENVIRONMENT=$(VENV) UV_PYTHON_DOWNLOADS=never $(BIN)/uv sync --quiet --no-cache --frozen --all-extras
CODE   := client coordinator broker cli tests scripts

.PHONY: setup demo test check protos bench pipes flights metadata-scale memory catch-up crash sim mutants failover soak history damage interop docs picture fmt clean

setup: $(STAMP)

# uv comes from the virtual environment itself, so that no tool has to be installed by hand.
$(STAMP): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Streamkeep needs python >= 3.11; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "making $(VENV)/ (once, some seconds)" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python's venv module is missing: install it (Debian: apt install python3-venv) or set PYTHON="; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --no-cache-dir --disable-pip-version-check 'uv>=0.9'
	@$(SYNC) --compile-bytecode
	@$(BIN)/python -m compileall -q protos client coordinator broker cli
	@touch $@

demo: setup
	@$(BIN)/streamctl demo

# worksteal: what takes long stands together, and would all go to one worker.
test: setup
	$(BIN)/pytest -n auto --dist worksteal -q

check: setup
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/protos.py --check

protos: setup
	$(BIN)/python scripts/protos.py

docs: setup
	$(BIN)/python scripts/settings_doc.py
	$(BIN)/python scripts/streamctl_doc.py
	$(BIN)/python scripts/sdk_doc.py
	$(BIN)/python scripts/state_diagram.py

# What the demo shows, as a picture for README.
picture: setup
	$(BIN)/python scripts/demo_picture.py

fmt: setup
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

clean:
	rm -rf $(VENV) .bench dist tests/interop/go/streamkeepv1 tests/interop/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Three replicas beside a real Apache Kafka's, in one run; NODES=1: one of each. Fetches the peer into .bench/
# (needs java and mvn).
bench: setup
	$(BIN)/python -m tests.bench $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(NODES),--nodes $(NODES))

# Lines through pipes: `streamctl produce` and `consume`, beside kcat on a real Kafka where there is a kcat.
pipes: setup
	$(BIN)/python -m tests.bench.pipes $(if $(ROUNDS),--rounds $(ROUNDS))

# A year of departures through six partitions, compared with pandas: make flights FILE=path/to/flights.csv.gz
flights: setup
	@test -n "$(FILE)" || { echo "usage: make flights FILE=path/to/flights.csv.gz"; exit 2; }
	@$(SYNC) --group flights
	$(BIN)/python -m tests.acceptance.flights "$(FILE)"

# What the metadata machine costs at 10,000 and 200,000 partitions: rates, pauses, bytes, memory.
metadata-scale: setup
	$(BIN)/python -m tests.bench.metadata_scale

# Sizes: a cluster that idles, 2,000 partitions, 200 clients that send as fast as they can.
memory: setup
	$(BIN)/python -m tests.acceptance.memory

# A replica that is a GB behind catches up: how fast, and what producers notice.
catch-up: setup
	$(BIN)/python -m tests.acceptance.replication.catch_up

# Real processes: how long metadata and record writes stop when one of them dies, hangs or leaves; PEER=kafka:
# and those of a real Kafka. What a second of the metadata log holds.
failover: setup
	$(BIN)/python -m tests.acceptance.quorum.failover $(ROUNDS)
	PEER=$(PEER) $(BIN)/python -m tests.acceptance.replication.failover $(ROUNDS)
	$(BIN)/python -m tests.bench.metadata_rate

# Real processes: records written and read under FAULTS (all, none, or kinds with commas), then judged.
soak: setup
	$(BIN)/python -m tests.acceptance.replication.history $(or $(MINUTES),5) $(or $(FAULTS),all) $(or $(SEED),1)

# Real coordinators: a linearizable history under kill -9, SIGSTOP and cut links; directories of a minority destroyed.
history: setup
	$(BIN)/python -m tests.acceptance.quorum.history $(or $(MINUTES),5) $(or $(SEED),1)

damage: setup
	$(BIN)/python -m tests.acceptance.quorum.damage $(or $(CASES),200) $(or $(SEED),1)

# What the suite runs in small, run long: kill -9 of a broker while producing, and simulated power cuts.
crash: setup
	KILLS=$(or $(KILLS),20) SEEDS=$(or $(SEEDS),1000) $(BIN)/pytest -n 2 -q --timeout 3600 tests/integration/crash tests/sim --ignore tests/sim/quorum --ignore tests/sim/replication tests/unit/broker/test_crashes.py tests/unit/coordinator/test_durability.py

# The quorum, and whole clusters with replicas, in virtual time under every fault: SEEDS in all, half of them each one's, FROM one on,
# over all cores; or one SEED with its whole trace. WORLD=quorum|replication is one of the two alone.
sim: setup
	@$(BIN)/python -m tests.sim $(if $(WORLD),--world $(WORLD)) $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),200) --from $(or $(FROM),0))

# The simulation is shown code that is broken on purpose, and must see it.
mutants: setup
	@$(BIN)/python -m tests.sim.mutants $(if $(SEEDS),--seeds $(SEEDS))

# Clients in Go, Node and by grpcurl, made from the protos alone, each held against the others record by record.
# Needs go and node, and says which is missing. WRITERS="go node": these alone.
interop: setup
	@$(BIN)/python -m tests.interop $(WRITERS)
