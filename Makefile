# Two commands do everything: `make demo` and `make test`. Each target is one line that calls a script.
SHELL := /bin/bash
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
DEPS := node_modules/.package-lock.json
SOURCES := $(shell find plugins server-attestor agent-attestor operator bundle-publisher-keeper key-manager-tpm -name '*.ts' 2>/dev/null) scripts/build.ts package-lock.json

.DEFAULT_GOAL := help
.PHONY: help demo test test-tpm test-tower tower gen gen-check docs build release image pack lint format fuzz bench cut-off healthy soak conformance clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'

demo: $(DEPS) dist/SHA256SUMS ## Attest this machine's software TPM with real SPIRE and Keylime (KEEP=1 leaves it running; EVIDENCE=tpm, MODE=push)
	@node test/lab/one-host/demo.ts

test: $(DEPS) ## Run every check and every test; the last line counts them (TOWER=1 adds the three-host tower)
	@node scripts/test.ts $(if $(TOWER),--tower)

test-tpm: $(DEPS) dist/SHA256SUMS ## Boot guests with a TPM: the TPM room and the key manager on its /dev/tpmrm0 (skipped without qemu)
	@vitest run --project vm

test-tower: $(DEPS) ## Run the scenarios of the three-host tower alone
	@node scripts/test.ts --only tower

tower: $(DEPS) dist/SHA256SUMS ## Raise three attested hosts and leave them standing: look around with ./test/lab/tower/tower
	@./test/lab/tower/tower up --keep

gen: $(DEPS) ## Generate each room's gen folder from proto/
	@scripts/gen.sh

gen-check: $(DEPS) ## Fail when generated code is not what proto/ gives
	@scripts/gen.sh --check

docs: $(DEPS) ## Write the generated tables of docs/ and README.md
	@node scripts/docs.ts

build: dist/SHA256SUMS ## Build dist/: one executable file for each half

release: $(DEPS) ## Build everything that is shipped: executables, .deb, image, licences, bill of materials, sums
	@node scripts/release.ts

image: $(DEPS) dist/SHA256SUMS ## Build dist/image: the OCI image for SPIRE's official images (docs/image.md)
	@node scripts/image.ts

pack: $(DEPS) ## Build the npm packages into dist/npm: one folder and one tarball each
	@node scripts/pack.ts

dist/SHA256SUMS: $(DEPS) $(SOURCES)
	@node scripts/build.ts

lint: $(DEPS) ## Check format, types, rules, dead code and import arrows
	@node scripts/test.ts --only checks

format: $(DEPS) ## Format the code
	@biome check --write .

soak: $(DEPS) dist/SHA256SUMS ## Attest for an hour while all around changes: no failure, flat memory and descriptors (MINUTES, RATE)
	@node test/bench/endurance.ts --minutes $(or $(MINUTES),60) --rate $(or $(RATE),20)

fuzz: $(DEPS) ## Feed at least 100,000 mutants to each parser
	@node test/fuzz/run.ts

bench: $(DEPS) dist/SHA256SUMS ## Measure speed and memory, beside the Go plugins when GO_PLUGIN_DIR is set (PUBLISH=1 writes docs)
	@node test/bench/run.ts$(if $(PUBLISH), --publish)

cut-off: $(DEPS) dist/SHA256SUMS ## Measure how fast a failed host loses its identity: 30 rounds on the tower, then among 1,000 hosts
	@node test/bench/cut-off.ts --tower 30 --scale 100

healthy: $(DEPS) dist/SHA256SUMS ## Watch a healthy tower for 30 minutes: no decision, no finding, no gap, flat memory
	@node test/bench/healthy-watch.ts

conformance: $(DEPS) dist/SHA256SUMS ## Print the table of the 62 conformance cases (TOFU=1 has OpenTofu judge too)
	@node test/conformance/run.ts$(if $(TOFU), && TOFU=1 vitest run --project conformance test/conformance/opentofu)

clean: ## Remove what was built in this folder (the cache outside it stays)
	@rm -rf dist .tmp coverage

$(DEPS): package.json package-lock.json
	@scripts/install.sh
