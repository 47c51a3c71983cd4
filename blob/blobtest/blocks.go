package blobtest

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

func (s *suite) stage(t *testing.T, name string, n int, p []byte) {
	t.Helper()
	if _, err := s.StageBlock(s.ctx, account, "box", name, id(n), bytes.NewReader(p), blob.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) commit(t *testing.T, name string, refs ...blob.BlockRef) *ams.Blob {
	t.Helper()
	b, err := s.CommitBlocks(s.ctx, account, "box", name, refs, blob.PutOptions{Metadata: map[string]string{"m": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func blocks(t *testing.T, s *suite) {
	a, b, c := data(100), data(200), data(300)
	s.stage(t, "f", 1, a)
	s.stage(t, "f", 2, c)
	s.stage(t, "f", 2, b) // staged again: the last counts
	s.stage(t, "f", 3, c)
	_, err := s.Stat(s.ctx, account, "box", "f")
	wantErr(t, "stat of staged blocks alone", err, ams.ErrBlobNotFound)
	got := s.commit(t, "f", blob.BlockRef{ID: id(2)}, blob.BlockRef{ID: id(1), From: blob.Uncommitted})
	if got.Size != 300 || !bytes.Equal(s.get(t, "f"), slices.Concat(b, a)) {
		t.Errorf("committed %d bytes, or others", got.Size)
	}
	if got.Headers.ContentMD5 != nil {
		t.Error("a committed list has an MD5 that nobody gave")
	}
	// Block 3 was not named, so it is gone.
	_, err = s.CommitBlocks(s.ctx, account, "box", "f", []blob.BlockRef{{ID: id(3)}}, blob.PutOptions{})
	wantErr(t, "commit of a forgotten block", err, blob.ErrBlockList)
	// A change of part of the blob: old blocks, one replaced, one repeated.
	s.stage(t, "f", 1, c)
	s.commit(t, "f", blob.BlockRef{ID: id(1)}, blob.BlockRef{ID: id(1), From: blob.Committed}, blob.BlockRef{ID: id(2), From: blob.Committed}, blob.BlockRef{ID: id(1)})
	want := slices.Concat(c, a, b, c)
	if !bytes.Equal(s.get(t, "f"), want) {
		t.Error("a partial update made other bytes")
	}
	whole, staged, err := s.Blocks(s.ctx, account, "box", "f")
	if err != nil || len(staged) != 0 || len(whole.Blocks) != 4 || whole.Blocks[1].Size != 100 {
		t.Errorf("blocks: %+v, %v, %v", whole, staged, err)
	}
	s.put(t, "f", []byte("x"), blob.PutOptions{})
	whole, _, err = s.Blocks(s.ctx, account, "box", "f")
	if err != nil || len(whole.Blocks) != 0 {
		t.Errorf("a blob put whole has blocks: %+v, %v", whole.Blocks, err)
	}
	if b := s.commit(t, "empty"); b.Size != 0 || len(s.get(t, "empty")) != 0 {
		t.Error("an empty list is not an empty blob")
	}
}

func blockRules(t *testing.T, s *suite) {
	s.stage(t, "f", 1, []byte("a"))
	for _, c := range []struct {
		id   string
		want error
	}{
		{"", blob.ErrBlockID}, {"not base64!", blob.ErrBlockID},
		{base64.StdEncoding.EncodeToString(make([]byte, 65)), blob.ErrBlockID},
		{base64.StdEncoding.EncodeToString(make([]byte, 64)), blob.ErrBlockIDSize}, // the other is shorter
	} {
		_, err := s.StageBlock(s.ctx, account, "box", "f", c.id, strings.NewReader("x"), blob.PutOptions{})
		wantErr(t, "stage "+c.id, err, c.want)
	}
	_, err := s.StageBlock(s.ctx, account, "absent", "f", id(1), strings.NewReader("x"), blob.PutOptions{})
	wantErr(t, "stage in an absent container", err, ams.ErrContainerNotFound)
	wrong := uint64(1)
	_, err = s.StageBlock(s.ctx, account, "box", "f", id(2), strings.NewReader("x"), blob.PutOptions{CRC64: &wrong})
	wantErr(t, "stage with another sum", err, blob.ErrCRC64)
	if _, err := s.CommitBlocks(s.ctx, account, "box", "f", make([]blob.BlockRef, blob.MaxBlocks+1), blob.PutOptions{}); ams.CodeOf(err) != ams.Invalid {
		t.Errorf("commit of too many blocks: %v", err)
	}
	_, err = s.CommitBlocks(s.ctx, account, "box", "f", []blob.BlockRef{{ID: id(1)}, {ID: id(2)}}, blob.PutOptions{})
	wantErr(t, "commit of a block that is not there", err, blob.ErrBlockList)
	_, staged, err := s.Blocks(s.ctx, account, "box", "f")
	if err != nil || len(staged) != 1 || staged[0].ID != id(1) || staged[0].Size != 1 {
		t.Errorf("a failed commit left %+v, %v", staged, err)
	}
}

// A list of 50,000 entries of one block is a large blob of few bytes on disk.
func repeated(t *testing.T, s *suite) {
	p := data(4096)
	s.stage(t, "f", 1, p)
	refs := make([]blob.BlockRef, blob.MaxBlocks)
	for i := range refs {
		refs[i].ID = id(1)
	}
	b := s.commit(t, "f", refs...)
	if b.Size != int64(len(p)*len(refs)) {
		t.Fatalf("size %d", b.Size)
	}
	r, err := s.Open(s.ctx, account, "box", "f")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, 2*len(p))
	if _, err := r.ReadAt(got, b.Size-int64(len(got))); err != nil || !bytes.Equal(got, slices.Concat(p, p)) {
		t.Errorf("the end reads otherwise: %v", err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	s.Run(ctx) // nothing to join: it would take more room than it has
}

func join(t *testing.T, s *suite) {
	var want []byte
	var refs []blob.BlockRef
	for i := range 20 {
		p := data(1000 + i)
		want = append(want, p...)
		s.stage(t, "many", i, p)
		refs = append(refs, blob.BlockRef{ID: id(i)})
	}
	before := s.commit(t, "many", refs...)
	s.stage(t, "one", 1, want)
	s.commit(t, "one", blob.BlockRef{ID: id(1)})
	s.commit(t, "none")
	old, err := s.Open(s.ctx, account, "box", "many")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"many", "one", "none"} {
		r, err := s.OpenLocal(s.ctx, account, "box", name)
		if err != nil {
			t.Fatal(err)
		}
		expect := want
		if name == "none" {
			expect = nil
		}
		if path, ok := r.LocalPath(); ok {
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, expect) {
				t.Errorf("%s: the local file differs: %v", name, err)
			}
		}
		if !r.Blob().OneFile() || !bytes.Equal(read(t, r), expect) {
			t.Errorf("%s: not one file, or other bytes", name)
		}
		r.Close()
	}
	if !bytes.Equal(read(t, old), want) {
		t.Error("a reader of the pieces lost them to the join")
	}
	old.Close()
	after, err := s.Stat(s.ctx, account, "box", "many")
	if err != nil || after.ETag != before.ETag || !after.LastModified.Equal(before.LastModified.Truncate(100)) {
		t.Errorf("a join changed the version: %+v, %v", after, err)
	}
	// Committed blocks of a joined blob can be used again.
	p := data(50)
	s.stage(t, "many", 99, p)
	s.commit(t, "many", blob.BlockRef{ID: id(3)}, blob.BlockRef{ID: id(4)}, blob.BlockRef{ID: id(99)}, blob.BlockRef{ID: id(0)})
	expect := slices.Concat(data(1003), data(1004), p, data(1000))
	for range 2 {
		if !bytes.Equal(s.get(t, "many"), expect) {
			t.Error("blocks of a joined blob read otherwise")
		}
		r, err := s.OpenLocal(s.ctx, account, "box", "many") // verifies the sums of the parts
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	if b, _, err := s.Blocks(s.ctx, account, "box", "many"); err != nil || len(b.Blocks) != 4 {
		t.Errorf("a join lost the block list: %v %v", b, err)
	}
}

func expiry(t *testing.T, s *suite) {
	s.stage(t, "f", 1, []byte("a"))
	run := func() {
		ctx, cancel := context.WithCancel(s.ctx)
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		s.stage(t, "late", 1, []byte("b")) // also while it runs
		cancel()
		<-done
	}
	run()
	if _, staged, err := s.Blocks(s.ctx, account, "box", "f"); err != nil || len(staged) != 1 {
		t.Fatalf("a young block: %v, %v", staged, err)
	}
	s.late.Store(int64(8 * 24 * time.Hour))
	ctx, cancel := context.WithCancel(s.ctx)
	go s.Run(ctx)
	defer cancel()
	deadline := time.After(20 * time.Second)
	for {
		_, _, err := s.Blocks(s.ctx, account, "box", "f")
		if errors.Is(err, ams.ErrBlobNotFound) {
			return
		}
		select {
		case <-deadline:
			t.Fatal("a block of eight days is still there")
		case <-time.After(time.Millisecond):
		}
	}
}
