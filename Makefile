FUZZTIME ?= 30s
TOOL     := go tool -modfile=.ci/tools/go.mod
BROWSER  := integration/browser
PRODUCTS := integration/products
MODULES  := $(BROWSER)/node_modules/.package-lock.json $(PRODUCTS)/node_modules/.package-lock.json

.PHONY: help demo test race lint build release verify bench fuzz fmt clean chromium redis postgres pgbouncer sqlite prometheus mmdebstrap buildah

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

demo: ## run simulated platforms, Caddy and a small app on this machine
	go run ./cmd/demo

test: $(MODULES) chromium redis postgres pgbouncer sqlite prometheus buildah ## run all tests; installs the browser, Redis, PostgreSQL, PgBouncer, SQLite, Prometheus, Buildah and the npm packages they need
	go test -timeout 20m ./...
	go -C integration/manifests test ./...

# Those in the browser are about pages, and the servers that they call are tested with
# the race detector in package integration.
race: $(MODULES) chromium redis postgres pgbouncer sqlite prometheus ## run the tests with the race detector
	go test -race -timeout 30m $$(go list ./... | grep -v /$(BROWSER)$$)

lint: ## run the linter
	$(TOOL) golangci-lint run --allow-parallel-runners ./...

build: ## build ./caddy with the modules compiled in
	CGO_ENABLED=0 go build -trimpath -tags nobadger,nomysql,nopgx -ldflags '-s -w' -o caddy ./cmd/caddy

export VERSION ARCHS GOCACHE_AGAIN

release: ## build programs, archives and Debian packages of VERSION (v1.2.3) into ./dist
	cmd/caddy/release/build.sh

verify: mmdebstrap ## build VERSION again elsewhere, compare with ./dist, and install, run, upgrade and remove its package in a fresh Debian
	cmd/caddy/release/verify.sh

bench: redis postgres ## measure, and write integration/bench/RESULTS.md; give it a quiet machine for an hour and a half
	go run ./integration/bench -out integration/bench/RESULTS.md

# Go's fuzzer may end with "context deadline exceeded" when the time is up, which
# is no finding: one has a failing input.
fuzz: ## run every fuzz test for FUZZTIME (30s) each
	@set -e; log=$$(mktemp); trap 'rm -f '$$log EXIT; \
	for file in $$(grep -rl --include='*_test.go' --exclude-dir=node_modules '^func Fuzz' .); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$file); do \
			echo "$$name in $$(dirname $$file)"; \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$(dirname $$file) >$$log 2>&1 || \
				{ grep -q 'context deadline exceeded' $$log && ! grep -q 'Failing input' $$log; } || { cat $$log; exit 1; }; \
			grep 'execs:' $$log | tail -n 1; \
		done; \
	done

fmt: ## format the Go files and Caddyfile.example
	$(TOOL) golangci-lint fmt
	go run ./cmd/caddy fmt --overwrite Caddyfile.example

clean: ## remove what the targets above have made
	rm -rf caddy demo dist simulator $(BROWSER)/node_modules $(PRODUCTS)/node_modules

$(MODULES): %/node_modules/.package-lock.json: %/package.json %/package-lock.json
	cd $* && npm ci --ignore-scripts

chromium:
	@$(call debian,chromium,chromium fonts-liberation)

redis:
	@$(call debian,redis-server,redis-server)

postgres:
	@test -n "$(wildcard /usr/lib/postgresql/*/bin/postgres)" || { $(call debian,postgres,postgresql) }

pgbouncer:
	@test -x /usr/sbin/pgbouncer || { $(call debian,pgbouncer,pgbouncer) }

sqlite:
	@$(call debian,sqlite3,sqlite3)

mmdebstrap:
	@$(call debian,mmdebstrap,mmdebstrap)

prometheus:
	@$(call debian,promtool,prometheus)

buildah:
	@$(call debian,buildah,buildah)
	@test -x /bin/busybox && ! ldd /bin/busybox >/dev/null 2>&1 || { $(call debian,busybox-static,busybox-static) } # it runs without a libc

# debian installs packages unless there is the command.
debian = command -v $(1) >/dev/null || { \
	test "$$(id -u)" = 0 || { echo "$(1) is missing: apt-get install $(2)"; exit 1; }; \
	apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(2); \
}
