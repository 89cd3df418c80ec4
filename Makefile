# Every target works on a fresh machine with Python >= 3.11. The virtual environment is made once, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
PEERS := .bench-venv
SNAKEMAKE := $(BIN)/snakemake --cores all

.PHONY: demo her2st doctor hest-sheet test lint format bench schemas envs clean

envs: $(STAMP)

$(STAMP): envs/constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint envs/constraints.txt --editable '.[test]'
	touch $(STAMP)

# The embedded phantom, from raw slides to the table and results/report.html.
demo: $(STAMP)
	$(SNAKEMAKE)
	@cat results/tables/phantom/leaderboard.md
	@echo "report: results/report.html"

# Real HER2+ sections: make her2st HER2ST=<folder of almaan/her2st>.
her2st: $(STAMP)
	@test -n "$(HER2ST)" || { echo "give the folder of almaan/her2st: make her2st HER2ST=/path/to/her2st"; exit 2; }
	$(SNAKEMAKE) --config 'experiments=[her2st]' 'datasets={her2st: {root: "$(HER2ST)"}}'
	@cat results/tables/her2st/leaderboard.md
	@echo "report: results/report.html"

# What is missing before a run, with the remedy, and what it will cost: make doctor CONFIG="experiments=[her2st]".
doctor: $(STAMP)
	@$(SNAKEMAKE) --quiet all --snakefile workflow/doctor.smk $(if $(CONFIG),--config $(CONFIG))

# A sheet of HEST-1k slides from your copy of its release table; WHERE: column=value, joined by commas.
hest-sheet: $(STAMP)
	@$(BIN)/python -c "from stainscript.datasets.hest_release import write_sheet; \
	write_sheet('$(RELEASE)', where='$(WHERE)', out='$(SHEET)')"

test: lint
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

# Ratios in one run. TRIDENT is on no package index: make bench TRIDENT=<folder of its sources> measures it too.
bench: $(STAMP) $(PEERS)/installed
	$(BIN)/python benchmarks/throughput.py
	BENCH_PEERS=$(PEERS)/bin/python TRIDENT="$(TRIDENT)" $(BIN)/python benchmarks/patches.py
	$(BIN)/python benchmarks/encode.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/genes.py

# What the benchmarks measure against, in an environment of its own.
$(PEERS)/installed: benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --requirement benchmarks/peers.txt
	touch $@

# JSON schemas of the config for editors, from the models of src/stainscript/config.
schemas: $(STAMP)
	$(BIN)/python -c "import json, pathlib, stainscript.config as c; \
	[pathlib.Path('workflow/schemas', n).write_text(json.dumps(s, indent=1) + chr(10)) for n, s in c.schemas().items()]"

clean:
	rm -rf results .snakemake
