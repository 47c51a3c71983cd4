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
	"strings"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/dial"
)

// SupportedInput returns an Unsupported error, which names the property, unless
// this encoder can read all that in asks for. A job with such an input is to be
// refused when it is submitted.
func SupportedInput(in ams.JobInput) error {
	switch {
	case in.Kind != ams.InputAsset && in.Kind != ams.InputHTTP:
		return ams.Errorf(ams.Unsupported, "This server cannot encode from an input of type '%s' yet.", in.Kind)
	case !blank(in.Definitions):
		return ams.Errorf(ams.Unsupported, "This server cannot select tracks of an input (inputDefinitions) yet.")
	}
	_, err := parseClip(in)
	return err
}

// blank reports whether a property was left out, or empty.
func blank(raw []byte) bool {
	switch string(bytes.TrimSpace(raw)) {
	case "", "null", "[]", "{}":
		return true
	}
	return false
}

// fetch brings the files of a job's input to this machine, those that can be
// media. done gives them back and is never nil.
func (w *Worker) fetch(ctx context.Context, job *ams.Job, task *ams.Task, dir string) (files []Source, done func(), err error) {
	if task.Spec != nil {
		return w.openInputs(ctx, job, task, dir)
	}
	if err := SupportedInput(job.Input); err != nil {
		return nil, func() {}, jobErrorf(ams.ConfigurationUnsupported, "%s", err)
	}
	if job.Input.Kind == ams.InputHTTP {
		files, err = w.download(ctx, job.Input, dir)
		return files, func() {}, err
	}
	return w.open(ctx, job, task, dir)
}

// open opens blobs of the input asset where they lie.
func (w *Worker) open(ctx context.Context, job *ams.Job, task *ams.Task, dir string) (files []Source, done func(), err error) {
	var opened closers
	in, err := w.input(ctx, job, job.Input.Asset)
	if err != nil {
		return nil, opened.close, err
	}
	names := job.Input.Files
	if len(names) == 0 {
		if names, err = w.rootFiles(ctx, in, task); err != nil {
			return nil, opened.close, err
		}
	}
	for i, name := range names {
		f := Source{Name: name}
		if MayBeMedia(name) { // Choose passes over others too, but names them if nothing is left
			if f, err = w.openBlob(ctx, in, name, filepath.Join(dir, fmt.Sprintf("in-%d", i)), &opened); err != nil {
				return nil, opened.close, err
			}
		}
		files = append(files, f)
	}
	return files, opened.close, nil
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
	case err != nil:
		return f, fmt.Errorf("open %q of the asset %q: %w", name, in.Name, err)
	}
	*opened = append(*opened, r)
	if p, ok := r.LocalPath(); ok {
		f.Path = p
		return f, nil
	}
	f.Path = path
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
		if ams.ValidateFileName(b.Name) != nil || b.Metadata[metaTask] == task.ID {
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
func (w *Worker) download(ctx context.Context, in ams.JobInput, dir string) ([]Source, error) {
	var files []Source
	for i := range in.Files {
		raw := account.HTTPInput(in, i)
		u, err := url.Parse(raw)
		if err != nil {
			return nil, jobErrorf(ams.ConfigurationUnsupported, "The input URL number %d is malformed.", i+1)
		}
		name := path.Base(u.Path)
		if name == "." || name == "/" {
			name = u.Hostname()
		}
		// Signatures are in the query: it goes into no message and no file.
		plain := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
		f := Source{Name: name, URI: plain}
		if MayBeMedia(name) {
			f.Path = filepath.Join(dir, fmt.Sprintf("in-%d", i))
			if err := w.downloadOne(ctx, raw, plain, f.Path); err != nil {
				return nil, err
			}
		}
		files = append(files, f)
	}
	return files, nil
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
