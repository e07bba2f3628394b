# Every target does its own set-up: scripts/setup.sh makes a Redis available.
GO ?= go

.PHONY: demo test test-race lint bench build false-alarms stability catalogue reference agreement coverage

build:
	$(GO) build -o bin/lockjam ./cmd/lockjam

# Runs the runbook suite: reproduces its failures on a real Redis and judges
# both immediate remedies.
demo: build
	./scripts/setup.sh
	./bin/lockjam run

test: lint
	./scripts/setup.sh --tests
	$(MAKE) test-race

# The same without the linters, for a quick look while you work. One package at a time:
# some tests measure, and two at once would measure each other. Those that say that they
# may run side by side wait, most of the time. Compilers may use all cores, and do so
# before.
test-race:
	$(GO) test -race -run '^$$' ./... >/dev/null
	$(GO) test -race -p 1 -parallel 4 -timeout 20m ./...

lint:
	./scripts/lint.sh

# Runs the two controls, in which nothing is wrong, a hundred times each, and
# records what fired: five minutes.
false-alarms: build
	./scripts/setup.sh
	mkdir -p results/false-alarms
	./bin/lockjam run healthy near-limit --repeat 100 --parallel 4; code=$$?; \
	cp results/latest/report.md results/false-alarms/ && exit $$code

# Runs the runbook suite a hundred times, and records which verdicts differ: over an
# hour.
stability: build
	./scripts/setup.sh --tests
	mkdir -p results/stability
	./bin/lockjam run --server process --repeat 100; code=$$?; \
	cp results/latest/report.md results/stability/ && exit $$code

# Runs the whole catalogue ten times, and records which verdicts differ, whatever comes
# of it: three quarters of an hour.
catalogue: build
	./scripts/setup.sh --tests
	mkdir -p results/catalogue
	./bin/lockjam run --all --server process --repeat 10; code=$$?; \
	cp results/latest/report.md results/catalogue/ && exit $$code

# Runs the whole catalogue once, and keeps what it says as the run that the README shows:
# under five minutes. The recordings stay in results/latest. On processes, since some
# scenarios are several of them.
reference: build
	./scripts/setup.sh --tests
	./bin/lockjam run --all --server process
	mkdir -p results/reference
	cp results/latest/run.json results/latest/report.md results/reference/

# Records the runbook suite thirty times and the catalogue three times with whole phases, and
# replays on each recording the looks that end an arm once it is decided: forty minutes. What
# is recorded already is kept, so that it can be interrupted, and run again for more.
agreement: build
	./scripts/setup.sh --tests
	./scripts/agreement.sh

# Measures how often the interval of a look covers the truth, on the baselines of a recorded
# run (results/latest) and in simulation.
coverage:
	$(GO) test ./harness/runner -run TestCoverage -count 1 -v -timeout 1h \
		-coverage-rounds 4000 -coverage-run $(CURDIR)/results/latest

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...
