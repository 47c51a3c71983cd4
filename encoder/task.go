package encoder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/packager/ism"
)

// TaskPreset returns the preset that a v2 task of a processor stands for, with
// its configuration and so many input and output assets. The error names what
// this encoder cannot do; a job with such a task is to be refused when it is
// submitted.
func TaskPreset(processor, configuration string, inputs, outputs int) (ams.Preset, error) {
	p, err := ParseConfiguration(processor, configuration)
	if err == nil && outputs != 1 {
		err = ams.Errorf(ams.Unsupported, "The processor '%s' makes one output asset, not %d.", processor, outputs)
	}
	return p, err
}

// openInputs brings the files of a v2 task's input assets to this machine, those
// that it may encode.
//
// An asset begins with its primary file: a media file is taken alone, a server
// manifest stands for the files that it names. An asset without AssetFiles, as
// v3 makes them, is taken as a whole.
func (w *Worker) openInputs(ctx context.Context, job *ams.Job, task *ams.Task, dir string) (files []Source, done func(), err error) {
	var opened closers
	for _, name := range task.Inputs {
		in, err := w.input(ctx, job, name)
		if err != nil {
			return nil, opened.close, err
		}
		names, set, err := w.choice(ctx, job, task, in)
		if err != nil {
			return nil, opened.close, err
		}
		for _, name := range names {
			f := Source{Name: name}
			if MayBeMedia(name) {
				if f, err = w.openBlob(ctx, in, name, filepath.Join(dir, fmt.Sprintf("in-%d", len(files))), &opened); err != nil {
					return nil, opened.close, err
				}
			}
			f.Set = set
			files = append(files, f)
		}
	}
	return files, opened.close, nil
}

// choice lists the files of an input asset that may be encoded, and the server
// manifest that names them, if one does.
func (w *Worker) choice(ctx context.Context, job *ams.Job, task *ams.Task, in *ams.Asset) (names []string, set string, err error) {
	a, err := w.c.Assets.ByID(ctx, job.Account)
	if err != nil {
		return nil, "", err
	}
	files, err := a.AssetFiles(ctx, in)
	if err != nil {
		return nil, "", err
	}
	if names, err = w.rootFiles(ctx, in, task); err != nil || len(files) == 0 {
		return names, "", err
	}
	for _, f := range files {
		if !slices.Contains(names, f.Name) {
			return nil, "", jobErrorf(ams.DownloadNotAccessible,
				"The AssetFile '%s' of the input asset '%s' (nb:cid:UUID:%s) has no blob: the file was not uploaded.", f.Name, in.Label, in.ID)
		}
	}
	primary := account.PrimaryFile(files)
	if primary == nil {
		return nil, "", jobErrorf(ams.DownloadNotAccessible, "The primary file of the input asset '%s' (nb:cid:UUID:%s) cannot be determined.", in.Label, in.ID)
	}
	if !strings.EqualFold(path.Ext(primary.Name), ".ism") {
		return []string{primary.Name}, "", nil
	}
	m, err := w.manifest(ctx, in, primary.Name)
	if err != nil {
		return nil, "", err
	}
	for _, src := range m.Sources() {
		if !slices.Contains(names, src) {
			return nil, "", jobErrorf(ams.DownloadNotAccessible, "'%s' names the file '%s', which the input asset '%s' does not have.", primary.Name, src, in.Label)
		}
	}
	return m.Sources(), primary.Name, nil
}

// manifest reads a server manifest.
func (w *Worker) manifest(ctx context.Context, in *ams.Asset, name string) (*ism.Manifest, error) {
	r, err := w.c.Blobs.OpenLocal(ctx, in.StorageAccount, in.Container, name)
	if err != nil {
		return nil, fmt.Errorf("open %q of the asset %q: %w", name, in.Name, err)
	}
	defer r.Close()
	if r.Size() > maxManifest {
		return nil, jobErrorf(ams.ContentMalformed, "%q is no server manifest: it has %d bytes.", name, r.Size())
	}
	b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err != nil {
		return nil, fmt.Errorf("read %q of the asset %q: %w", name, in.Name, err)
	}
	m, err := ism.Parse(b)
	if err != nil {
		return nil, jobErrorf(ams.ContentMalformed, "%q is no server manifest: %v.", name, err)
	}
	return m, nil
}

const maxManifest = 1 << 20

// withSound is src, or, if it is of an MP4 set whose sound is in another file, a
// file with both.
func (w *Worker) withSound(ctx context.Context, src Source, others []Source, dir string) (Source, error) {
	if src.Set == "" || pickAudio(src.Info) != nil {
		return src, nil
	}
	i := slices.IndexFunc(others, func(o Source) bool { return o.Set == src.Set && pickAudio(o.Info) != nil })
	if i < 0 {
		return src, nil
	}
	joined := src
	joined.Path = filepath.Join(dir, "joined.mp4")
	args := slices.Concat(ffmpeg.Input(src.Path), ffmpeg.Input(others[i].Path), []string{"-map", "0:v:0", "-map", "1:a:0", "-c", "copy", "-y", joined.Path})
	err := w.c.Tools.Run(ctx, args, nil)
	if err == nil {
		joined.Info, err = probe(ctx, w.c.Tools, &joined)
	}
	if ctx.Err() != nil {
		return src, ctx.Err()
	}
	if err != nil {
		return src, errors.Join(jobErrorf(ams.ContentMalformed, "%q and %q cannot be read together.", src.Name, others[i].Name), err)
	}
	return joined, nil
}
