# make demo    the whole flow on a throw-away server, with a real clip
# make test    every test; installs what they need
# make bench   the figures of docs/performance.md
# make torture hours of kills, large uploads and every preset
# make build   bin/openams
# make lint    gofmt, go vet, staticcheck

GO ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0

# The default clip is real footage that comes with a Go module we use anyway.
MP4FF = $(shell $(GO) mod download github.com/Eyevinn/mp4ff && $(GO) list -m -f '{{.Dir}}' github.com/Eyevinn/mp4ff)
BBB_CREDIT = Big Buck Bunny, (c) Blender Foundation, CC BY 3.0, peach.blender.org

.PHONY: demo test bench torture build lint need-demo need-test
.DEFAULT_GOAL := build

build:
	$(GO) build -o bin/openams ./cmd/openams

demo: need-demo build
ifdef VIDEO
	./bin/openams demo $(DEMOFLAGS) "$(VIDEO)"
else
	./bin/openams demo $(DEMOFLAGS) --credit "$(BBB_CREDIT)" "$(MP4FF)/mp4/testdata/bbb_prog_10s.mp4"
endif

test: need-test build
	$(GO) vet ./...
	OPENAMS_TEST_BINARY="$(CURDIR)/bin/openams" $(GO) test -timeout 40m ./...

bench: need-test build
	@test -d e2e/js/node_modules/azurite || (cd e2e/js && npm install --no-save --no-audit --no-fund azurite@3.37.0)
	OPENAMS_TEST_BINARY="$(CURDIR)/bin/openams" $(GO) test -run '^$$' -bench . -benchtime 2s -timeout 60m $$($(GO) list ./... | grep -v /e2e$$)
	OPENAMS_TEST_BINARY="$(CURDIR)/bin/openams" $(GO) test -run "^$$" -bench . -benchtime 1x -timeout 60m ./e2e

torture: need-test build
	OPENAMS_TEST_BINARY="$(CURDIR)/bin/openams" OPENAMS_TEST_TORTURE=1 $(GO) test -count 1 -timeout 4h -v -run TestTorture ./e2e
	OPENAMS_TEST_KILL_ROUNDS=2000 $(GO) test -count 1 -timeout 4h -run TestKill ./restblob
	OPENAMS_TEST_TORTURE=1 $(GO) test -count 1 -timeout 4h -run Torture ./encoder

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

need-demo:
	@.ci/need ffmpeg ffprobe

need-test:
	@.ci/need ffmpeg ffprobe chromium node npm az nginx wrk postgresql
	@cd e2e/js && { test node_modules/.package-lock.json -nt package-lock.json || npm ci --no-audit --no-fund; }
