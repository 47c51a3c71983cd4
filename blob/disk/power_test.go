package disk

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc64"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

// A step is one thing that happened, in order.
type step struct {
	op   string // create mkdir write sync rename link remove record
	path string
	to   string
	data []byte
	site string              // of sync: the line of the driver that asked for it
	now  map[string]ams.Blob // of record: all that was acknowledged
}

// A recorder is a file system that remembers what the driver did.
type recorder struct {
	localFiles
	mu    sync.Mutex
	steps []step
}

func (r *recorder) add(s step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, s)
}

// site is the line outside of this file that called.
func site() string {
	for skip := 2; ; skip++ {
		_, name, line, ok := runtime.Caller(skip)
		if !ok {
			return "nowhere"
		}
		if base := filepath.Base(name); base != "power_test.go" {
			return fmt.Sprintf("%s:%d", base, line)
		}
	}
}

func (r *recorder) Create(path string) (file, error) {
	f, err := r.localFiles.Create(path)
	if err != nil {
		return nil, err
	}
	r.add(step{op: "create", path: path})
	return &recorded{f, r}, nil
}

type recorded struct {
	file
	r *recorder
}

func (f *recorded) Write(p []byte) (int, error) {
	f.r.add(step{op: "write", path: f.Name(), data: bytes.Clone(p)})
	return f.file.Write(p)
}

func (f *recorded) Sync() error {
	f.r.add(step{op: "sync", path: f.Name(), site: site()})
	return f.file.Sync()
}

func (r *recorder) MkdirAll(path string) error {
	var made []string
	for at := path; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil {
			break
		}
		made = append(made, at)
	}
	for _, dir := range slices.Backward(made) {
		r.add(step{op: "mkdir", path: dir})
	}
	return r.localFiles.MkdirAll(path)
}

func (r *recorder) Sync(path string) error {
	r.add(step{op: "sync", path: path, site: site()})
	return r.localFiles.Sync(path)
}

func (r *recorder) Rename(from, to string) error {
	r.add(step{op: "rename", path: from, to: to})
	return r.localFiles.Rename(from, to)
}

func (r *recorder) Link(from, to string) error {
	r.add(step{op: "link", path: from, to: to})
	return r.localFiles.Link(from, to)
}

func (r *recorder) Remove(path string) error {
	r.add(step{op: "remove", path: path})
	return r.localFiles.Remove(path)
}

// records is a database that forgets nothing: each change is durable at once,
// and stands among the recorder's steps.
type records struct {
	blob.Records // the methods that the test does not use
	r            *recorder
	blobs        map[string]ams.Blob // by container/name@snapshot, and staged blocks by container/name#id
}

func (m *records) changed() { m.r.add(step{op: "record", now: maps.Clone(m.blobs)}) }

func (m *records) Container(context.Context, string, string) (*ams.Container, error) {
	return new(ams.Container), nil
}

func (m *records) Blob(_ context.Context, _, container, name string) (*ams.Blob, error) {
	b, ok := m.blobs[container+"/"+name]
	if !ok {
		return nil, ams.ErrBlobNotFound
	}
	return &b, nil
}

func (m *records) staged(container, name string) (list []ams.Block) {
	for key, b := range m.blobs {
		if id, ok := strings.CutPrefix(key, container+"/"+name+"#"); ok {
			list = append(list, ams.Block{ID: id, Size: b.Size, File: b.Extents[0].File, CRC64: b.Extents[0].CRC64})
		}
	}
	return list
}

func (m *records) PutBlob(ctx context.Context, account, container, name string, make func(*ams.Blob, []ams.Block) (*ams.Blob, error)) error {
	old, err := m.Blob(ctx, account, container, name)
	if err != nil {
		old = nil
	}
	staged := m.staged(container, name)
	b, err := make(old, staged)
	if err != nil {
		return err
	}
	for _, k := range staged {
		delete(m.blobs, container+"/"+name+"#"+k.ID)
	}
	m.blobs[container+"/"+name] = *b
	m.changed()
	return nil
}

func (m *records) StageBlock(_ context.Context, _, container, name string, k ams.Block, check func(*ams.Blob, ams.Block, int) error) (string, error) {
	if err := check(nil, ams.Block{}, 0); err != nil {
		return "", err
	}
	m.blobs[container+"/"+name+"#"+k.ID] = ams.Blob{Size: k.Size, Extents: []ams.Extent{{File: k.File, Length: k.Size, CRC64: k.CRC64}}}
	m.changed()
	return "", nil
}

func (m *records) UpdateBlob(ctx context.Context, account, container, name string, change func(*ams.Blob) error) error {
	b, err := m.Blob(ctx, account, container, name)
	if err == nil {
		err = change(b)
	}
	if err != nil {
		return err
	}
	m.blobs[container+"/"+name] = *b
	m.changed()
	return nil
}

