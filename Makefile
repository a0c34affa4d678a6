# The front door. CMake and Ninja do the work (CMakePresets.json); `make help` lists what there is.
.DEFAULT_GOAL := help
.PHONY: help run demo-clean build check lint lint-quick bench fuzz-smoke coverage install clean tsan

PREFIX ?= /usr/local
FUZZ_SECONDS ?= 20

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

build: ## install what is missing and build the release programs into build/release/bin
	@tools/install-packages build run
	@cmake --preset release >/dev/null || cmake --preset release
	@cmake --build --preset release

run: build ## build, then see the whole story on this machine: an agent asks, a person decides, the record shows it
	@tools/demo build/release/bin

demo-clean: ## end and remove what `make run` left for trying
	@tools/demo-clean

check: ## everything that must hold: release, sanitizers, threads, every test
	@tools/install-packages build run check
	@tools/check

lint: ## layers, format, sizes, spelling, analysers
	@tools/install-packages build check
	@[ -f build/asan/compile_commands.json ] || cmake --preset asan >/dev/null
	@tools/lint

lint-quick: ## lint without the slow analysers
	@tools/lint QUICK

bench: build ## the benchmarks, as JSON lines in build/bench.jsonl
	@tools/bench build/release/bin

fuzz-smoke: ## every fuzz target for FUZZ_SECONDS (20, at most 60)
	@tools/install-packages build check
	@tools/fuzz-smoke $(FUZZ_SECONDS)

tsan: ## the tests of what has threads, under ThreadSanitizer
	@tools/install-packages build check
	@tools/check tsan

coverage: ## line coverage of the unit tests, as text and HTML in build/coverage
	@tools/install-packages build check cover
	@tools/coverage

install: ## install what users need below PREFIX (the author's harness stays in build/release/bin)
	@cmake --preset release >/dev/null
	@cmake --build --preset release
	@cmake --install build/release --prefix $(PREFIX)

clean: ## remove build/
	@rm -rf build
