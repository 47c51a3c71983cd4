package account

import (
	"context"
	"time"

	"github.com/openams/openams/catalog"
)

// keptJobs is how long AMS kept the records of ended jobs (documented).
const keptJobs = 90 * 24 * time.Hour

// sweepBatch is how many records one transaction deletes: writers wait for it.
const sweepBatch = 500

// Run deletes the records of jobs that ended longer than KeepJobs ago, now and
// every hour, until ctx ends. Their assets stay.
func (s *Server) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if n, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "delete records of old jobs", "error", err)
		} else if n > 0 {
			s.Log.InfoContext(ctx, "deleted records of old jobs", "jobs", n)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Sweep does what Run does, once, and returns how many jobs it deleted.
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
