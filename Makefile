# The two commands of the README: `make demo` and `make test`. Both set up what they need.
VENV := .venv
PYTHON := $(VENV)/bin/python
PACKAGES := $(shell cat tests/packages.txt tests/lab/packages.txt 2>/dev/null)

.PHONY: help test faults fuzz lint demo bench messages screenshots schemas lock audit sbom packages clean

help:
	@echo "make demo    bring up five hosts on this machine, make them a cluster, show its nodes"
	@echo "make test    lint, types, imports, and every test (as root on Linux: the lab, too)"
	@echo "make faults  every promise of SECURITY.md, by every fault; hours"
	@echo "make fuzz    100,000 spoiled files and more for everything that reads files, in ten minutes"
	@echo "make lint    formatting, lint, types and the import contract"
	@echo "make bench   the figures of benchmarks/"
	@echo "make messages bring the translations up to what the wizard says, and compile them"
	@echo "make screenshots draw screenshots/*.svg anew"
	@echo "make schemas write docs/reference/*.schema.json anew"
	@echo "make lock    pin the dependencies anew"
	@echo "make audit   advisories about them, where they can be asked, and their hashes"
	@echo "make sbom    list them as CycloneDX JSON, in dist/"

# Installed without starting a single service (RUNLEVEL=1): tests start their own.
packages:
	@if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then exit 0; fi; \
	for name in $(PACKAGES); do \
	    dpkg-query -W -f '$${db:Status-Status}\n' "$$name" 2>/dev/null | grep -qx installed || missing="$$missing $$name"; \
	done; \
	if [ -n "$$missing" ]; then \
	    echo "installing$$missing"; \
	    mkdir -p /etc/postgresql-common; \
	    [ -e /etc/postgresql-common/createcluster.conf ] || \
	        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf; \
	    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1; \
	    apt-get -q update >/dev/null && apt-get -q -y install --no-install-recommends $$missing >/dev/null; \
	fi

$(VENV)/ready: requirements.lock pyproject.toml | packages
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	$(PYTHON) -m pip install -qq --disable-pip-version-check --no-deps -e .
	@touch $@

lint: $(VENV)/ready
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache >/dev/null || $(VENV)/bin/lint-imports --no-cache

# One run of one test runner, last: its summary is the verdict. Most tests wait for hosts, terminals
# and deadlines: two processes, each with a lab of its own, take half the time of one.
test: packages lint
	$(PYTHON) -m pytest tests -n 2 --dist loadfile

faults: packages $(VENV)/ready
	K3S_TUI_FAULTS=full $(PYTHON) -m pytest tests/faults --timeout 14400

fuzz: $(VENV)/ready
	@$(PYTHON) -m tests.faults.fuzzing 600 100000

demo: packages $(VENV)/ready
	@$(PYTHON) -m tests.lab demo

bench: packages $(VENV)/ready
	@$(PYTHON) -m benchmarks

schemas: $(VENV)/ready
	$(VENV)/bin/k3s-tui schema >docs/reference/profile.schema.json
	$(VENV)/bin/k3s-tui schema --events >docs/reference/events.schema.json

messages: $(VENV)/ready
	$(PYTHON) -m tests.tui.catalogue

screenshots: $(VENV)/ready
	$(PYTHON) -m tests.tui.screenshots

lock:
	$(VENV)/bin/uv pip compile pyproject.toml --group dev --extra keyring --universal \
	    --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock

# What is known of the locked versions, where that can be asked; and that they are what is installed.
audit: $(VENV)/ready
	@told=$$($(VENV)/bin/uv tool run -q pip-audit --strict --require-hashes --disable-pip -r requirements.lock 2>&1); \
	status=$$?; echo "$$told" | tail -n 20; \
	[ $$status = 0 ] || ! echo "$$told" | grep -q 'known vulnerabilit' || exit $$status; \
	[ $$status = 0 ] || echo "advisories cannot be asked from here: the hashes of the lock are checked alone"
	$(PYTHON) -m pytest tests/faults/test_dependencies.py

sbom: $(VENV)/ready
	@mkdir -p dist
	$(PYTHON) -m tests.sbom >dist/k3s-tui.cdx.json

clean:
	rm -rf $(VENV)
