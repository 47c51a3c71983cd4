package blob

import (
	"context"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/openams/openams/ams"
)

// MaxPage is the most entries of one page of a list.
const MaxPage = 5000

// ListOptions choose what a page of a list holds.
type ListOptions struct {
	Prefix      string
	Delimiter   string // blobs only: names that share the text up to it become one prefix
	Marker      string // Next of the page before
	Limit       int    // 1 to MaxPage; 0: MaxPage
	Uncommitted bool   // blobs only: those with staged blocks alone too, with size 0
	Snapshots   bool   // blobs only, without a delimiter: each blob after its snapshots
}

func (o *ListOptions) limit() int {
	if o.Limit <= 0 || o.Limit > MaxPage {
		return MaxPage
	}
	return o.Limit
}

// A ContainerPage is one page of a list of containers.
type ContainerPage struct {
	Containers []*ams.Container
	Next       string // Marker of the next page; "" after the last
}

// Containers lists the containers of an account by name.
func (s *Store) Containers(ctx context.Context, account string, o ListOptions) (*ContainerPage, error) {
	n := o.limit()
	list, err := s.records.Containers(ctx, account, o.Prefix, o.Marker, n+1)
	if err != nil {
		return nil, err
	}
	p := &ContainerPage{Containers: list}
	if len(list) > n {
		p.Containers, p.Next = list[:n], list[n].Name
	}
	return p, nil
}

// A BlobPage is one page of a list of blobs. Blobs and Prefixes are each in
// order of name; together they fill the page.
type BlobPage struct {
	Blobs    []*ams.Blob
	Prefixes []string
	Next     string // Marker of the next page; "" after the last
}

// List lists the blobs of a container by name, without extents and blocks.
func (s *Store) List(ctx context.Context, account, container string, o ListOptions) (*BlobPage, error) {
	if _, err := s.records.Container(ctx, account, container); err != nil {
		return nil, err
	}
	if o.Snapshots {
		return s.listSnapshots(ctx, account, container, o)
	}
	var p BlobPage
	limit, from := o.limit(), o.Marker
	for {
		left := limit - len(p.Blobs) - len(p.Prefixes)
		batch, err := s.batch(ctx, account, container, o, from, left+1)
		if err != nil {
			return nil, err
		}
		skipped := false
		for _, b := range batch {
			if left == 0 {
				p.Next = b.Name
				return &p, nil
			}
			left--
			rest := b.Name[len(o.Prefix):]
			i := -1
			if o.Delimiter != "" {
				i = strings.Index(rest, o.Delimiter)
			}
			if i < 0 {
				p.Blobs = append(p.Blobs, b)
				from = b.Name + "\x00"
				continue
			}
			group := o.Prefix + rest[:i+len(o.Delimiter)]
			p.Prefixes = append(p.Prefixes, group)
			var more bool
			if from, more = After(group); !more {
				return &p, nil
			}
			skipped = true // jump over the rest of the group in the database
			break
		}
		if !skipped {
			return &p, nil // the batch was asked for one more than fits: it ended
		}
	}
}

// listSnapshots is List with snapshots. A blob and its snapshots stand on one
// page, which is therefore longer than asked for when they are more.
func (s *Store) listSnapshots(ctx context.Context, account, container string, o ListOptions) (*BlobPage, error) {
	if o.Delimiter != "" {
		return nil, ams.Errorf(ams.Invalid, "Snapshots are listed without a delimiter.")
	}
	limit := o.limit()
	base, err := s.batch(ctx, account, container, o, o.Marker, limit+1)
	if err != nil || len(base) == 0 {
		return &BlobPage{}, err
	}
	snapshots, err := s.records.Snapshots(ctx, account, container, base[0].Name, base[len(base)-1].Name)
	if err != nil {
		return nil, err
	}
	var p BlobPage
	for i, b := range base {
		var group []*ams.Blob
		for len(snapshots) > 0 && snapshots[0].Name <= b.Name {
			if snapshots[0].Name == b.Name { // else its blob came after the list of blobs was read
				group = append(group, snapshots[0])
			}
			snapshots = snapshots[1:]
		}
		group = append(group, b)
		if i > 0 && len(p.Blobs)+len(group) > limit {
			p.Next = b.Name
			break
		}
		p.Blobs = append(p.Blobs, group...)
	}
	return &p, nil
}

// batch lists up to n blobs from a name on, staged ones among them if wanted.
func (s *Store) batch(ctx context.Context, account, container string, o ListOptions, from string, n int) ([]*ams.Blob, error) {
	list, err := s.records.Blobs(ctx, account, container, o.Prefix, from, n)
	if err != nil || !o.Uncommitted {
		return list, err
	}
	staged, err := s.records.StagedBlobs(ctx, account, container, o.Prefix, from, n)
	if err != nil || len(staged) == 0 {
		return list, err
	}
	merged := make([]*ams.Blob, 0, n)
	for len(merged) < n && len(list)+len(staged) > 0 {
		if len(staged) == 0 || len(list) > 0 && list[0].Name < staged[0] {
			merged, list = append(merged, list[0]), list[1:]
		} else {
			b := &ams.Blob{StorageAccount: account, Container: container, Name: staged[0]}
			merged, staged = append(merged, b), staged[1:]
		}
	}
	return merged, nil
}

// All lists every blob of a container whose name starts with prefix. It reads
// a page at a time: blobs that come or go meanwhile may or may not be seen.
func (s *Store) All(ctx context.Context, account, container, prefix string) iter.Seq2[*ams.Blob, error] {
	return func(yield func(*ams.Blob, error) bool) {
		for o := (ListOptions{Prefix: prefix}); ; {
			p, err := s.List(ctx, account, container, o)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, b := range p.Blobs {
				if !yield(b, nil) {
					return
				}
			}
			if p.Next == "" {
				return
			}
			o.Marker = p.Next
		}
	}
}

// After is the least name above every name that starts with prefix; ok is
// false when there is none. It counts in characters, so that the result is
// valid UTF-8, whose byte order is that of its characters.
func After(prefix string) (name string, ok bool) {
	for prefix != "" {
		r, n := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-n]
		switch {
		case r == utf8.MaxRune || r == utf8.RuneError && n == 1:
			continue
		case r == 0xD7FF:
			r = 0xE000 // surrogates are no characters
		default:
			r++
		}
		return prefix + string(r), true
	}
	return "", false
}
