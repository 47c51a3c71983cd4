package blob

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/openams/openams/ams"
)

// Failures of copies.
var (
	ErrCopyPending error = &ams.Error{Code: ams.Conflict, Msg: "There is currently a pending copy operation."}
	ErrNoCopy      error = &ams.Error{Code: ams.Conflict, Msg: "There is currently no pending copy operation."}
	ErrManyCopies  error = &ams.Error{Code: ams.Unavailable, Msg: "Too many copies are under way. Please try again."}
)

// maxCopies is how many copies of foreign sources run at once.
const maxCopies = 32

// A Source opens what a copy reads. size is 0 when it is unknown.
type Source func(ctx context.Context) (body io.ReadCloser, size int64, err error)

// copying is a copy under way.
type copying struct {
	cancel context.CancelFunc
	done   atomic.Int64
	total  atomic.Int64
}

// CopyBlob makes a blob of the bytes that r reads, without copying them where
// the driver can. Headers, Metadata, Tier, Tags and If of o are looked at, and
// Copy, which it completes.
func (s *Store) CopyBlob(ctx context.Context, r *Reader, account, container, name string, o PutOptions) (*ams.Blob, error) {
	if err := s.admit(ctx, account, container, name, o.If); err != nil {
		return nil, err
	}
	from := r.blob
	var blocks []ams.Block
	if from.Snapshot == "" {
		whole, _, err := s.records.Blocks(ctx, from.StorageAccount, from.Container, from.Name)
		if err == nil && whole != nil && whole.ETag == from.ETag {
			blocks = whole.Blocks
		}
	}
	extents, err := s.duplicate(ctx, r, account, container, name)
	if err != nil {
		return nil, err
	}
	if o.Copy != nil {
		c := *o.Copy
		c.Status, c.Done, c.Total, c.Completed = ams.CopySuccess, from.Size, from.Size, s.now().UTC()
		o.Copy = &c
	}
	return s.record(ctx, account, container, name, extents, func(old *ams.Blob, _ []ams.Block) (*ams.Blob, error) {
		b, err := s.fresh(account, container, name, old, o)
		if err != nil {
			return nil, err
		}
		b.Size, b.Extents, b.Blocks = from.Size, extents, blocks
		return b, nil
	})
}

// StartCopy makes an empty blob whose copy is pending and fills it in the
// background. Until it has ended, nobody else may write the blob.
func (s *Store) StartCopy(ctx context.Context, account, container, name string, source Source, o PutOptions) (*ams.Blob, error) {
	if err := s.admit(ctx, account, container, name, o.If); err != nil {
		return nil, err
	}
	c := *o.Copy
	c.Status = ams.CopyPending
	o.Copy = &c
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	job := &copying{cancel: cancel}
	s.mu.Lock()
	busy := len(s.copies) >= maxCopies
	if !busy {
		s.copies[c.ID] = job
	}
	s.mu.Unlock()
	if busy {
		cancel()
		return nil, ErrManyCopies
	}
	b, err := s.record(ctx, account, container, name, nil, func(old *ams.Blob, _ []ams.Block) (*ams.Blob, error) {
		return s.fresh(account, container, name, old, o)
	})
	if err != nil {
		s.endCopy(c.ID)
		return nil, err
	}
	go s.runCopy(run, *b, job, source)
	return b, nil
}

// runCopy fills b, whose copy is pending.
func (s *Store) runCopy(ctx context.Context, b ams.Blob, job *copying, source Source) {
	id := b.Copy.ID
	defer s.endCopy(id)
	x, sum, err := s.fetch(ctx, &b, job, source)
	last := context.WithoutCancel(ctx)
	if err == nil {
		_, err = s.record(last, b.StorageAccount, b.Container, b.Name, []ams.Extent{x}, func(old *ams.Blob, _ []ams.Block) (*ams.Blob, error) {
			if !pending(old, id) {
				return nil, errChanged
			}
			done := *old
			done.Size, done.Extents = x.Length, []ams.Extent{x}
			if done.Headers.ContentMD5 == nil {
				done.Headers.ContentMD5 = sum
			}
			done.LastModified, done.ETag = s.stamp()
			c := *old.Copy
			c.Status, c.Done, c.Total, c.Completed = ams.CopySuccess, x.Length, x.Length, s.now().UTC()
			done.Copy = &c
			return &done, nil
		})
	}
	if err == nil || errors.Is(err, errChanged) {
		return
	}
	s.log.Warn("blob: a copy failed", "account", b.StorageAccount, "container", b.Container, "blob", b.Name, "copy", id, "err", err)
	why := "The source could not be read to its end."
	if errors.Is(err, ams.ErrStorageFull) {
		why = "The storage has no space left."
	}
	err = s.finishCopy(last, &b, id, ams.CopyFailed, why)
	if err != nil && gone(err) != nil && !errors.Is(err, ErrNoCopy) {
		s.log.Error("blob: the failure of a copy was not recorded", "copy", id, "err", err)
	}
}

