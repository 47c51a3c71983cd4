package restblob

import (
	"net/http"
)

// snapshotBlob serves Snapshot Blob.
func (s *server) snapshotBlob(w http.ResponseWriter, q *request) error {
	cond, err := conditions(q.Header)
	if err != nil {
		return err
	}
	m, err := metadata(q.Header)
	if err != nil {
		return err
	}
	b, err := s.Store.TakeSnapshot(q.Context(), q.account, q.container, q.blob, cond, m)
	if err != nil {
		return err
	}
	w.Header().Set("x-ms-snapshot", b.Snapshot)
	return written(w, b, http.StatusCreated)
}
