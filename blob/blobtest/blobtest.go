// Package blobtest is the suite that every pair of blob.Records and
// blob.Driver must pass. It tests through a blob.Store alone, so it holds for
// any database and any kind of storage; what only one of them promises
// (readable file names, recovery of a folder) is tested beside it.
package blobtest

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

const account = "suite"

// Run runs the suite. open returns an empty store.
func Run(t *testing.T, open func(t *testing.T, o blob.Options) *blob.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *suite)
	}{
		{"Containers", containers}, {"RoundTrip", roundTrip}, {"Names", names}, {"List", list},
		{"Conditions", conditions}, {"CreateOnly", createOnly}, {"Blocks", blocks}, {"BlockRules", blockRules},
		{"Repeated", repeated}, {"Join", join}, {"Expiry", expiry}, {"OldReaders", oldReaders},
		{"Refused", refused}, {"PutFile", putFile}, {"Mixed", mixed},
		{"Leases", leases}, {"Snapshots", snapshots}, {"Copies", copies},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &suite{ctx: context.Background()}
			s.Store = open(t, blob.Options{Now: func() time.Time { return time.Now().Add(time.Duration(s.late.Load())) }})
			if _, err := s.CreateContainer(s.ctx, account, "box", blob.ContainerOptions{}); err != nil {
				t.Fatal(err)
			}
			c.test(t, s)
		})
	}
}

type suite struct {
	*blob.Store
	ctx  context.Context
	late atomic.Int64 // how far the store's clock is ahead, in ns
}

func (s *suite) put(t *testing.T, name string, data []byte, o blob.PutOptions) *ams.Blob {
	t.Helper()
	b, err := s.Put(s.ctx, account, "box", name, bytes.NewReader(data), o)
	if err != nil {
		t.Fatalf("put %q: %v", name, err)
	}
	return b
}

func (s *suite) get(t *testing.T, name string) []byte {
	t.Helper()
	r, err := s.Open(s.ctx, account, "box", name)
	if err != nil {
		t.Fatalf("open %q: %v", name, err)
	}
	defer r.Close()
	return read(t, r)
}

// read reads r in both ways there are, which must agree.
func read(t *testing.T, r *blob.Reader) []byte {
	t.Helper()
	var w bytes.Buffer
	if n, err := r.WriteRange(&w, 0, r.Size()); err != nil || n != r.Size() {
		t.Fatalf("WriteRange = %d, %v; size %d", n, err, r.Size())
	}
	at, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err != nil || !bytes.Equal(at, w.Bytes()) {
		t.Fatalf("ReadAt and WriteRange differ (%v)", err)
	}
	return at
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func data(n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n)}).Read(p)
	return p
}

