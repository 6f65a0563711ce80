# What a developer runs; `make` lists it. Everything needs Go alone.

GO          ?= go
STATICCHECK  = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 20s

# The modules of this repository: dnngen, a project that uses it, and the Go
# libraries that it is compared with.
MODULES = . examples/service bench/peers/gomlx bench/peers/gorgonia

# A sum of every file that git would keep.
SUM = git ls-files -co --exclude-standard | git hash-object --stdin-paths | git hash-object --stdin

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

.PHONY: test
test: lint unit generate-check ## all that must pass before a change lands

.PHONY: lint
lint: ## gofmt, vet, staticcheck, a sentence of documentation for every package
	@unformatted=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l); \
	    test -z "$$unformatted" || { echo "not gofmt-clean:"; echo "$$unformatted"; exit 1; }
	@undocumented=$$($(GO) list -f '{{if not .Doc}}{{if .GoFiles}}{{.ImportPath}}{{end}}{{end}}' ./...); \
	    test -z "$$undocumented" || { echo "no package documentation:"; echo "$$undocumented"; exit 1; }
	@set -e; for module in $(MODULES); do \
	    echo "vet and staticcheck: $$module"; \
	    (cd $$module && $(GO) vet ./... && $(STATICCHECK) ./...); \
	done

.PHONY: unit
unit: ## every test
	@set -e; export STATICCHECK="$(STATICCHECK)"; \
	for module in $(MODULES); do (cd $$module && $(GO) test -timeout 30m ./...); done
	$(GO) test -tags noasm ./generated/...
	$(GO) test -tags nogpu ./cuda/driver/... ./cuda/cublaslt/...

.PHONY: generate
generate: ## write everything that is generated again
	@set -e; for module in $(MODULES); do (cd $$module && $(GO) generate ./...); done

.PHONY: generate-check
generate-check: ## fail where generating changes anything
	@before=$$($(SUM)); $(MAKE) --no-print-directory generate >/dev/null; after=$$($(SUM)); \
	    test "$$before" = "$$after" || { echo "make generate changes files:"; git status --short; exit 1; }
	@echo "what is generated is up to date"

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (20s)
	@set -e; for package in $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do \
	    for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	        echo "$$package $$target"; \
	        $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5s $$package; \
	    done; \
	done

.PHONY: race
race: ## the tests of what runs in many goroutines, under the race detector
	$(GO) test -race ./runtime/... ./generated/... ./cuda/driver/...

.PHONY: cross
cross: ## compile for other machines: dnngen, and an emitted trainer
	@set -e; for platform in linux/arm64 darwin/arm64 windows/amd64; do \
	    echo "build: $$platform"; \
	    CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO) build ./cmd/dnngen ./generated/...; \
	    CGO_ENABLED=0 GOOS=$${platform%/*} GOARCH=$${platform#*/} $(GO) vet ./cmd/dnngen ./runtime/... ./generated/digits/...; \
	done
	$(GO) build -tags noasm ./generated/...

.PHONY: course-curves
course-curves: ## draw the learning curves of docs/course.md
	@set -e; runs=$$(mktemp -d); trap 'rm -r "$$runs"' EXIT; curves=; \
	for name in gd sgd minibatch momentum nesterov; do \
	    $(GO) run ./cmd/dnngen run examples/course/$$name.yaml -- --device cpu:go --run $$runs/$$name --quiet >/dev/null; \
	    curves="$$curves $$name=$$runs/$$name/metrics.jsonl"; \
	done; \
	$(GO) run ./examples/course/curves -o docs/img/descent.svg -title "One problem, five ways down" $$curves

# What bench/results holds is measured again by these; bench/README.md says on
# what machine. Together they take about twenty minutes.
BENCH = examples/digits.yaml $(wildcard bench/workloads/w*.yaml)

.PHONY: bench
bench: ## measure dnngen again, and make the tables and charts from it
	$(GO) run ./bench/suite -json bench/results/suite.json $(BENCH)
	$(GO) run ./bench/suite -openblas -seconds 8 -json bench/results/openblas.json $(BENCH)
	$(GO) run ./bench/accuracy -runs 3 -json bench/results/accuracy.json
	$(GO) run ./bench/cost -json bench/results/cost.json examples/digits.yaml bench/workloads/w4.yaml bench/workloads/w5.yaml
	$(GO) run ./bench/growth -json bench/results/growth.json
	$(GO) run ./bench/report

.PHONY: peers
peers: ## measure the peers that are here, beside dnngen; PEER_PYTHON names their Python
	$(GO) run ./bench/peers -seconds 12 -json bench/results/peers.json $(BENCH)
	$(GO) run ./bench/report
