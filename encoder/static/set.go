package static

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
)

// A Set is media files that play together.
type Set struct {
	name     string // that files made of it begin with
	manifest *ism.Manifest
	order    []string
	files    map[string]*os.File
	indexes  map[string]*mp4.Index
}

// OpenSet reads the indexes of files: names of media files and where they are
// now. manifest says how they play together; nil: as far as they can. name is
// that of the server manifest. The error has an *ams.JobError in its chain if a
// file cannot be read as MP4. The set is to be closed.
func OpenSet(name string, manifest *ism.Manifest, files map[string]string) (*Set, error) {
	s := &Set{
		name: strings.TrimSuffix(name, path.Ext(name)), manifest: manifest,
		files: map[string]*os.File{}, indexes: map[string]*mp4.Index{},
	}
	for name, at := range files {
		if err := s.open(name, at); err != nil {
			s.Close()
			return nil, err
		}
	}
	slices.Sort(s.order)
	if s.manifest == nil {
		s.manifest = packager.Describe(s.order, s.indexes)
	}
	return s, nil
}

func (s *Set) open(name, at string) error {
	f, err := os.Open(at)
	if err != nil {
		return err
	}
	s.files[name] = f
	s.order = append(s.order, name)
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if s.indexes[name], err = mp4.BuildIndex(f, info.Size()); err == nil {
		return nil
	}
	fault, ok := errors.AsType[*mp4.Error](err)
	switch {
	case !ok:
		return err
	case fault.Fault == mp4.NotMP4 || fault.Fault == mp4.Unsupported:
		return jobErrorf(ams.ContentUnsupported, "%q is no MP4 or Smooth Streaming file that can be packaged: %s.", name, fault.Msg)
	}
	return jobErrorf(ams.ContentMalformed, "%q is damaged: %s.", name, fault.Msg)
}

// Close closes the files.
func (s *Set) Close() {
	for _, f := range s.files {
		f.Close()
	}
}

// reader finds a file for packager.Segment.
func (s *Set) reader(name string) (io.ReaderAt, error) {
	f := s.files[name]
	if f == nil {
		return nil, fmt.Errorf("no file %q", name)
	}
	return f, nil
}

// misaligned is what AMS said of files that do not play together (recorded).
const misaligned = "A fragment is too long, possibly because a subset of the input tracks is not aligned"

// presentation says how the set plays, in fragments of about that length; 0 for
// that of streams.
func (s *Set) presentation(fragment time.Duration) (*packager.Presentation, error) {
	p, err := packager.NewOf(s.manifest, s.indexes, fragment)
	return p, refusal(err)
}

// refusal makes a job's error of the packager's.
func refusal(err error) error {
	e, ok := errors.AsType[*packager.Error](err)
	if !ok {
		return err
	}
	msg := strings.TrimSuffix(e.Msg, ".")
	switch e.Code {
	case packager.KeyFrameIntervalTooLarge:
		return jobErrorf(ams.ContentUnsupported, "%s: %s.", misaligned, msg)
	case packager.InvalidNALUSize:
		return jobErrorf(ams.ContentMalformed, "%s.", msg)
	case packager.StorageResourceNotFound:
		return jobErrorf(ams.DownloadNotAccessible, "%s.", msg)
	}
	return jobErrorf(ams.ContentUnsupported, "%s.", msg)
}

func jobErrorf(code ams.JobErrorCode, format string, args ...any) *ams.JobError {
	return &ams.JobError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// A names gives every file a name of its own.
type names map[string]bool

func (n names) take(base, ext string) string {
	name := base + ext
	for i := 2; n[strings.ToLower(name)]; i++ {
		name = fmt.Sprintf("%s_%d%s", base, i, ext)
	}
	n[strings.ToLower(name)] = true
	return name
}

// bare is the name of a file without folder and extension.
func bare(name string) string {
	name = path.Base(name)
	return cmp.Or(strings.TrimSuffix(name, path.Ext(name)), name)
}

// create writes a file in dir.
func create(dir, name string, write func(io.Writer) error) (err error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b := bufio.NewWriterSize(f, 256<<10)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}

func createText(dir, name string, text []byte) error {
	return create(dir, name, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// A meter counts segments as they are written.
type meter struct {
	ctx         context.Context
	done, total int
	report      func(float64)
}

// step ends with the context, and reports.
func (m *meter) step() error {
	m.done++
	m.report(float64(m.done) / float64(max(m.done, m.total)))
	return m.ctx.Err()
}
