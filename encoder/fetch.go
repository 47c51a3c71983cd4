package encoder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/dial"
	"github.com/openams/openams/packager/ism"
)

// SupportedInput returns an Unsupported or Invalid error, which names the
// property, unless this encoder can read all that in asks for. A job with such an
// input is to be refused when it is submitted.
func SupportedInput(in ams.JobInput) error {
	switch in.Kind {
	case ams.InputList, ams.InputSequence:
		sequences := 0
		for _, sub := range in.Inputs {
			if err := SupportedInput(sub); err != nil {
				return err
			}
			if sub.Kind == ams.InputSequence {
				sequences++
			}
		}
		if sequences > 1 {
			return ams.Errorf(ams.Unsupported, "This server encodes one JobInputSequence of a job, not %d.", sequences)
		}
		return nil
	case ams.InputAsset, ams.InputHTTP:
	default:
		return ams.Errorf(ams.Unsupported, "This server cannot encode from an input of type '%s': it names no file.", in.Kind)
	}
	if _, err := parseDefinitions(in.Definitions); err != nil {
		return err
	}
	_, err := parseClip(in)
	return err
}

// leaves lists the inputs with files in in, and whether they play one after
// another: all that are in a sequence.
func leaves(in ams.JobInput) (all []ams.JobInput, sequence bool) {
	switch in.Kind {
	case ams.InputList, ams.InputSequence:
		sequence = in.Kind == ams.InputSequence
		for _, sub := range in.Inputs {
			some, inner := leaves(sub)
			sequence = sequence || inner
			all = append(all, some...)
		}
		return all, sequence
	}
	return []ams.JobInput{in}, false
}

// blank reports whether a property was left out, or empty.
func blank(raw []byte) bool {
	switch string(bytes.TrimSpace(raw)) {
	case "", "null", "[]", "{}":
		return true
	}
	return false
}

// fetch brings the files of a task's inputs to this machine, those that can be
// media or, if the preset has overlays, pictures, and looks into them. done gives
// them back and is never nil.
func (w *Worker) fetch(ctx context.Context, job *ams.Job, task *ams.Task, dir string) (q Request, done func(), err error) {
	var opened closers
	done = func() { opened.close() }
	in := job.Input
	if task.Spec != nil { // of v2
		in = ams.JobInput{Kind: ams.InputList}
		for _, name := range task.Inputs {
			in.Inputs = append(in.Inputs, ams.JobInput{Kind: ams.InputAsset, Asset: name})
		}
	}
	r, err := new(recipe), error(nil)
	if processorOf(task.Preset.Type) == nil {
		r, err = lookup(task.Preset)
	}
	if err == nil {
		err = SupportedInput(in)
	}
	if err != nil {
		return q, done, jobErrorf(ams.ConfigurationUnsupported, "%s", err)
	}
	var all []ams.JobInput
	all, q.Sequence = leaves(in)
	for i, leaf := range all {
		f := Feed{Label: leaf.Label}
		if f.Clip, err = parseClip(leaf); err == nil {
			f.Tracks, err = parseDefinitions(leaf.Definitions)
		}
		if err != nil {
			return q, done, jobErrorf(ams.ConfigurationUnsupported, "%s", err)
		}
		sub := filepath.Join(dir, fmt.Sprint("in", i))
		if err := os.Mkdir(sub, 0o700); err != nil {
			return q, done, err
		}
		if leaf.Kind == ams.InputHTTP {
			err = w.download(ctx, leaf, sub, r, &f)
		} else {
			err = w.open(ctx, job, task, leaf, sub, r, &f, &opened)
		}
		if err != nil {
			return q, done, err
		}
		if f.Clip.UTC && !f.Cut {
			return q, done, jobErrorf(ams.ConfigurationUnsupported, "The clip's times are in UTC, which only live archives have: use AbsoluteClipTime.")
		}
		q.Feeds = append(q.Feeds, f)
	}
	return q, done, nil
}

// wanted reports whether a file of an input is looked into.
func wanted(name string, pictures bool) bool { return MayBeMedia(name) || pictures && isPicture(name) }

