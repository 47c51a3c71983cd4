package encoder

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
)

// A live archive keeps each track as a folder of blobs, the init segment as
// "header" and each fragment under the time at which it starts; the server
// manifest names the folders, as sources without an extension. An encode gets what
// the clip needs of it as one MP4 for each track, whose time begins at 0.

// maxArchive bounds the fragments of a track: 25 hours, the longest archive of
// AMS, in pieces of 1 s. maxPiece bounds the bytes of one.
const (
	maxArchive = 100_000
	maxPiece   = 256 << 20
)

// isArchive reports whether a server manifest names folders.
func isArchive(m *ism.Manifest) bool {
	sources := m.Sources()
	return len(sources) > 0 && !slices.ContainsFunc(sources, func(s string) bool { return path.Ext(s) != "" || strings.ContainsAny(s, `/\`) })
}

// manifestOf finds the server manifest among the files of an asset that names an
// archive, or, if there is none, one all of whose files are there. m is nil if
// there is neither: what an .ism says that nothing fits to counts for nothing.
func (w *Worker) manifestOf(ctx context.Context, in *ams.Asset, names []string) (m *ism.Manifest, name string, err error) {
	for _, n := range names {
		if !strings.EqualFold(path.Ext(n), ".ism") {
			continue
		}
		found, err := w.manifest(ctx, in, n)
		if _, foreign := errors.AsType[*ams.JobError](err); foreign {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		if found.Early != "" {
			continue // of an encode under way
		}
		if isArchive(found) {
			there, err := w.recorded(ctx, in, found)
			if err != nil {
				return nil, "", err
			}
			if there {
				return found, n, nil
			}
			continue
		}
		missing := slices.ContainsFunc(found.Sources(), func(s string) bool { return !slices.Contains(names, s) })
		if m == nil && !missing && len(found.Sources()) > 0 {
			m, name = found, n
		}
	}
	return m, name, nil
}

// recorded reports whether an asset has anything of the folders that a server
// manifest names.
func (w *Worker) recorded(ctx context.Context, in *ams.Asset, m *ism.Manifest) (bool, error) {
	for _, folder := range m.Sources() {
		for _, err := range w.c.Blobs.All(ctx, in.StorageAccount, in.Container, folder+"/") {
			return err == nil, err
		}
	}
	return false, nil
}

// archive makes the files of a live archive, as much of them as the clip needs.
func (w *Worker) archive(ctx context.Context, in *ams.Asset, set string, m *ism.Manifest, clip Clip, dir string, f *Feed) error {
	var reels []reel
	var files []Source
	var opened closers
	defer func() { opened.close() }()
	for _, s := range m.Streams {
		if s.Kind == ism.Text || slices.ContainsFunc(files, func(f Source) bool { return f.Name == s.Src }) {
			continue
		}
		joined, secret, err := w.join(ctx, in, s.Src, clip, filepath.Join(dir, fmt.Sprintf("archive-%d", len(reels))))
		if err != nil {
			return err
		}
		if joined == nil {
			continue
		}
		opened = append(opened, joined)
		info, err := joined.Stat()
		if err != nil {
			return err
		}
		index, err := mp4.BuildIndex(joined, info.Size())
		if e, ok := errors.AsType[*mp4.Error](err); ok {
			return jobErrorf(ams.ContentMalformed, "The track %q of the live archive %q is damaged: %s.", s.Src, set, e.Msg)
		}
		if err != nil {
			return err
		}
		reels = append(reels, reel{s.Src, joined, index})
		files = append(files, Source{Name: s.Src, URI: in.Container + "/" + s.Src, Title: s.TrackName, Set: set, Asset: in.ID, Secret: secret})
	}
	if reels == nil {
		return jobErrorf(ams.ConfigurationUnsupported, "Nothing of the live archive %q lies in the clip from %s to %s.", set, at(clip.Start), at(clip.End))
	}
	if first := earliest(reels); clip.UTC && first < year2001 {
		return jobErrorf(ams.ConfigurationUnsupported, "The clip's times are in UTC, but the live archive %q begins at %v of a clock of its own: use AbsoluteClipTime.", set, first)
	}
	paths, zero, err := cutReels(ctx, w.c.Tools, reels, clip, filepath.Join(dir, "cut"))
	if err != nil {
		return err
	}
	var there []Source
	for i, p := range paths {
		if p != "" {
			files[i].Path = p
			w.notes.name(p, files[i].Name)
			there = append(there, files[i])
		}
	}
	f.Cut, f.Zero = true, zero
	f.Files, f.Chosen, err = Choose(ctx, w.c.Tools, there)
	return err
}

// year2001 tells clocks that count from 1970 from others.
const year2001 = 1_000_000_000 * time.Second

// at is a time of an archive as a message says it.
func at(d time.Duration) string {
	if d >= year2001 {
		return time.Unix(0, int64(d)).UTC().Format(time.RFC3339Nano)
	}
	return d.String()
}

// earliest is when the first sample of all is shown.
func earliest(reels []reel) time.Duration {
	first := forever
	for _, r := range reels {
		for _, t := range r.index.Tracks {
			if t.NumSamples() > 0 {
				first = min(first, showTime(t, t.Sample(0)))
			}
		}
	}
	return first
}

// join writes the header of a folder and those of its fragments that the clip
// needs to a file, which the caller closes; nil if the clip needs none.
func (w *Worker) join(ctx context.Context, in *ams.Asset, folder string, clip Clip, to string) (joined *os.File, secret bool, err error) {
	type piece struct {
		name  string
		start uint64
	}
	header := ""
	var pieces []piece
	for b, err := range w.c.Blobs.All(ctx, in.StorageAccount, in.Container, folder+"/") {
		if err != nil {
			return nil, false, fmt.Errorf("list the archive %q: %w", folder, err)
		}
		name := b.Name[len(folder)+1:]
		if strings.EqualFold(name, "header") {
			header = b.Name
		} else if start, err := strconv.ParseUint(name, 10, 63); err == nil {
			if pieces = append(pieces, piece{b.Name, start}); len(pieces) > maxArchive {
				return nil, false, jobErrorf(ams.ContentUnsupported, "The track %q of the live archive has more than %d fragments.", folder, maxArchive)
			}
		}
	}
	switch {
	case header == "":
		return nil, false, jobErrorf(ams.DownloadNotAccessible, "The track %q of the live archive has no '%s/header'.", folder, folder)
	case pieces == nil:
		return nil, false, jobErrorf(ams.DownloadNotAccessible, "The track %q of the live archive has no fragments.", folder)
	}
	slices.SortFunc(pieces, func(a, b piece) int { return cmp.Compare(a.start, b.start) })
	read := func(name string) ([]byte, error) {
		r, err := w.c.Blobs.OpenLocal(ctx, in.StorageAccount, in.Container, name)
		if err != nil {
			if ams.CodeOf(err) == ams.NotFound {
				err = jobErrorf(ams.DownloadNotAccessible, "The live archive has no '%s' any more.", name)
			}
			return nil, err
		}
		defer r.Close()
		secret = secret || r.Decrypts()
		return readPiece(r, name)
	}
	head, err := read(header)
	if err != nil {
		return nil, false, err
	}
	// Names count 1e-7 s, or ticks of the track.
	sample, err := read(pieces[0].name)
	if err != nil {
		return nil, false, err
	}
	scale, err := nameScale(slices.Concat(head, sample), pieces[0].start)
	if err != nil {
		return nil, false, jobErrorf(ams.ContentMalformed, "'%s' of the live archive is damaged: %v.", pieces[0].name, err)
	}
	if scale > 0 {
		at := func(i int) time.Duration { return onClock(int64(pieces[i].start), scale) }
		first, last := 0, len(pieces)
		for i := range pieces {
			if at(i) <= clip.Start {
				first = i
			}
			if clip.End > 0 && at(i) > clip.End+sameKey {
				last = min(last, i+1) // up to the key frame behind the clip
			}
		}
		// A fragment may begin within a GOP, and sound lags behind.
		pieces = pieces[max(0, first-1):max(last, first)]
	}
	if len(pieces) == 0 {
		return nil, secret, nil
	}
	f, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if _, err := f.Write(head); err != nil {
		return nil, false, err
	}
	for _, p := range pieces {
		b, err := read(p.name)
		if err != nil {
			return nil, false, err
		}
		if _, err := f.Write(b); err != nil {
			return nil, false, err
		}
	}
	return f, secret, nil
}

func readPiece(r *blob.Reader, name string) ([]byte, error) {
	if r.Size() > maxPiece {
		return nil, jobErrorf(ams.ContentUnsupported, "'%s' of the live archive has %d bytes, which is too much for a fragment.", name, r.Size())
	}
	return io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
}

// nameScale returns in which units the names of fragments count, given the header
// with the first fragment and its name; 0 if they count nothing known.
func nameScale(b []byte, name uint64) (uint32, error) {
	index, err := mp4.BuildIndex(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return 0, err
	}
	if len(index.Tracks) == 0 || index.Tracks[0].NumSamples() == 0 {
		return 0, errors.New("it has no samples")
	}
	t := index.Tracks[0]
	starts := showTime(t, t.Sample(0))
	for _, scale := range []uint32{10_000_000, t.Timescale} {
		if d := onClock(int64(name), scale) - starts; d.Abs() < time.Second {
			return scale, nil
		}
	}
	return 0, nil
}
