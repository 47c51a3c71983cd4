package catalogtest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/openams/openams/catalog"
)

func testTokenUses(f *fixture) {
	token := [32]byte{1, 2, 3}
	use := func(token [32]byte, max int64, until time.Time) (ok bool) {
		f.Helper()
		err := f.db.Note(f.Context(), func(tx *catalog.Tx) (err error) {
			ok, err = tx.UseToken(token, max, until)
			return err
		})
		if err != nil {
			f.Error(err)
		}
		return ok
	}
	// Many at once get as many uses as there are, and no more.
	var got atomic.Int64
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			if use(token, 5, f.now.Add(time.Hour)) {
				got.Add(1)
			}
		})
	}
	all.Wait()
	if n := got.Load(); n != 5 {
		f.Errorf("a token for 5 uses was used %d times", n)
	}
	if !use([32]byte{9}, 1, f.now.Add(time.Minute)) {
		f.Error("another token was refused")
	}
	f.update(func(tx *catalog.Tx) error { return tx.ReturnToken(token) })
	f.update(func(tx *catalog.Tx) error { return tx.ReturnToken([32]byte{7}) })
	if !use(token, 5, f.now) || use(token, 5, f.now) {
		f.Error("a use that was given back is not there, or more than it")
	}
	f.update(func(tx *catalog.Tx) error {
		if n := must(tx.ForgetTokens(f.now.Add(30*time.Minute), 10)); n != 1 {
			f.Errorf("%d tokens have ended, want 1", n)
		}
		if n := must(tx.ForgetTokens(f.now.Add(2*time.Hour), 10)); n != 1 {
			f.Errorf("%d tokens have ended, want 1", n)
		}
		return nil
	})
	if !use(token, 1, f.now) {
		f.Error("a token that was forgotten is remembered")
	}
}
