# Needs Python 3.11 or later with venv, and Java 17; everything else is fetched into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# A Python 3.13 that runs, of the system or of pyenv; empty where there is none.
PYTHON313 ?= $(shell for python in python3.13 $(HOME)/.pyenv/versions/3.13*/bin/python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null && echo "$$python" && break; done)
BIN := .venv/bin
BIN35 := .venv-spark35/bin
BIN313 := .venv-py313/bin
PIP_INSTALL = -m pip install --quiet --disable-pip-version-check
# Python 3.11 may bring an older one, which warns of an extra of lxml that is there.
PIP := pip>=23.3
SAMPLE := tests/data/sample
DEMO := build/demo
DUMPS := CC-MAIN-2022-05 CC-MAIN-2022-21
# The tests that may grow too long, named at the end of a run.
DURATIONS := --durations=10 --durations-min=5
# Tests and examples that need no Java.
FAST := tests/kernels tests/recipe tests/test_house.py tests/test_docs.py tests/test_readme.py \
	dclm_spark/kernels dclm_spark/recipe

# Tests of tables and stages in one session, classic or over Spark Connect.
SESSION := tests/lake tests/spark tests/stages
# Tests of what could depend on the Python that runs, above all on its version of Unicode.
ON313 := tests/recipe dclm_spark/kernels dclm_spark/recipe \
	$(patsubst %,tests/kernels/test_%.py,any_text c4 domains fineweb gopher quality shingles simplify spacy_words urls words)
KILLS := tests/e2e/test_kill.py tests/e2e/test_kill_deduplication.py tests/e2e/test_cluster.py
# Tests of whole chains, in one session and with one finished lake.
CHAINS := tests/e2e tests/pipeline tests/reports

.PHONY: help demo warm test test-fast test-chains test-others test-stages test-slow test-programs test-kills test-again test-slow-chains test-connect test-slow-stages test-long \
	test-spark35 test-e2e35 test-stages35 test-py313 test-rest lint docs docs-outputs format bench jars wheel clean

help:
	@echo "make demo          install, run the chain on the bundled records, print the funnel"
	@echo "make test          all tests but the slow ones"
	@echo "make test-fast     kernels, recipes and the documents' rules, without Java and what takes seconds: about a minute"
	@echo "make test-slow     clusters of machines, kills, the blocks of README and docs, the stages over Spark Connect"
	@echo "make test-long     many rounds of processes beside each other, interrupts at every moment, a warehouse in S3"
	@echo "make test-rest     test-slow, test-spark35 and, where there is a Python 3.13, test-py313; three at once"
	@echo "make test-spark35  kernels, stages, commands and whole chains on Spark 3.5, slow or not but what asks nothing of a version"
	@echo "make test-py313    what could depend on the Python that runs, on Python 3.13"
	@echo "make lint          ruff, formatting, import contract, types"
	@echo "make docs          the documents as a site, in build/site"
	@echo "make docs-outputs  write what the blocks of README and docs print into the pages"
	@echo "make bench         the table of docs/performance.md"
	@echo "make wheel         dist/*.whl of the last commit; LINKS=https://.../ completes the links of its README"

# A stamp a set of extras; an interrupted install leaves none.
.venv/.run: setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || { $(PYTHON) -m venv .venv && $(BIN)/python $(PIP_INSTALL) '$(PIP)'; }
	$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --editable '.[local]'
	touch $@

.venv/.test: .venv/.run
	$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --editable '.[local,connect,s3,test,dev]'
	touch $@

.venv/.docs: .venv/.test
	$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --editable '.[docs]'
	touch $@

.venv-spark35/.test: setup.cfg pyproject.toml constraints-spark35.txt
	test -x $(BIN35)/python || { $(PYTHON) -m venv .venv-spark35 && $(BIN35)/python $(PIP_INSTALL) '$(PIP)'; }
	$(BIN35)/python $(PIP_INSTALL) --constraint constraints-spark35.txt --editable '.[local,connect,s3,test]'
	touch $@

.venv-py313/.test: setup.cfg pyproject.toml constraints.txt
	test -x $(BIN313)/python || { $(PYTHON313) -m venv .venv-py313 && $(BIN313)/python $(PIP_INSTALL) '$(PIP)'; }
	$(BIN313)/python $(PIP_INSTALL) --constraint constraints.txt --editable '.[local,test]'
	touch $@

