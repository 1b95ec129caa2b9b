# Every target is also one line that works by hand.
GO      ?= go
BIN     := bin
PLUGINS := jellyfin plex
LDFLAGS := -s -w
SOAK    ?= .
BENCH   ?= .

.PHONY: build run demo test race soak bench fuzz lint generate postgres gcc test-node

# The installation: the host, and beside it the directory of its own plugins.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='$(LDFLAGS)' -o $(BIN)/zondarr ./cmd/zondarr
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='$(LDFLAGS)' -o $(BIN)/zondarr-demo ./cmd/zondarr-demo
	@mkdir -p $(BIN)/plugins
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='$(LDFLAGS)' -o $(BIN)/plugins/ $(foreach p,$(PLUGINS),./cmd/zondarr-plugin-$(p))

# Serve on 127.0.0.1:8000, with the data in ./data.
run: build
	@$(BIN)/zondarr init && exec $(BIN)/zondarr serve

# The product against simulated media servers, for a first look; it keeps nothing.
demo: build
	@exec $(BIN)/zondarr-demo

# Everything but the long tests, on SQLite and a private PostgreSQL.
test: postgres
	$(GO) test -p 4 -timeout 20m ./...

# With the race detector, on smaller data.
race: postgres gcc
	$(GO) test -race -short -p 4 -timeout 40m ./...

# The long ones: fault schedules, plugin killing, 100,000 users.
# Each is named TestSoak….
soak: postgres
	$(GO) test -tags soak -run Soak -timeout 90m -v ./...

bench: postgres
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -timeout 60m ./...

# A plugin in another language passes the same checks; needs Debian's nodejs and npm.
test-node:
	@command -v node >/dev/null && command -v npm >/dev/null || (apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends nodejs npm)
	$(GO) test -tags node -run Node -timeout 20m -v ./sdk/...

lint:
	$(GO) tool -modfile=tools/golangci-lint.mod golangci-lint run ./...
	$(GO) tool -modfile=tools/buf.mod buf lint

# Generated code is checked in: ent's client, the protobuf, the OpenAPI document.
generate:
	$(GO) generate ./...
	$(GO) tool -modfile=tools/buf.mod buf generate
	$(GO) test ./host/internal/api -run Golden -update

# The tests start a server of their own from the machine's PostgreSQL binaries, and a
# PgBouncer in front of it.
postgres:
	@[ -n "$$ZONDARR_TEST_POSTGRES_URL" ] || command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || \
	  { echo 'installing PostgreSQL for the tests'; apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql; } || \
	  { echo 'The tests need PostgreSQL: install it, or set ZONDARR_TEST_POSTGRES_URL.' >&2; exit 1; }
	@PATH="$$PATH:/usr/sbin:/usr/local/sbin"; command -v pgbouncer >/dev/null || \
	  { echo 'installing PgBouncer for the tests'; apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends pgbouncer; } || \
	  { echo 'The tests need PgBouncer: install it.' >&2; exit 1; }

gcc:
	@command -v gcc >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends gcc libc6-dev; } || \
	  { echo 'The race detector needs gcc.' >&2; exit 1; }
