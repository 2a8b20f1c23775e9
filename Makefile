# `make run` serves; `make test` runs every test. Each installs what the distribution lacks first.
SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

DATA ?= ./data
PORT ?= 8080
RELEASE := .build/release/drive

.PHONY: help run test crash autobahn bench build release format check-format prepare clean

help: ## What can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

prepare: ## Install what the distribution lacks
	scripts/prepare

build: prepare ## Build for development
	swift build

release: prepare ## Build for use
	swift build -c release --product drive

run: release ## Serve on 127.0.0.1:$(PORT) with the folder $(DATA)
	exec $(RELEASE) serve --data "$(DATA)" --port "$(PORT)"

test: ## Run every test, with a PostgreSQL of its own
	scripts/prepare test
	scripts/test

crash: prepare ## Kill the server a thousand times, and 200 times under listening clients
	DRIVE_CRASH_KILLS=$${DRIVE_CRASH_KILLS:-1000} DRIVE_LIVE_ROUNDS=$${DRIVE_LIVE_ROUNDS:-200} scripts/test --filter CrashTests

autobahn: prepare ## Run every case of the Autobahn WebSocket suite
	DRIVE_AUTOBAHN_SPEC=$${DRIVE_AUTOBAHN_SPEC:-full} scripts/test --filter AutobahnTests

bench: release ## Measure, and write docs/benchmarks.md
	scripts/prepare bench
	swift build -c release --package-path Benchmarks
	swift build -c release --product task-benchmark
	Benchmarks/run --drive $(RELEASE)

format: ## Format all Swift files
	swift format --in-place --parallel --recursive Package.swift Sources Tests Benchmarks/Package.swift

check-format: ## Fail where a Swift file is not formatted
	scripts/check-format

clean: ## Remove what was built
	rm -rf .build Benchmarks/.build