jars: .venv/.run
	@$(BIN)/python -c "from dclm_spark.spark.launch import prepare; prepare()"

demo: jars
	@rm -rf $(DEMO)
	@set -e; for dump in $(DUMPS); do \
	    $(BIN)/dclm-spark run --input $(SAMPLE)/$$dump --dump $$dump --warehouse $(DEMO); \
	done
	@echo "tables: $(CURDIR)/$(DEMO)"

# Three parts at once, of like length: jobs wait for processes most of their time. Each prints what it has to say when it ends.
test: .venv/.test jars
	@$(MAKE) --no-print-directory --jobs 3 --output-sync=target test-chains test-stages test-others

# Before several processes would compile the kernels beside each other; the tests of tables, which need none, run meanwhile.
warm: .venv/.test
	@$(BIN)/python -m tests.support.warm

# What a change of a kernel, a recipe or a page breaks first. Kernels that changed are compiled beforehand, which takes longer.
test-fast: .venv/.test
	$(BIN)/python -m pytest $(FAST) -m "not slow and not busy"

test-chains: warm
	$(BIN)/python -m pytest $(CHAINS) -m "not slow" $(DURATIONS)

test-stages: .venv/.test
	$(BIN)/python -m pytest $(SESSION) tests/exports -m "not slow" $(DURATIONS)

test-others: warm
	$(BIN)/python -m pytest $(addprefix --ignore ,$(CHAINS) $(SESSION) tests/exports) -m "not slow" $(DURATIONS)

test-slow: .venv/.test jars
	@$(MAKE) --no-print-directory --jobs 3 --output-sync=target test-kills test-slow-chains test-programs test-again test-connect test-slow-stages

test-programs: .venv/.test
	$(BIN)/python -m pytest tests/e2e $(addprefix --ignore ,$(KILLS)) -m "slow and not long" $(DURATIONS)

test-kills: .venv/.test
	$(BIN)/python -m pytest $(KILLS) -m "slow and not long" $(DURATIONS)

test-again: .venv/.test
	$(BIN)/python -m pytest $(addprefix --ignore ,$(CHAINS) $(SESSION)) -m "slow and not long" $(DURATIONS)

test-slow-chains: .venv/.test
	$(BIN)/python -m pytest tests/pipeline tests/reports -m "slow and not long" $(DURATIONS)

test-slow-stages: .venv/.test
	$(BIN)/python -m pytest $(SESSION) -m "slow and not long" $(DURATIONS)

test-connect: .venv/.test
	DCLM_SPARK_TEST_SESSION=connect $(BIN)/python -m pytest $(SESSION) --ignore tests/spark/test_session.py -m "not once and not slow" $(DURATIONS)

test-long: .venv/.test jars
	$(BIN)/python -m pytest tests -m long

test-spark35: .venv-spark35/.test
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target test-e2e35 test-stages35

test-e2e35: .venv-spark35/.test
	$(BIN35)/python -m pytest tests/e2e -m "not spark41 and not once and not long" $(DURATIONS)

test-stages35: .venv-spark35/.test
	$(BIN35)/python -m pytest tests/kernels $(SESSION) tests/pipeline tests/reports tests/exports -m "not spark41 and not once and not slow and not busy" $(DURATIONS)

test-py313: .venv-py313/.test
	$(BIN313)/python -m pytest $(ON313) -m "not slow"

# What `test` leaves out, packed, the longest first: most of these wait for processes of their own now and then.
test-rest: .venv/.test .venv-spark35/.test jars
	@$(MAKE) --no-print-directory --jobs 3 --output-sync=target test-kills test-slow-chains test-e2e35 test-programs test-again test-stages35 test-connect test-slow-stages $(if $(PYTHON313),test-py313)

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

docs-outputs: .venv/.test jars
	DCLM_SPARK_REWRITE_OUTPUTS=1 $(BIN)/python -m pytest tests/test_readme.py tests/test_docs.py

format: .venv/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.test
	$(BIN)/python -m benchmarks $(PEERS)

# From a copy of the last commit, in which the README's links begin with LINKS: a package index shows no other file.
wheel: .venv/.run
	rm -rf build/wheel && mkdir -p build/wheel && git archive HEAD | tar -x -C build/wheel
	sed -i -E 's#\]\((docs/|CONTRIBUTING)#](${LINKS}\1#g' build/wheel/README.md
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist build/wheel

clean:
	rm -rf .venv .venv-spark35 .venv-py313 build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache .mypy_cache
