package notify

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// TestMain lets the test binary be the server that TestKill kills.
func TestMain(m *testing.M) {
	if path := os.Getenv("OPENAMS_TEST_NOTIFY_CHILD"); path != "" {
		if err := child(path, os.Getenv("OPENAMS_TEST_NOTIFY_URL"), os.Getenv("OPENAMS_TEST_NOTIFY_ROUND")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func killConfig(url string) Config {
	c := fast(Target{Name: "hook", URL: url})
	c.Timeout = 300 * time.Millisecond // what was under way is due again after twice that
	c.Attempts = 1000
	return c
}

// child makes and moves jobs without end, delivers, and says on standard
// output what was committed.
func child(path, url, round string) error {
	ctx := context.Background()
	db, err := catalog.Open(ctx, catalog.Config{Path: path})
	if err != nil {
		return err
	}
	n, err := New(db, killConfig(url))
	if err != nil {
		return err
	}
	go n.Run(ctx)
	for i := 0; ; i++ {
		name := fmt.Sprintf("r%s-%d", round, i)
		if err := db.Update(ctx, func(tx *catalog.Tx) error { return insertJob(tx, name, 1) }); err != nil {
			return err
		}
		for _, s := range []ams.JobState{ams.Scheduled, ams.Processing, ams.Finished} {
			if err := db.Update(ctx, func(tx *catalog.Tx) error { return moveTask(tx, name+"-0", s) }); err != nil {
				return err
			}
			fmt.Println(name, s)
		}
	}
}

// TestKill kills a server again and again while jobs change and a receiver
// fails now and then. Afterwards every change that was committed was told, in
// the order of its job.
func TestKill(t *testing.T) {
	w := newWorld(t)
	r := receive(t, func(w http.ResponseWriter, _ post) bool {
		if rand.IntN(5) == 0 {
			w.WriteHeader(500)
			return true
		}
		return false
	})
	// The first start registers the target: from here on nothing may be lost.
	w.start(killConfig(r.URL))()
	w.db.Close()

	committed := map[string]ams.JobState{}
	for round := range 5 {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), "OPENAMS_TEST_NOTIFY_CHILD="+w.path, "OPENAMS_TEST_NOTIFY_URL="+r.URL, "OPENAMS_TEST_NOTIFY_ROUND="+strconv.Itoa(round))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := 0
		enough := 10 + rand.IntN(30)
		for s := bufio.NewScanner(out); s.Scan(); {
			job, state, _ := strings.Cut(s.Text(), " ")
			committed[job] = ams.JobState(state)
			if lines++; lines == enough {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		if lines < enough {
			t.Fatalf("round %d ended by itself after %d changes", round, lines)
		}
	}

	w.db = openCatalog(t, w.path)
	w.start(killConfig(r.URL))
	var want []*catalog.Event
	w.update(func(tx *catalog.Tx) (err error) {
		want, err = tx.EventsSince(time.Time{}, tx.Now().Add(time.Hour), nil, 10000)
		return err
	})
	told := map[string]bool{}
	for _, e := range want {
		told[e.Lane+" "+strings.TrimPrefix(e.Type, prefix+"Job")] = true
	}
	for job, state := range committed {
		if !told["id-"+job+" "+string(state)] {
			t.Errorf("%s became %s without an event", job, state)
		}
	}
	w.until("all is delivered", func() bool {
		fresh := 0
		if err := w.db.View(t.Context(), func(tx *catalog.Tx) error {
			list, err := tx.FreshEvents(1)
			fresh = len(list)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return fresh == 0 && w.status("hook").Waiting == 0
	})
	if dead := w.dead("hook"); len(dead) > 0 {
		t.Errorf("dead %q", dead)
	}
	checkOrder(t, want, r.got())
}