func (m *records) PutSnapshot(ctx context.Context, account, container, name string, make func(*ams.Blob) (*ams.Blob, error)) error {
	b, err := m.Blob(ctx, account, container, name)
	if err == nil {
		b, err = make(b)
	}
	if err != nil {
		return err
	}
	m.blobs[container+"/"+name+"@"+b.Snapshot] = *b
	m.changed()
	return nil
}

func (m *records) DeleteBlob(ctx context.Context, account, container, name string, choose func(*ams.Blob, []*ams.Blob) (bool, []string, error)) ([]ams.Block, error) {
	b, err := m.Blob(ctx, account, container, name)
	if err == nil {
		_, _, err = choose(b, nil)
	}
	if err != nil {
		return nil, err
	}
	delete(m.blobs, container+"/"+name)
	m.changed()
	return nil, nil
}

// A node is a file or a directory, as it is now and as it is on the disk.
type node struct {
	durable []byte
	pending [][]byte // writes that follow, in order

	entries map[string]*node // nil: a file
	live    map[string]*node
	dirty   []entry
}

// An entry is a change of a directory that is not on the disk yet.
type entry struct {
	name string
	node *node // nil: removed
}

func newDir() *node { return &node{entries: map[string]*node{}, live: map[string]*node{}} }

func (n *node) set(name string, to *node) {
	if to == nil {
		delete(n.live, name)
	} else {
		n.live[name] = to
	}
	n.dirty = append(n.dirty, entry{name, to})
}

// machine is what the steps leave behind.
type machine struct {
	top  string // an existing, durable directory
	root *node
	acks map[string]ams.Blob
}

func (m *machine) find(path string) (dir *node, name string) {
	rel, _ := filepath.Rel(m.top, path)
	parts := strings.Split(rel, string(filepath.Separator))
	dir = m.root
	for _, p := range parts[:len(parts)-1] {
		dir = dir.live[p]
	}
	return dir, parts[len(parts)-1]
}

// run does one step. The sync of one site is left out.
func (m *machine) run(s step, broken string) {
	if s.op == "record" {
		m.acks = s.now
		return
	}
	if s.op == "sync" && s.path == m.top {
		if s.site != broken {
			m.root.sync()
		}
		return
	}
	dir, name := m.find(s.path)
	switch s.op {
	case "create":
		dir.set(name, new(node))
	case "mkdir":
		dir.set(name, newDir())
	case "write":
		n := dir.live[name]
		n.pending = append(n.pending, s.data)
	case "sync":
		if s.site != broken {
			dir.live[name].sync()
		}
	case "rename", "link":
		to, toName := m.find(s.to)
		to.set(toName, dir.live[name])
		if s.op == "rename" {
			dir.set(name, nil)
		}
	case "remove":
		if dir.live[name] != nil {
			dir.set(name, nil)
		}
	}
}

func (n *node) sync() {
	if n.entries != nil {
		n.entries, n.dirty = maps.Clone(n.live), nil
		return
	}
	for _, p := range n.pending {
		n.durable = append(n.durable, p...)
	}
	n.pending = nil
}

// crash is a fate for what was not synced.
type crash struct {
	entries, data func() bool // whether one survives
	torn          func(n int) int
}

// after is the content of a file after a crash: writes that were not synced
// are there, torn, or missing, with a hole before those that follow.
func (n *node) after(c crash) []byte {
	got := bytes.Clone(n.durable)
	at := len(got)
	for _, p := range n.pending {
		if c.data() {
			k := c.torn(len(p))
			if len(got) < at+k {
				got = append(got, make([]byte, at+k-len(got))...)
			}
			copy(got[at:], p[:k])
		}
		at += len(p)
	}
	return got
}

// list is the entries of a directory after a crash.
func (n *node) list(c crash) map[string]*node {
	got := maps.Clone(n.entries)
	for _, e := range n.dirty {
		switch {
		case !c.entries():
		case e.node == nil:
			delete(got, e.name)
		default:
			got[e.name] = e.node
		}
	}
	return got
}

var crcs = blob.NewCRC()