// open opens blobs of an input asset where they lie.
func (w *Worker) open(ctx context.Context, job *ams.Job, task *ams.Task, leaf ams.JobInput, dir string, r *recipe, f *Feed, opened *closers) error {
	in, err := w.input(ctx, job, leaf.Asset)
	if err != nil {
		return err
	}
	f.Asset = in.ID
	names, set := leaf.Files, ""
	var more []string // files that the preset may name
	switch {
	case task.Spec != nil:
		if names, set, err = w.choice(ctx, job, task, in); err == nil && r.names() {
			more, err = w.rootFiles(ctx, in, task)
		}
	case len(names) == 0:
		names, err = w.rootFiles(ctx, in, task)
	}
	if err != nil {
		return err
	}
	var group *ism.Manifest
	named := "" // of group
	if set == "" {
		group, named, err = w.manifestOf(ctx, in, names)
	} else {
		named = set
		group, err = w.manifest(ctx, in, set)
	}
	if err != nil {
		return err
	}
	if group != nil && isArchive(group) {
		clip := f.Clip
		if len(r.sources) == 1 && r.sources[0].clip != (Clip{}) {
			clip = r.sources[0].clip
		}
		return w.archive(ctx, in, named, group, clip, dir, f)
	}
	n := 0
	load := func(names []string) (files []Source, err error) {
		for _, name := range names {
			one := Source{Name: name}
			if wanted(name, r.overlays != nil) { // Choose names the others if nothing is left
				if one, err = w.openBlob(ctx, in, name, filepath.Join(dir, fmt.Sprint(n)), opened); err != nil {
					return nil, err
				}
				n++
			}
			one.Set, one.Asset = set, in.ID
			if group != nil && slices.Contains(group.Sources(), name) {
				one.Group = named
			}
			files = append(files, one)
		}
		return files, nil
	}
	files, err := load(names)
	if err != nil {
		return err
	}
	if f.Files, f.Chosen, err = Choose(ctx, w.c.Tools, files); err != nil {
		return err
	}
	more = slices.DeleteFunc(more, func(name string) bool { return slices.Contains(names, name) || !wanted(name, true) })
	if files, err = load(more); err != nil || files == nil {
		return err
	}
	if files, _, err = Choose(ctx, w.c.Tools, files); err == nil {
		f.Files = append(f.Files, files...)
	} else if ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

// names reports whether the preset calls files by their names.
func (r *recipe) names() bool {
	return slices.ContainsFunc(r.overlays, func(o overlay) bool { return o.file != "" }) ||
		slices.ContainsFunc(r.sources, func(s source) bool { return s.file != "" })
}

type closers []io.Closer

func (c *closers) close() {
	for _, o := range *c {
		o.Close()
	}
}

// input finds an input asset.
func (w *Worker) input(ctx context.Context, job *ams.Job, name string) (*ams.Asset, error) {
	in, err := w.asset(ctx, job, name)
	if ams.CodeOf(err) == ams.NotFound {
		err = jobErrorf(ams.DownloadNotAccessible, "The input asset '%s' does not exist any more.", name)
	}
	return in, err
}

// openBlob opens a blob of an input asset where it lies, or a copy of it at path.
func (w *Worker) openBlob(ctx context.Context, in *ams.Asset, name, path string, opened *closers) (f Source, err error) {
	f = Source{Name: name, URI: in.Container + "/" + name}
	r, err := w.c.Blobs.OpenLocal(ctx, in.StorageAccount, in.Container, name)
	switch {
	case ctx.Err() != nil:
		return f, ctx.Err()
	case ams.CodeOf(err) == ams.NotFound:
		return f, jobErrorf(ams.DownloadNotAccessible, "The input asset '%s' has no file '%s'.", in.Name, name)
	case ams.CodeOf(err) == ams.Invalid: // it cannot be decrypted
		return f, jobErrorf(ams.DownloadNotAccessible, "%s", err)
	case err != nil: // the record is there, the bytes are not to be had
		return f, errors.Join(jobErrorf(ams.DownloadTransientError, "The file '%s' of the input asset '%s' could not be read from the storage; the log of the server says why.", name, in.Name), err)
	}
	*opened = append(*opened, r)
	f.Secret = r.Decrypts()
	if p, ok := r.LocalPath(); ok {
		f.Path, f.Blob = p, r.Blob()
		w.reads(p, name)
		return f, nil
	}
	f.Path = path
	w.reads(path, name)
	if err := copyFile(f.Path, io.NewSectionReader(r, 0, r.Size())); err != nil {
		return f, fmt.Errorf("copy %q of the asset %q: %w", name, in.Name, err)
	}
	return f, nil
}

// rootFiles lists the files of an asset: blobs in folders do not belong to it.
// What an earlier attempt of the task left there, if it is its output asset too,
// is not among them.
func (w *Worker) rootFiles(ctx context.Context, in *ams.Asset, task *ams.Task) ([]string, error) {
	var names []string
	for b, err := range w.c.Blobs.All(ctx, in.StorageAccount, in.Container, "") {
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case ams.CodeOf(err) == ams.NotFound:
			return nil, jobErrorf(ams.DownloadNotAccessible, "The container of the input asset '%s' is gone.", in.Name)
		case err != nil:
			return nil, fmt.Errorf("list the asset %q: %w", in.Name, err)
		}
		if ams.ValidateFileName(b.Name) != nil || b.Metadata[account.MadeByTask] == task.ID {
			continue
		}
		if names = append(names, b.Name); len(names) > maxFiles {
			return nil, jobErrorf(ams.ConfigurationUnsupported, "The input asset '%s' has more than %d files: name the one to encode in the job's input.", in.Name, maxFiles)
		}
	}
	return names, nil
}