func id(n int) string { return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%06d", n)) }

func containers(t *testing.T, s *suite) {
	_, err := s.CreateContainer(s.ctx, account, "box", blob.ContainerOptions{})
	wantErr(t, "create again", err, ams.ErrContainerExists)
	if _, err := s.CreateContainer(s.ctx, account, account, blob.ContainerOptions{}); ams.CodeOf(err) != ams.Invalid {
		t.Errorf("a container named like its account: %v", err)
	}
	if _, err := s.CreateContainer(s.ctx, "other", "box", blob.ContainerOptions{Metadata: map[string]string{"k": "v"}}); err != nil {
		t.Errorf("the same name in another account: %v", err)
	}
	before, err := s.Container(s.ctx, account, "box")
	if err != nil {
		t.Fatal(err)
	}
	policy := []ams.AccessPolicy{{ID: "p", Permissions: "rl", Expiry: "2030-01-01"}}
	if _, err := s.UpdateContainer(s.ctx, account, "box", func(c *ams.Container) error {
		c.Policies, c.PublicAccess, c.Metadata = policy, "blob", map[string]string{"a": "é"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	c, err := s.Container(s.ctx, account, "box")
	if err != nil || !slices.Equal(c.Policies, policy) || c.PublicAccess != "blob" || c.Metadata["a"] != "é" || c.ETag == before.ETag {
		t.Errorf("after the update: %+v, %v", c, err)
	}
	for _, name := range []string{"aa1", "bb1", "bb2"} {
		s.CreateContainer(s.ctx, account, name, blob.ContainerOptions{})
	}
	var seen []string
	for o := (blob.ListOptions{Prefix: "b", Limit: 2}); ; {
		p, err := s.Containers(s.ctx, account, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range p.Containers {
			seen = append(seen, c.Name)
		}
		if o.Marker = p.Next; o.Marker == "" {
			break
		}
	}
	if want := []string{"bb1", "bb2", "box"}; !slices.Equal(seen, want) {
		t.Errorf("listed %v, want %v", seen, want)
	}
	s.put(t, "x", data(10), blob.PutOptions{})
	s.StageBlock(s.ctx, account, "box", "y", id(1), bytes.NewReader(data(5)), blob.PutOptions{})
	if err := s.DeleteContainer(s.ctx, account, "box", blob.Conditions{}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Stat(s.ctx, account, "box", "x")
	wantErr(t, "stat in a deleted container", err, ams.ErrContainerNotFound)
	_, err = s.Put(s.ctx, account, "box", "x", strings.NewReader("x"), blob.PutOptions{})
	wantErr(t, "put in a deleted container", err, ams.ErrContainerNotFound)
	s.CreateContainer(s.ctx, account, "box", blob.ContainerOptions{})
	_, err = s.Stat(s.ctx, account, "box", "x")
	wantErr(t, "stat in a new container of that name", err, ams.ErrBlobNotFound)
}

func roundTrip(t *testing.T, s *suite) {
	for _, n := range []int{0, 1, 255, 256 << 10, 256<<10 + 1, 3 << 20} {
		for _, size := range []int64{0, int64(n)} { // unknown, and known
			p := data(n)
			sum := md5.Sum(p)
			o := blob.PutOptions{Size: size, Headers: ams.BlobHeaders{ContentType: "video/mp4", CacheControl: "no-cache"}, Metadata: map[string]string{"a": "1"}, MD5: sum[:]}
			b := s.put(t, "f", p, o)
			got, err := s.Stat(s.ctx, account, "box", "f")
			if err != nil {
				t.Fatal(err)
			}
			if got.Size != int64(n) || got.ETag != b.ETag || got.Headers.ContentType != "video/mp4" || got.Metadata["a"] != "1" ||
				!bytes.Equal(got.Headers.ContentMD5, sum[:]) || !got.LastModified.Equal(b.LastModified.Truncate(100)) {
				t.Errorf("size %d: %+v, want %+v", n, got, b)
			}
			if !bytes.Equal(s.get(t, "f"), p) {
				t.Errorf("size %d: other bytes came back", n)
			}
		}
	}
	r, err := s.Open(s.ctx, account, "box", "f")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	want := data(3 << 20)[1000:2000]
	var w bytes.Buffer
	if _, err := r.WriteRange(&w, 1000, 1000); err != nil || !bytes.Equal(w.Bytes(), want) {
		t.Errorf("WriteRange in the middle: %v", err)
	}
	if n, err := r.ReadAt(make([]byte, 10), r.Size()-4); n != 4 || err != io.EOF {
		t.Errorf("ReadAt over the end = %d, %v", n, err)
	}
	etag := r.Blob().ETag
	b, err := s.UpdateBlob(s.ctx, account, "box", "f", blob.Conditions{IfMatch: []string{etag}}, func(b *ams.Blob) error {
		b.Metadata = map[string]string{"z": "2"}
		return nil
	})
	if err != nil || b.ETag == etag || b.Metadata["z"] != "2" {
		t.Errorf("update: %+v, %v", b, err)
	}
	if !bytes.Equal(s.get(t, "f"), data(3<<20)) {
		t.Error("an update of metadata changed the bytes")
	}
	if err := s.Delete(s.ctx, account, "box", "f", blob.Conditions{}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Open(s.ctx, account, "box", "f")
	wantErr(t, "open after delete", err, ams.ErrBlobNotFound)
	wantErr(t, "delete again", s.Delete(s.ctx, account, "box", "f", blob.Conditions{}), ams.ErrBlobNotFound)
}

// Strange are blob names that must come back exactly.
var Strange = []string{
	"a", "a\x00b", "\x00", "a\x01", "a\x01\x00", "a\x00\x01", "\x01\x01", "a\x01\x02", "\x02", "a/b", "a/b/c", "a//b", "/", "//", "/etc/passwd", "..", "../..", "../../../../tmp/x", ".", "./a", "a/../b", "a/.",
	`\`, `..\..\x`, "%2f", "%", "%2e%2e", "\n", "tab\there", "nul", "NUL.txt", "con", "COM1.mp4", "aux.h264",
	"trailing.", "trailing ", " leading", "-rf", "~", "a~2.mp4", ".hidden", ".tmp", ".blocks/x", ".orphans", "a:b", `"quoted"`, "<&>", "?x=1#y", "*",
	"é", "e\u0301", "日本語.mp4", "😀", "\u202egnp.exe", "\ufffe", "\U0010ffff", "A", "ä", "Ä",
	strings.Repeat("x", 1024), strings.Repeat("é", 1024), strings.Repeat("😀", 512), strings.Repeat("/", 1024), strings.Repeat("日", 250) + ".mp4",
}

func names(t *testing.T, s *suite) {
	for _, name := range Strange {
		s.put(t, name, []byte(name), blob.PutOptions{})
	}
	for _, name := range Strange {
		if got := s.get(t, name); string(got) != name {
			t.Errorf("%q holds %q", name, got)
		}
	}
	want := slices.Sorted(slices.Values(Strange))
	var got []string
	for b, err := range s.All(s.ctx, account, "box", "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %d names %.300q, want %d names", len(got), got, len(want))
	}
	for _, name := range []string{"", strings.Repeat("x", 1025), strings.Repeat("😀", 513), "\xff"} {
		if _, err := s.Put(s.ctx, account, "box", name, strings.NewReader(""), blob.PutOptions{}); ams.CodeOf(err) != ams.Invalid {
			t.Errorf("put %.20q: %v, want Invalid", name, err)
		}
	}
}

func list(t *testing.T, s *suite) {
	for _, name := range []string{"a.mp4", "b", "dir/1", "dir/2", "dir/sub/3", "dir0", "z/1", "zz", "\U0010ffff/1", "\U0010ffff/2"} {
		s.put(t, name, []byte("x"), blob.PutOptions{})
	}
	s.StageBlock(s.ctx, account, "box", "dir/staged", id(1), strings.NewReader("x"), blob.PutOptions{})
	s.StageBlock(s.ctx, account, "box", "staged", id(1), strings.NewReader("x"), blob.PutOptions{})
	s.StageBlock(s.ctx, account, "box", "b", id(1), strings.NewReader("x"), blob.PutOptions{})
	for _, c := range []struct {
		o    blob.ListOptions
		want string
	}{
		{blob.ListOptions{}, "a.mp4 b dir/1 dir/2 dir/sub/3 dir0 z/1 zz \U0010ffff/1 \U0010ffff/2"},
		{blob.ListOptions{Delimiter: "/"}, "a.mp4 b dir/* dir0 z/* zz \U0010ffff/*"},
		{blob.ListOptions{Prefix: "dir/", Delimiter: "/"}, "dir/1 dir/2 dir/sub/*"},
		{blob.ListOptions{Prefix: "dir"}, "dir/1 dir/2 dir/sub/3 dir0"},
		{blob.ListOptions{Prefix: "dir", Delimiter: "/"}, "dir/* dir0"},
		{blob.ListOptions{Prefix: "nothing"}, ""},
		{blob.ListOptions{Uncommitted: true, Prefix: "d"}, "dir/1 dir/2 dir/staged dir/sub/3 dir0"},
		{blob.ListOptions{Uncommitted: true, Delimiter: "/"}, "a.mp4 b dir/* dir0 staged z/* zz \U0010ffff/*"},
		{blob.ListOptions{Delimiter: "p4"}, "a.mp4* b dir/1 dir/2 dir/sub/3 dir0 z/1 zz \U0010ffff/1 \U0010ffff/2"},
	} {
		for limit := 1; limit <= 12; limit++ {
			o := c.o
			o.Limit = limit
			var got []string
			for {
				p, err := s.List(s.ctx, account, "box", o)
				if err != nil {
					t.Fatal(err)
				}
				page := []string{}
				for _, b := range p.Blobs {
					page = append(page, b.Name)
				}
				for _, g := range p.Prefixes {
					page = append(page, g+"*")
				}
				if len(page) > limit || len(page) == 0 && p.Next != "" {
					t.Fatalf("%+v: a page of %d", o, len(page))
				}
				slices.Sort(page)
				got = append(got, page...)
				if o.Marker = p.Next; o.Marker == "" {
					break
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%+v: listed %q, want %q", o, got, c.want)
			}
		}
	}
	_, err := s.List(s.ctx, account, "absent", blob.ListOptions{})
	wantErr(t, "list an absent container", err, ams.ErrContainerNotFound)
}

func conditions(t *testing.T, s *suite) {
	for _, c := range []struct {
		name string
		cond func(*ams.Blob) blob.Conditions
		blob string
		want error
	}{
		{"if-match", func(b *ams.Blob) blob.Conditions { return blob.Conditions{IfMatch: []string{b.ETag}} }, "c", nil},
		{"if-match any", func(*ams.Blob) blob.Conditions { return blob.Conditions{IfMatch: []string{"*"}} }, "c", nil},
		{"if-match other", func(*ams.Blob) blob.Conditions { return blob.Conditions{IfMatch: []string{"0x1"}} }, "c", ams.ErrConditionNotMet},
		{"if-match absent", func(*ams.Blob) blob.Conditions { return blob.Conditions{IfMatch: []string{"*"}} }, "absent", ams.ErrConditionNotMet},
		{"if-none-match other", func(*ams.Blob) blob.Conditions { return blob.Conditions{IfNoneMatch: []string{"0x1"}} }, "c", nil},
		{"if-none-match same", func(b *ams.Blob) blob.Conditions { return blob.Conditions{IfNoneMatch: []string{b.ETag}} }, "c", ams.ErrConditionNotMet},
		{"create only", func(*ams.Blob) blob.Conditions { return blob.CreateOnly() }, "c", ams.ErrBlobExists},
		{"modified since", func(b *ams.Blob) blob.Conditions {
			return blob.Conditions{IfModifiedSince: b.LastModified.Add(-time.Hour)}
		}, "c", nil},
		{"modified since not", func(b *ams.Blob) blob.Conditions {
			return blob.Conditions{IfModifiedSince: b.LastModified.Add(time.Hour)}
		}, "c", ams.ErrConditionNotMet},
		{"unmodified since", func(b *ams.Blob) blob.Conditions {
			return blob.Conditions{IfUnmodifiedSince: b.LastModified.Add(time.Hour)}
		}, "c", nil},
		{"unmodified since not", func(b *ams.Blob) blob.Conditions {
			return blob.Conditions{IfUnmodifiedSince: b.LastModified.Add(-time.Hour)}
		}, "c", ams.ErrConditionNotMet},
	} {
		cond := c.cond(s.put(t, "c", []byte("1"), blob.PutOptions{}))
		_, err := s.Put(s.ctx, account, "box", c.blob, strings.NewReader("2"), blob.PutOptions{If: cond})
		wantErr(t, c.name+": put", err, c.want)
		cond = c.cond(s.put(t, "c", []byte("1"), blob.PutOptions{}))
		_, err = s.CommitBlocks(s.ctx, account, "box", c.blob, nil, blob.PutOptions{If: cond})
		wantErr(t, c.name+": commit", err, c.want)
	}
}

func createOnly(t *testing.T, s *suite) {
	const n = 32
	for round := range 3 {
		name := fmt.Sprintf("once-%d", round)
		var won atomic.Int32
		var wg sync.WaitGroup
		var winner atomic.Value
		for i := range n {
			wg.Go(func() {
				var err error
				me := fmt.Sprint(i)
				if i%2 == 0 {
					_, err = s.Put(s.ctx, account, "box", name, strings.NewReader(me), blob.PutOptions{If: blob.CreateOnly()})
				} else {
					// Staging must not disturb the others; the commit must lose or win whole.
					_, err = s.CommitBlocks(s.ctx, account, "box", name, nil, blob.PutOptions{If: blob.CreateOnly()})
					me = ""
				}
				switch {
				case err == nil:
					won.Add(1)
					winner.Store(me)
				case !errors.Is(err, ams.ErrBlobExists):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d create-only writes of one name won", won.Load())
		}
		if got := string(s.get(t, name)); got != winner.Load() {
			t.Errorf("the blob holds %q, the winner wrote %q", got, winner.Load())
		}
	}
}

func oldReaders(t *testing.T, s *suite) {
	one, two := data(100_000), data(100_001)
	s.put(t, "f", one, blob.PutOptions{})
	r1, err := s.Open(s.ctx, account, "box", "f")
	if err != nil {
		t.Fatal(err)
	}
	path, local := r1.LocalPath()
	s.put(t, "f", two, blob.PutOptions{})
	r2, err := s.Open(s.ctx, account, "box", "f")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(s.ctx, account, "box", "f", blob.Conditions{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, r1), one) || !bytes.Equal(read(t, r2), two) {
		t.Error("a reader did not keep its version")
	}
	if local {
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, one) {
			t.Errorf("the path of an open reader: %v", err)
		}
	}
	r1.Close()
	r2.Close()
	if local {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("a file that nobody needs is still there: %v", err)
		}
	}
}

func refused(t *testing.T, s *suite) {
	s.put(t, "f", []byte("old"), blob.PutOptions{})
	wrong := uint64(1)
	for _, c := range []struct {
		name string
		r    io.Reader
		o    blob.PutOptions
		want error
	}{
		{"another MD5", strings.NewReader("new"), blob.PutOptions{MD5: make([]byte, 16)}, blob.ErrMD5},
		{"another CRC", strings.NewReader("new"), blob.PutOptions{CRC64: &wrong}, blob.ErrCRC64},
		{"short", strings.NewReader("new"), blob.PutOptions{Size: 4}, blob.ErrShort},
		{"long", strings.NewReader("new"), blob.PutOptions{Size: 2}, blob.ErrShort},
		{"broken off", io.MultiReader(strings.NewReader("new"), broken{}), blob.PutOptions{}, errBroken},
		{"broken off, size known", io.MultiReader(strings.NewReader("new"), broken{}), blob.PutOptions{Size: 10}, errBroken},
		{"ended early", io.MultiReader(bytes.NewReader(data(300<<10)), short{}), blob.PutOptions{}, io.ErrUnexpectedEOF},
	} {
		_, err := s.Put(s.ctx, account, "box", "f", c.r, c.o)
		wantErr(t, c.name, err, c.want)
		if got := s.get(t, "f"); string(got) != "old" {
			t.Errorf("%s: the blob now holds %q", c.name, got)
		}
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

type short struct{}

func (short) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func putFile(t *testing.T, s *suite) {
	p := data(100_000)
	path := filepath.Join(t.TempDir(), "out.mp4")
	if err := os.WriteFile(path, p, 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := s.PutFile(s.ctx, account, "box", "out.mp4", path, blob.PutOptions{Headers: ams.BlobHeaders{ContentType: "video/mp4"}})
	if err != nil || b.Size != int64(len(p)) {
		t.Fatal(b, err)
	}
	if !bytes.Equal(s.get(t, "out.mp4"), p) {
		t.Error("other bytes came back")
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the local file is still there: %v", err)
	}
	if _, err := s.PutFile(s.ctx, account, "box", "x", t.TempDir(), blob.PutOptions{}); err == nil {
		t.Error("a folder became a blob")
	}
}

// Readers and writers of one name, all at once: every read is one version.
func mixed(t *testing.T, s *suite) {
	ctx, stop := context.WithCancel(s.ctx)
	var wg, readers sync.WaitGroup
	done := make(chan struct{})
	go s.Run(ctx)
	defer stop()
	s.put(t, "f", bytes.Repeat([]byte{'a'}, 50_000), blob.PutOptions{})
	for w := range 3 {
		wg.Go(func() {
			for i := range 10 {
				c := byte('b' + w*10 + i)
				if w < 2 {
					if _, err := s.Put(s.ctx, account, "box", "f", bytes.NewReader(bytes.Repeat([]byte{c}, 50_000+int(c))), blob.PutOptions{}); err != nil {
						t.Error(err)
					}
					continue
				}
				// The other writers' commits may take the staged blocks away.
				for k := range 3 {
					if _, err := s.StageBlock(s.ctx, account, "box", "f", id(k), bytes.NewReader(bytes.Repeat([]byte{c}, 1000)), blob.PutOptions{}); err != nil {
						t.Error(err)
					}
				}
				_, err := s.CommitBlocks(s.ctx, account, "box", "f", []blob.BlockRef{{ID: id(0)}, {ID: id(1)}, {ID: id(2)}}, blob.PutOptions{})
				if err != nil && !errors.Is(err, blob.ErrBlockList) {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				r, err := s.Open(s.ctx, account, "box", "f")
				if err != nil {
					t.Error(err)
					return
				}
				p := make([]byte, r.Size())
				if _, err := r.ReadAt(p, 0); err != nil {
					t.Error(err)
				}
				if len(p) == 0 || !bytes.Equal(p, bytes.Repeat(p[:1], len(p))) {
					t.Errorf("a mix of versions in %d bytes", len(p))
				}
				r.Close()
			}
		})
	}
	wg.Wait()
	close(done)
	readers.Wait()
}
