package encoder

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
)

// decryption is the type of the preset of the v2 processor Storage Decryption.
// It encodes nothing: its output is the files of its input in the clear, under
// their names.
const decryption = "StorageDecryption"

func runDecryption(ctx context.Context, w *Worker, e *errand) (making, error) {
	files, primary, err := w.decrypt(ctx, e.job, e.task, e.out, e.progress)
	return making{files, primary}, err
}

// decrypt copies the files of a task's input assets in the clear. primary is the
// name of the primary file; empty: unknown.
func (w *Worker) decrypt(ctx context.Context, job *ams.Job, task *ams.Task, dir string, progress func(float64)) (files []OutputFile, primary string, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, "", err
	}
	a, err := w.c.Assets.ByID(ctx, job.Account)
	if err != nil {
		return nil, "", err
	}
	taken := map[string]bool{}
	for i, input := range task.Inputs {
		in, err := w.input(ctx, job, input)
		if err != nil {
			return nil, "", err
		}
		names, err := w.rootFiles(ctx, in, task)
		if err != nil {
			return nil, "", err
		}
		recorded, err := a.AssetFiles(ctx, in)
		if err != nil {
			return nil, "", err
		}
		for _, f := range recorded {
			if !slices.Contains(names, f.Name) {
				return nil, "", missingFile(in, f.Name)
			}
		}
		if p := account.PrimaryFile(recorded); p != nil && i == 0 {
			primary = p.Name
		}
		for n, name := range names {
			if taken[name] {
				return nil, "", jobErrorf(ams.ConfigurationUnsupported, "Two of the input assets have a file '%s'.", name)
			}
			taken[name] = true
			f, err := w.decryptFile(ctx, in, name, filepath.Join(dir, fmt.Sprint(len(files))))
			if err != nil {
				return nil, "", err
			}
			files = append(files, f)
			progress(99 * (float64(i) + float64(n+1)/float64(len(names))) / float64(len(task.Inputs)))
		}
	}
	// A server manifest makes an asset playable: it comes last.
	slices.SortStableFunc(files, func(a, b OutputFile) int { return last(a) - last(b) })
	return files, primary, nil
}

func last(f OutputFile) int {
	if strings.EqualFold(path.Ext(f.Name), ".ism") {
		return 1
	}
	return 0
}

func (w *Worker) decryptFile(ctx context.Context, in *ams.Asset, name, to string) (OutputFile, error) {
	r, err := w.c.Blobs.OpenLocal(ctx, in.StorageAccount, in.Container, name)
	switch {
	case ctx.Err() != nil:
		return OutputFile{}, ctx.Err()
	case ams.CodeOf(err) == ams.NotFound:
		return OutputFile{}, missingFile(in, name)
	case ams.CodeOf(err) == ams.Invalid:
		return OutputFile{}, jobErrorf(ams.DownloadNotAccessible, "%s", err)
	case err != nil:
		return OutputFile{}, fmt.Errorf("open %q of the asset %q: %w", name, in.Name, err)
	}
	defer r.Close()
	if err := copyFile(to, &stopping{ctx, io.NewSectionReader(r, 0, r.Size())}); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return OutputFile{}, fmt.Errorf("copy %q of the asset %q: %w", name, in.Name, err)
	}
	return OutputFile{Name: name, Path: to, ContentType: r.Blob().Headers.ContentType}, nil
}

// A stopping reader ends with a context.
type stopping struct {
	ctx context.Context
	io.Reader
}

func (s *stopping) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.Reader.Read(p)
}

func missingFile(in *ams.Asset, name string) error {
	return jobErrorf(ams.DownloadNotAccessible, "The AssetFile '%s' of the input asset '%s' (nb:cid:UUID:%s) has no blob: the file was not uploaded.", name, in.Label, in.ID)
}

// makePrimary makes the file with a name the primary one of an asset.
func (w *Worker) makePrimary(ctx context.Context, out *ams.Asset, name string) error {
	a, err := w.c.Assets.ByID(ctx, out.Account)
	if err != nil || name == "" {
		return err
	}
	files, err := a.AssetFiles(ctx, out)
	if err != nil || account.PrimaryFile(files) != nil {
		return err
	}
	for _, f := range files {
		if f.Name == name {
			_, err = a.UpdateFile(ctx, f.ID, func(f *ams.AssetFile) { f.Primary = true })
		}
	}
	return err
}