// check reports the first acknowledged blob whose bytes are not there.
func (m *machine) check(base string, c crash) error {
	dirs := make(map[*node]map[string]*node) // each crashes once
	contents := make(map[*node][]byte)
	for key, b := range m.acks {
		for _, x := range b.Extents {
			at := m.root
			rel, _ := filepath.Rel(m.top, filepath.Join(base, x.File))
			for _, p := range strings.Split(rel, string(filepath.Separator)) {
				if at == nil || at.entries == nil {
					return fmt.Errorf("%s: there is no %s", key, x.File)
				}
				if dirs[at] == nil {
					dirs[at] = at.list(c)
				}
				at = dirs[at][p]
			}
			if at == nil {
				return fmt.Errorf("%s: there is no %s", key, x.File)
			}
			if _, ok := contents[at]; !ok {
				contents[at] = at.after(c)
			}
			data := contents[at]
			if int64(len(data)) < x.Offset+x.Length || crc64.Checksum(data[x.Offset:x.Offset+x.Length], crcs) != x.CRC64 {
				return fmt.Errorf("%s: %s holds other bytes", key, x.File)
			}
		}
	}
	return nil
}

// fates are the crashes that are tried at every moment.
func fates(seed uint64) []crash {
	never, always := func() bool { return false }, func() bool { return true }
	all := func(n int) int { return n }
	rng := rand.New(rand.NewPCG(seed, 1))
	coin := func() bool { return rng.IntN(2) == 0 }
	torn := func(n int) int { return rng.IntN(n + 1) }
	return []crash{{never, never, all}, {always, never, all}, {never, always, all}, {coin, coin, torn}, {coin, coin, torn}}
}

// lost replays the steps and loses the power after each. It returns the first
// acknowledged write that did not survive.
func lost(top, base string, steps []step, broken string) error {
	m := &machine{top: top, root: newDir()}
	for i, s := range steps {
		m.run(s, broken)
		for j, c := range fates(uint64(i)) {
			if err := m.check(base, c); err != nil {
				return fmt.Errorf("after step %d (%s %s), fate %d: %w", i, s.op, s.path, j, err)
			}
		}
	}
	return nil
}

// What was acknowledged survives a loss of power at any moment, whatever
// became of what was not synced; and every sync is needed for that.
func TestPowerLoss(t *testing.T) {
	top := t.TempDir()
	base := filepath.Join(top, "blobs")
	r := new(recorder)
	d, err := newDriver(base, r)
	if err != nil {
		t.Fatal(err)
	}
	m := &records{r: r, blobs: make(map[string]ams.Blob)}
	s := blob.New(m, d, blob.Options{})
	workload(t, s, r, top)
	sites := make(map[string]bool)
	for _, st := range r.steps {
		if st.op == "sync" {
			sites[st.site] = true
		}
	}
	t.Logf("%d steps, syncs at %v", len(r.steps), slices.Sorted(maps.Keys(sites)))
	if err := lost(top, base, r.steps, ""); err != nil {
		t.Errorf("lost: %v", err)
	}
	for site := range sites {
		if err := lost(top, base, r.steps, site); err == nil {
			t.Errorf("without the sync at %s nothing is lost: the test or the sync is worth nothing", site)
		}
	}
	if len(sites) < 5 {
		t.Errorf("only %d places sync", len(sites))
	}
}

// workload writes in every way that the store has.
func workload(t *testing.T, s *blob.Store, r *recorder, top string) {
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	bytesOf := func(n int) *bytes.Reader {
		p := make([]byte, n)
		rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(p)
		return bytes.NewReader(p)
	}
	for _, container := range []string{"one", "two"} {
		_, err := s.Put(ctx, "acct", container, "small", bytesOf(1000), blob.PutOptions{Size: 1000})
		check("put", err)
		_, err = s.Put(ctx, "acct", container, "large", bytesOf(600_000), blob.PutOptions{})
		check("put", err)
		_, err = s.Put(ctx, "acct", container, "small", bytesOf(2000), blob.PutOptions{})
		check("overwrite", err)
		_, err = s.TakeSnapshot(ctx, "acct", container, "small", blob.Conditions{}, nil)
		check("snapshot", err)
		check("delete", s.Delete(ctx, "acct", container, "small", blob.Conditions{}))
		var list []blob.BlockRef
		for i := range 3 {
			id := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%03d", i))
			_, err := s.StageBlock(ctx, "acct", container, "blocks", id, bytesOf(3000+i), blob.PutOptions{})
			check("stage", err)
			list = append(list, blob.BlockRef{ID: id})
		}
		_, err = s.CommitBlocks(ctx, "acct", container, "blocks", list, blob.PutOptions{})
		check("commit", err)
		joined, err := s.OpenLocal(ctx, "acct", container, "blocks")
		check("join", err)
		check("close", joined.Close())
	}
	local := filepath.Join(top, "encoded")
	f, err := r.Create(local)
	check("create", err)
	_, err = f.Write([]byte("the output of an encoder"))
	check("write", errors.Join(err, f.Close()))
	_, err = s.PutFile(ctx, "acct", "three", "adopted", local, blob.PutOptions{})
	check("put file", err)
}
