package blobtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

const leaseID = "11111111-1111-4111-8111-111111111111"

func leases(t *testing.T, s *suite) {
	s.put(t, "f", []byte("one"), blob.PutOptions{})
	if _, err := s.Lease(s.ctx, account, "box", "f", blob.Conditions{}, blob.AcquireLease(leaseID, 15)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Put(s.ctx, account, "box", "f", bytes.NewReader([]byte("two")), blob.PutOptions{})
	wantErr(t, "a write without the lease", err, blob.ErrLeaseMissing)
	wantErr(t, "a delete without the lease", s.Delete(s.ctx, account, "box", "f", blob.Conditions{}), blob.ErrLeaseMissing)
	b := s.put(t, "f", []byte("two"), blob.PutOptions{If: blob.Conditions{Lease: leaseID}})
	if b.Lease.ID != leaseID {
		t.Errorf("a write by the holder dropped the lease: %+v", b.Lease)
	}
	s.late.Store(int64(16 * time.Second))
	s.put(t, "f", []byte("three"), blob.PutOptions{})
	if _, err := s.LeaseContainer(s.ctx, account, "box", blob.Conditions{}, blob.AcquireLease(leaseID, -1)); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "deleting a leased container", s.DeleteContainer(s.ctx, account, "box", blob.Conditions{}), blob.ErrLeaseMissing)
	if err := s.DeleteContainer(s.ctx, account, "box", blob.Conditions{Lease: leaseID}); err != nil {
		t.Error(err)
	}
}

func snapshots(t *testing.T, s *suite) {
	s.put(t, "f", []byte("one"), blob.PutOptions{})
	first, err := s.TakeSnapshot(s.ctx, account, "box", "f", blob.Conditions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.put(t, "f", []byte("two"), blob.PutOptions{})
	r, err := s.OpenSnapshot(s.ctx, account, "box", "f", first.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := read(t, r); string(got) != "one" || string(s.get(t, "f")) != "two" {
		t.Errorf("the snapshot holds %q, the blob %q", got, s.get(t, "f"))
	}
	wantErr(t, "delete with snapshots", s.Delete(s.ctx, account, "box", "f", blob.Conditions{}), blob.ErrSnapshotsPresent)
	if err := s.Remove(s.ctx, account, "box", "f", blob.DeleteOptions{Snapshots: "include"}); err != nil {
		t.Fatal(err)
	}
	_, err = s.StatSnapshot(s.ctx, account, "box", "f", first.Snapshot)
	wantErr(t, "after the delete", err, ams.ErrBlobNotFound)
	if got := read(t, r); string(got) != "one" {
		t.Errorf("its reader reads %q", got)
	}
}

func copies(t *testing.T, s *suite) {
	want := data(300_000)
	s.put(t, "from", want, blob.PutOptions{})
	r, err := s.Open(s.ctx, account, "box", "from")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := s.CopyBlob(s.ctx, r, account, "box", "to", blob.PutOptions{Copy: &ams.Copy{ID: "c1"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(s.ctx, account, "box", "from", blob.Conditions{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.get(t, "to"), want) {
		t.Error("the copy lives on its source")
	}
	// From elsewhere: closed to writers until it ends.
	arrived, goOn := make(chan struct{}), make(chan error)
	source := func(context.Context) (io.ReadCloser, int64, error) {
		close(arrived)
		if err := <-goOn; err != nil {
			return nil, 0, err
		}
		return io.NopCloser(bytes.NewReader(want)), int64(len(want)), nil
	}
	b, err := s.StartCopy(s.ctx, account, "box", "slow", source, blob.PutOptions{Copy: &ams.Copy{ID: "c2"}})
	if err != nil || b.Copy.Status != ams.CopyPending {
		t.Fatal(b, err)
	}
	<-arrived
	_, err = s.Put(s.ctx, account, "box", "slow", bytes.NewReader(nil), blob.PutOptions{})
	wantErr(t, "a write meanwhile", err, blob.ErrCopyPending)
	goOn <- nil
	if b := s.copied(t, "slow"); b.Copy.Status != ams.CopySuccess || !bytes.Equal(s.get(t, "slow"), want) {
		t.Errorf("copied: %+v, %d bytes", b.Copy, b.Size)
	}
	arrived = make(chan struct{})
	if _, err := s.StartCopy(s.ctx, account, "box", "slow", source, blob.PutOptions{Copy: &ams.Copy{ID: "c3"}}); err != nil {
		t.Fatal(err)
	}
	<-arrived
	goOn <- errors.New("out of reach")
	if b := s.copied(t, "slow"); b.Copy.Status != ams.CopyFailed || b.Size != 0 {
		t.Errorf("failed: %+v, %d bytes", b.Copy, b.Size)
	}
}

// copied waits for the end of a copy.
func (s *suite) copied(t *testing.T, name string) *ams.Blob {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		b, err := s.Stat(s.ctx, account, "box", name)
		if err != nil {
			t.Fatal(err)
		}
		if b.Copy.Status != ams.CopyPending {
			return b
		}
		if time.Now().After(deadline) {
			t.Fatal("the copy does not end")
		}
	}
}
