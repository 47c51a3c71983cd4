package catalogtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

func (f *fixture) event(id, lane string) *catalog.Event {
	return &catalog.Event{ID: id, Account: "acc1", Lane: lane, About: "t1", Type: "T", Source: "/s", Subject: "é", Time: f.now, Data: []byte(`{"a":1}`)}
}

// due claims what is due to the target, for a minute.
func (f *fixture) due(target string) (list []*catalog.Delivery) {
	f.Helper()
	f.update(func(tx *catalog.Tx) (err error) {
		if list, err = tx.DueDeliveries(target, 10); err != nil {
			return err
		}
		for _, d := range list {
			if err := tx.ClaimDelivery(d, f.now.Add(time.Minute)); err != nil {
				return err
			}
		}
		return nil
	})
	return list
}

func eventIDs(list []*catalog.Delivery) string {
	var ids []string
	for _, d := range list {
		ids = append(ids, d.Event.ID)
	}
	return strings.Join(ids, " ")
}

func testEvents(f *fixture) {
	target := &catalog.EventTarget{Name: "hook", Confirmed: "c", Secret: []byte("secret"), Place: "https://x/", Types: []string{"T"}, Accounts: []string{"media1"}}
	f.update(func(tx *catalog.Tx) error {
		if must(tx.HasEventTargets()) {
			f.Error("targets in a new catalog")
		}
		return errors.Join(tx.SaveEventTarget(&catalog.EventTarget{Name: "hook"}), tx.SaveEventTarget(target), tx.SaveEventTarget(&catalog.EventTarget{Name: "gone"}))
	})
	f.update(func(tx *catalog.Tx) error {
		return errors.Join(tx.InsertEvent(f.event("1", "a")), tx.InsertEvent(f.event("2", "a")), tx.InsertEvent(f.event("3", "b")))
	})
	start := f.now
	f.now = f.now.Add(time.Second)
	f.update(func(tx *catalog.Tx) error {
		if diff := cmp.Diff(target, must(tx.EventTargets())[1]); diff != "" || !must(tx.HasEventTargets()) {
			f.Error(diff)
		}
		fresh := must(tx.FreshEvents(10))
		want := f.event("1", "a")
		want.Time, want.Seq = start, fresh[0].Seq
		if diff := cmp.Diff(want, fresh[0]); diff != "" || len(fresh) != 3 {
			f.Errorf("%d events, the first %s", len(fresh), diff)
		}
		if last := must(tx.LatestEvent("t1", "T")); last.ID != "3" || must(tx.LatestEvent("t1", "U")) != nil {
			f.Errorf("the latest is %+v", last)
		}
		for _, e := range fresh {
			for _, name := range []string{"hook", "gone"} {
				if !must(tx.EnsureDelivery(&catalog.Delivery{Event: e, Target: name, State: catalog.DeliveryWaiting, Due: f.now, Expires: f.now.Add(time.Hour)})) {
					f.Error("a delivery is there already")
				}
			}
			if err := tx.EventDispatched(e); err != nil {
				return err
			}
		}
		if n := len(must(tx.FreshEvents(10))); n > 0 {
			f.Errorf("%d events are still fresh", n)
		}
		page := must(tx.EventsSince(start, f.now, nil, 2))
		if len(page) != 2 || len(must(tx.EventsSince(start, f.now, page[1], 2))) != 1 || len(must(tx.EventsSince(start.Add(100), f.now, nil, 2))) > 0 {
			f.Errorf("since: %+v", page)
		}
		return tx.DeleteEventTarget("gone")
	})

	// One of each lane, and none again until the claim ends.
	first := f.due("hook")
	if got := eventIDs(first); got != "1 3" {
		f.Fatalf("due: %s", got)
	}
	if again := f.due("hook"); len(again) > 0 {
		f.Errorf("due twice: %s", eventIDs(again))
	}
	f.now = f.now.Add(time.Minute)
	second := f.due("hook")
	if got := eventIDs(second); got != "1 3" || second[0].Attempt != 2 {
		f.Fatalf("due after the claim: %s", got)
	}
	for _, err := range []error{
		f.db.Update(f.Context(), func(tx *catalog.Tx) error { return tx.DeleteDelivery(first[0]) }),
		f.db.Update(f.Context(), func(tx *catalog.Tx) error { return tx.SettleDelivery(first[0]) }),
	} {
		if ams.CodeOf(err) != ams.NotFound {
			f.Errorf("the first claim still counts: %v", err)
		}
	}
	// The first fails, to be tried later; its lane waits with it.
	f.update(func(tx *catalog.Tx) error {
		second[0].Due, second[0].Reason = f.now.Add(time.Minute), "no"
		return errors.Join(tx.SettleDelivery(second[0]), tx.DeleteDelivery(second[1]))
	})
	f.view(func(tx *catalog.Tx) error {
		if next := must(tx.NextDelivery("hook")); !next.Equal(f.now.Add(time.Minute)) || len(must(tx.DueDeliveries("hook", 10))) > 0 {
			f.Errorf("next is due at %v", next)
		}
		if n := must(tx.CountDeliveries("hook", catalog.DeliveryWaiting, 10)); n != 2 {
			f.Errorf("%d wait", n)
		}
		return nil
	})
	// It is given up: the lane goes on.
	f.now = f.now.Add(time.Minute)
	f.update(func(tx *catalog.Tx) error {
		d := must(tx.DueDeliveries("hook", 10))[0]
		if d.Reason != "no" {
			f.Errorf("reason %q", d.Reason)
		}
		d.State = catalog.DeliveryDead
		return tx.SettleDelivery(d)
	})
	if got := eventIDs(f.due("hook")); got != "2" {
		f.Errorf("due: %s", got)
	}
	f.now = f.now.Add(2 * time.Hour)
	f.update(func(tx *catalog.Tx) error {
		if dead := eventIDs(must(tx.DeadDeliveries("hook", 10))); dead != "1" {
			f.Errorf("dead: %s", dead)
		}
		if old := eventIDs(must(tx.ExpiredDeliveries(10))); old != "2" {
			f.Errorf("expired: %s", old)
		}
		// What waits is kept, what is dead is not.
		if n := must(tx.DeleteEvents(f.now, 10)); n != 2 {
			f.Errorf("forgot %d events", n)
		}
		if _, err := tx.Event("1"); ams.CodeOf(err) != ams.NotFound || must(tx.Event("2")).Seq == 0 {
			f.Errorf("event 1: %v", err)
		}
		if dead := must(tx.DeadDeliveries("hook", 10)); len(dead) > 0 {
			f.Errorf("dead: %s", eventIDs(dead))
		}
		return nil
	})
}

