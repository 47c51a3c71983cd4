package catalogtest

import (
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

func testReports(f *fixture) {
	f.queue(f.job("", "g", ams.Task{}, ams.Task{}))
	report := func(attempt int) *ams.TaskReport {
		return &ams.TaskReport{
			Attempt: attempt, Worker: "w", Started: f.now, Ended: f.now.Add(time.Second), Plan: []byte(`{"Video":null}`), LeftOut: 2,
			Runs:  []ams.ProgramRun{{Program: "ffmpeg", Arguments: []string{"-i", "é"}, Started: f.now, Seconds: 1.5, Exit: 1, Log: strings.Repeat("no\n", 1000)}},
			Error: &ams.JobError{Code: ams.ContentMalformed, Message: "no"}, Cause: "exit status 1",
		}
	}
	last := catalog.KeptReports + 2
	f.update(func(tx *catalog.Tx) error {
		for i := 1; i <= last; i++ {
			if err := tx.SaveReport("job-g-0", report(i)); err != nil {
				return err
			}
		}
		again := report(last)
		again.Worker = "w2"
		return tx.SaveReport("job-g-0", again)
	})
	f.view(func(tx *catalog.Tx) error {
		got := must(tx.Reports("job-g-0"))
		if len(got) != catalog.KeptReports || got[0].Attempt != 3 {
			f.Fatalf("%d reports, the first of attempt %d", len(got), got[0].Attempt)
		}
		f.same(report(3), got[0])
		if w := got[len(got)-1].Worker; w != "w2" {
			f.Errorf("a report that was rewritten is of %q", w)
		}
		if none := must(tx.Reports("job-g-1")); none != nil {
			f.Errorf("another task has %d reports", len(none))
		}
		return nil
	})
	f.update(func(tx *catalog.Tx) error {
		if err := tx.SaveReport("nobody", report(1)); ams.CodeOf(err) != ams.NotFound {
			f.Errorf("a report of a task that is not there: %v", err)
		}
		return tx.DeleteJob("acc1", "", "g")
	})
	f.view(func(tx *catalog.Tx) error {
		if left := must(tx.Reports("job-g-0")); left != nil {
			f.Errorf("%d reports outlive their job", len(left))
		}
		return nil
	})
}