// maxFiles is how many files of an asset a task looks at if its job names none.
const maxFiles = 1000

func copyFile(path string, from io.Reader) error {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}

// download fetches the URLs of a JobInputHttp.
func (w *Worker) download(ctx context.Context, in ams.JobInput, dir string, r *recipe, feed *Feed) (err error) {
	var files []Source
	for i := range in.Files {
		raw := account.HTTPInput(in, i)
		u, err := url.Parse(raw)
		if err != nil {
			return jobErrorf(ams.ConfigurationUnsupported, "The input URL number %d is malformed.", i+1)
		}
		name := path.Base(u.Path)
		if name == "." || name == "/" {
			name = u.Hostname()
		}
		// Signatures are in the query: it goes into no message and no file.
		plain := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
		f := Source{Name: name, URI: plain}
		if wanted(name, r.overlays != nil) {
			f.Path = filepath.Join(dir, fmt.Sprint(i))
			w.reads(f.Path, name)
			if err := w.downloadOne(ctx, raw, plain, f.Path); err != nil {
				return err
			}
		}
		files = append(files, f)
	}
	feed.Files, feed.Chosen, err = Choose(ctx, w.c.Tools, files)
	return err
}

func (w *Worker) downloadOne(ctx context.Context, raw, plain, file string) error {
	to, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = w.c.Inputs.Download(ctx, raw, to)
	if cerr := to.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		return nil
	}
	status, isStatus := errors.AsType[*dial.StatusError](err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case isStatus && status.Code < 500 && status.Code != 408 && status.Code != 429:
		return jobErrorf(ams.DownloadNotAccessible, "%s answered with status %d.", plain, status.Code)
	case isStatus:
		return jobErrorf(ams.DownloadTransientError, "%s answered with status %d.", plain, status.Code)
	case errors.Is(err, dial.ErrRefused), errors.Is(err, dial.ErrTooLarge):
		return jobErrorf(ams.DownloadNotAccessible, "%s was not downloaded: %s.", plain, strings.ReplaceAll(err.Error(), raw, plain))
	}
	return jobErrorf(ams.DownloadTransientError, "%s could not be downloaded: %s.", plain, strings.ReplaceAll(err.Error(), raw, plain))
}
