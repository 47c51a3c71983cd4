package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/dial"
	"github.com/openams/openams/notify"
)

// A server delivers on the folder while the commands look at it.
func TestEvents(t *testing.T) {
	dir := t.TempDir()
	key := strings.Repeat("k", 32)
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secrets", "catalog.key"), []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run(eventsCommand(), "", "targets", "--data", dir); err == nil {
		t.Error("a catalog was made")
	}
	db, err := catalog.Open(t.Context(), catalog.Config{Path: filepath.Join(dir, "openams.db"), Key: [32]byte([]byte(key))})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var refuse atomic.Bool
	refuse.Store(true)
	got := make(chan string, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse.Load() {
			w.WriteHeader(http.StatusNotFound)
		}
		got <- r.Header.Get("Webhook-Id")
	}))
	defer srv.Close()
	n, err := notify.New(db, notify.Config{Targets: []notify.Target{{Name: "hook", URL: srv.URL, Types: []string{"Microsoft.Media.JobScheduled"}}}, Dial: dial.Config{AllowHTTP: true, AllowNets: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	defer func() { cancel(); <-done }()

	events := func(args ...string) string {
		t.Helper()
		out, err := run(eventsCommand(), "", append(args, "--data", dir)...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return out
	}
	for !strings.Contains(events("targets"), "hook") { // until it is registered
	}
	err = db.Update(t.Context(), func(tx *catalog.Tx) error {
		now := tx.Now()
		if err := tx.InsertAccount(&ams.Account{ID: "a", Name: "media", Created: now, LastModified: now}); err != nil {
			return err
		}
		if err := tx.InsertTransform(&ams.Transform{Account: "a", Name: "T", Created: now, LastModified: now}); err != nil {
			return err
		}
		if err := tx.InsertJob(&ams.Job{Account: "a", Transform: "T", Name: "J", ID: "j", Tasks: []ams.Task{{ID: "t"}}, Created: now, LastModified: now}); err != nil {
			return err
		}
		r, err := tx.TaskRecord("t")
		if err != nil {
			return err
		}
		r.State = ams.Scheduled
		return tx.SaveTask(r)
	})
	if err != nil {
		t.Fatal(err)
	}
	id := <-got
	for !strings.Contains(events("dead", "hook"), id) {
	}
	if out := events("dead", "hook"); !strings.Contains(out, "transforms/T/jobs/J") || !strings.Contains(out, "404") {
		t.Error(out)
	}
	var list []notify.Event
	if err := json.Unmarshal([]byte(events("list", "--from", "1h", "--json")), &list); err != nil || len(list) != 4 {
		t.Errorf("%+v, %v", list, err)
	}
	if out := events("secret", "hook"); !strings.HasPrefix(out, "whsec_") {
		t.Error(out)
	}
	refuse.Store(false)
	for _, args := range [][]string{{"--dead"}, {id}, {"--from", "1h", "--target", "hook"}} {
		for !strings.Contains(events("targets"), "  0        ") { // until nothing waits
		}
		if out := events(append([]string{"replay"}, args...)...); out != "1 deliveries queued\n" {
			t.Errorf("replay %v: %s", args, out)
		}
		if again := <-got; again != id {
			t.Errorf("replay %v delivered %s", args, again)
		}
	}
	for _, args := range [][]string{{"replay"}, {"replay", id, "--dead"}, {"replay", "--from", "yesterday"}, {"list"}, {"dead", "none"}, {"secret", "none"}, {"replay", "none"}} {
		if out, err := run(eventsCommand(), "", append(args, "--data", dir)...); err == nil {
			t.Errorf("%v: %s", args, out)
		}
	}
}
