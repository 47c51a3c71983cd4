package account

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/openams/openams/catalog"
)

// UseToken counts a use of a token that limits them to max and ends at until: all
// servers of the catalog count together, and restarts forget nothing. It reports
// false if the token was used max times.
func (s *Server) UseToken(ctx context.Context, token [sha256.Size]byte, max int64, until time.Time) (ok bool, err error) {
	err = s.Catalog.Note(ctx, func(tx *catalog.Tx) (err error) {
		ok, err = tx.UseToken(token, max, until)
		return err
	})
	return ok, err
}

// ReturnToken takes a use of a token back.
func (s *Server) ReturnToken(ctx context.Context, token [sha256.Size]byte) error {
	return s.Catalog.Note(ctx, func(tx *catalog.Tx) error { return tx.ReturnToken(token) })
}

// sweepTokens forgets the tokens that have ended.
func (s *Server) sweepTokens(ctx context.Context) error {
	for n := int64(sweepBatch); n == sweepBatch; {
		err := s.Catalog.Note(ctx, func(tx *catalog.Tx) (err error) {
			n, err = tx.ForgetTokens(tx.Now(), sweepBatch)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
