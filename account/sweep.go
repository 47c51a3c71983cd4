package account

import (
	"context"
	"fmt"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// keptJobs is how long AMS kept the records of ended jobs (documented).
const keptJobs = 90 * 24 * time.Hour

// sweepBatch is how many records one transaction deletes: writers wait for it.
const sweepBatch = 500

// Run deletes the records of jobs that ended longer than KeepJobs ago, now and
// every hour, until ctx ends. Their assets stay. So it does with the uses of tokens
// that have ended. It also deletes what tasks leave that fail or are canceled, as
// soon as they are.
func (s *Server) Run(ctx context.Context) error {
	failed := make(chan struct{}, 1)
	failed <- struct{}{} // before this process began
	defer s.Catalog.Watch(func(c catalog.JobChange) {
		if c.Task != "" && (c.To == ams.Failed || c.To == ams.Canceled) {
			select {
			case failed <- struct{}{}:
			default:
			}
		}
	})()
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if n, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "delete records of old jobs", "error", err)
		} else if n > 0 {
			s.Log.InfoContext(ctx, "deleted records of old jobs", "jobs", n)
		}
		if err := s.sweepTokens(ctx); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "forget tokens that have ended", "error", err)
		}
		for again := true; again; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-failed:
				if err := s.SweepOutputs(ctx); err != nil && ctx.Err() == nil {
					s.Log.ErrorContext(ctx, "delete what failed tasks have left", "error", err)
				}
			case <-tick.C:
				again = false
			}
		}
	}
}

// SweepOutputs deletes the output assets of v2 tasks that have failed, unless
// the client asked for them (DoNotDeleteOutputAssetOnFailure), and the files that
// tasks have made which failed or were canceled while their worker was dead.
func (s *Server) SweepOutputs(ctx context.Context) error {
	for {
		var litter []*catalog.TaskRecord
		err := s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			litter, err = tx.Litter(sweepBatch)
			return err
		})
		if err != nil || len(litter) == 0 {
			return err
		}
		for _, r := range litter {
			a := &Account{Account: ams.Account{ID: r.Account()}, s: s}
			if err := a.deleteLitter(ctx, r); err != nil {
				return fmt.Errorf("task %s: %w", r.ID, err)
			}
			if err := s.Catalog.Update(ctx, func(tx *catalog.Tx) error { return tx.Swept(r) }); err != nil {
				return err
			}
		}
	}
}

// Sweep deletes the records of old jobs as Run does, once, and returns of how many.
func (s *Server) Sweep(ctx context.Context) (deleted int64, err error) {
	if s.KeepJobs < 0 {
		return 0, nil
	}
	before := s.Now().Add(-s.KeepJobs)
	for {
		var n int64
		err := s.Catalog.Update(ctx, func(tx *catalog.Tx) (err error) {
			n, err = tx.DeleteEndedJobs(before, sweepBatch)
			return err
		})
		if deleted += n; err != nil || n < sweepBatch {
			return deleted, err
		}
	}
}
