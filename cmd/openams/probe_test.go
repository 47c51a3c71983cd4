package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/openams/openams/origin"
	"github.com/openams/openams/probe"
)

// openams probe says what is wrong, in words and as JSON, and fails then.
func TestProbeCommand(t *testing.T) {
	var asked http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header
		if strings.HasSuffix(r.URL.Path, ".ts") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		w.Write([]byte("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:6.0,\na.ts\n#EXT-X-ENDLIST\n"))
	}))
	defer srv.Close()
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		cmd := probeCommand()
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(args)
		err := cmd.ExecuteContext(t.Context())
		return out.String(), err
	}
	out, err := run("--header", "X-Test: yes", srv.URL+"/list.m3u8")
	if err == nil || !strings.Contains(out, "404") || !strings.Contains(out, "TARGETDURATION") || !strings.Contains(out, " errors, ") {
		t.Errorf("%v:\n%s", err, out)
	}
	if asked.Get("X-Test") != "yes" {
		t.Errorf("asked with %v", asked)
	}
	out, err = run("--json", srv.URL+"/list.m3u8")
	out, _, _ = strings.Cut(out, "\nError:")
	out, _, _ = strings.Cut(out, "\nUsage:")
	var report probe.Report
	if jsonErr := json.Unmarshal([]byte(out), &report); err == nil || jsonErr != nil || report.Faults() < 2 {
		t.Errorf("%v, %v:\n%s", err, jsonErr, out)
	}
	for _, args := range [][]string{{}, {"--key", "0102:0304", srv.URL}, {"--header", "nonsense", srv.URL}, {"ftp://127.0.0.1/x"}, {srv.URL + "/x.ts"}} {
		if _, err := run(args...); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

// What the streaming endpoint answers is counted by kind, format and status.
func TestObserve(t *testing.T) {
	reg := prometheus.NewRegistry()
	observe := observe(reg)
	observe(origin.Observation{Kind: origin.Media, Format: "hls_cmaf", Status: 200, Bytes: 1000})
	observe(origin.Observation{Kind: origin.Media, Format: "hls_cmaf", Status: 200, Bytes: 500})
	observe(origin.Observation{Kind: origin.Manifest, Format: "dash", Status: 415, Code: "MPE_FORMAT_NOT_SUPPORTED", Bytes: 90})
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`openams_origin_requests_total{format="hls_cmaf",kind="segment",status="200"} 2`,
		`openams_origin_bytes_total{format="hls_cmaf",kind="segment"} 1500`,
		`openams_origin_requests_total{format="dash",kind="manifest",status="415"} 1`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("no %s in\n%s", want, w.Body)
		}
	}
}