func (s *Store) fetch(ctx context.Context, b *ams.Blob, job *copying, source Source) (x ams.Extent, sum []byte, err error) {
	body, size, err := source(ctx)
	if err != nil {
		return x, nil, err
	}
	defer body.Close()
	job.total.Store(size)
	place := Place{Account: b.StorageAccount, Container: b.Container, Blob: b.Name}
	return s.upload(ctx, place, &counter{body, &job.done}, PutOptions{Size: size, MD5: b.Headers.ContentMD5}, true)
}

// A counter tells how far a copy is.
type counter struct {
	io.Reader
	n *atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func pending(b *ams.Blob, id string) bool {
	return b != nil && b.Copy != nil && b.Copy.ID == id && b.Copy.Status == ams.CopyPending
}

// AbortCopy ends a pending copy; its blob stays, empty.
func (s *Store) AbortCopy(ctx context.Context, account, container, name, id, lease string) error {
	b, err := s.records.Blob(ctx, account, container, name)
	if err != nil {
		return err
	}
	if err := checkLease(&b.Lease, lease, true, s.now()); err != nil {
		return err
	}
	if err := s.finishCopy(ctx, b, id, ams.CopyAborted, ""); err != nil {
		return err
	}
	s.mu.Lock()
	job := s.copies[id]
	s.mu.Unlock()
	if job != nil {
		job.cancel()
	}
	return nil
}

// finishCopy records that a pending copy ended without its bytes.
func (s *Store) finishCopy(ctx context.Context, b *ams.Blob, id string, status ams.CopyStatus, why string) error {
	return s.records.UpdateBlob(ctx, b.StorageAccount, b.Container, b.Name, func(b *ams.Blob) error {
		if !pending(b, id) {
			return ErrNoCopy
		}
		c := *b.Copy
		c.Status, c.Description, c.Completed = status, why, s.now().UTC()
		b.Copy = &c
		b.LastModified, b.ETag = s.stamp()
		return nil
	})
}

// failCopies records that the copies of an earlier process ended with it.
func (s *Store) failCopies(ctx context.Context) error {
	list, err := s.records.PendingCopies(ctx)
	if err != nil {
		return err
	}
	for _, b := range list {
		err := s.records.UpdateBlob(ctx, b.StorageAccount, b.Container, b.Name, func(b *ams.Blob) error {
			if b.Copy == nil || b.Copy.Status != ams.CopyPending {
				return ErrNoCopy
			}
			c := *b.Copy
			c.Status, c.Description, c.Completed = ams.CopyFailed, "The server stopped while it copied.", s.now().UTC()
			b.Copy = &c
			return nil
		})
		if err != nil && !errors.Is(err, ErrNoCopy) {
			return err
		}
	}
	return nil
}

// progress fills in how far b's pending copy is.
func (s *Store) progress(b *ams.Blob) {
	if b.Copy == nil || b.Copy.Status != ams.CopyPending {
		return
	}
	s.mu.Lock()
	job := s.copies[b.Copy.ID]
	s.mu.Unlock()
	if job != nil {
		b.Copy.Done, b.Copy.Total = job.done.Load(), job.total.Load()
	}
}

func (s *Store) endCopy(id string) {
	s.mu.Lock()
	job := s.copies[id]
	delete(s.copies, id)
	s.mu.Unlock()
	job.cancel()
}

// stopCopies breaks off what runs; it is recorded as failed.
func (s *Store) stopCopies() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, job := range s.copies {
		job.cancel()
	}
}