func testRecord(f *fixture) {
	var got []string
	var fail error
	stop := f.db.Record(func(tx *catalog.Tx, changes []catalog.JobChange) error {
		for _, c := range changes {
			got = append(got, fmt.Sprintf("%s:%s>%s %v", c.Task, c.From, c.To, c.Progress))
		}
		return errors.Join(tx.InsertEvent(f.event(fmt.Sprint(len(got)), "a")), fail)
	})
	f.queue(f.job("t", "j", ams.Task{}))
	f.move("job-tj-0", ams.Processing)
	progress := func(p float64) func(*catalog.Tx) error {
		return func(tx *catalog.Tx) error {
			r := must(tx.TaskRecord("job-tj-0"))
			r.Progress = p
			return tx.SaveTask(r)
		}
	}
	f.update(progress(7))
	f.update(progress(7)) // no change
	fail = errors.New("no")
	if err := f.db.Update(f.Context(), progress(8)); !errors.Is(err, fail) {
		f.Errorf("got %v", err)
	}
	stop()
	f.update(progress(9))
	want := []string{":>Queued 0", "job-tj-0:>Queued 0", "job-tj-0:Queued>Processing 0", ":Queued>Processing 0", "job-tj-0:Processing>Processing 7", "job-tj-0:Processing>Processing 8"}
	if !slices.Equal(got, want) {
		f.Errorf("recorded %q\nwant     %q", got, want)
	}
	f.view(func(tx *catalog.Tx) error {
		if n := len(must(tx.FreshEvents(10))); n != 3 {
			f.Errorf("%d events, not those of the commits", n)
		}
		return nil
	})
}
