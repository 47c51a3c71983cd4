package encoder

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/encoder/static"
	"github.com/openams/openams/packager/ism"
)

// The types of the presets of the v2 processors that package and encrypt.
const (
	packaging  = "MediaPackager"
	encryption = "MediaEncryptor"
)

func checkPackaging(configuration string) error {
	_, err := static.ParsePackaging(configuration)
	return err
}

func checkEncryption(configuration string) error {
	_, err := static.ParseEncryption(configuration)
	return err
}

func runPackaging(ctx context.Context, w *Worker, e *errand) (making, error) {
	t, err := static.ParsePackaging(configuration(e.task.Preset))
	return w.packageSet(ctx, e, t, err)
}

func runEncryption(ctx context.Context, w *Worker, e *errand) (making, error) {
	t, err := static.ParseEncryption(configuration(e.task.Preset))
	return w.packageSet(ctx, e, t, err)
}

// packageSet does a task of package static; err is why there is none.
func (w *Worker) packageSet(ctx context.Context, e *errand, t static.Task, err error) (making, error) {
	if err != nil {
		return making{}, jobErrorf(ams.ConfigurationUnsupported, "%s", err)
	}
	s, done, err := w.openSet(ctx, e)
	defer done()
	if err != nil {
		return making{}, err
	}
	defer s.Close()
	if err := os.Mkdir(e.out, 0o700); err != nil {
		return making{}, err
	}
	names, err := t.Run(ctx, s, e.out, func(part float64) { e.progress(99 * part) })
	if ctx.Err() != nil {
		return making{}, ctx.Err()
	}
	if err != nil {
		return making{}, serviceError(err)
	}
	return making{outputs(e.out, names), names[len(names)-1]}, nil // the manifest, or the multivariant playlist
}

// openSet opens the media files of a task's input asset: those that its server
// manifest names, else all. done is never nil.
func (w *Worker) openSet(ctx context.Context, e *errand) (s *static.Set, done func(), err error) {
	var opened closers
	done = func() { opened.close() }
	in, err := w.input(ctx, e.job, e.task.Inputs[0])
	if err != nil {
		return nil, done, err
	}
	names, set, err := w.choice(ctx, e.job, e.task, in)
	if err != nil {
		return nil, done, err
	}
	if set == "" {
		if names, err = w.rootFiles(ctx, in, e.task); err != nil {
			return nil, done, err
		}
		if i := slices.IndexFunc(names, isManifest); i >= 0 && !slices.ContainsFunc(names[i+1:], isManifest) {
			set = names[i]
		}
	}
	var manifest *ism.Manifest
	title := set
	if set != "" {
		if manifest, err = w.manifest(ctx, in, set); err != nil {
			return nil, done, err
		}
		if isArchive(manifest) {
			return nil, done, jobErrorf(ams.ContentUnsupported, "%q is a live archive, which is streamed as it is: the packager takes sets of files.", set)
		}
		names = manifest.Sources()
	} else {
		names = slices.DeleteFunc(names, func(n string) bool { return !MayBeMedia(n) })
		if len(names) == 0 {
			return nil, done, jobErrorf(ams.ContentUnsupported, "The input asset '%s' has no media file.", in.Label)
		}
		title = names[0]
	}
	files := map[string]string{}
	for i, n := range names {
		f, err := w.openBlob(ctx, in, n, filepath.Join(e.dir, fmt.Sprint("in", i)), &opened)
		if err != nil {
			return nil, done, err
		}
		files[n] = f.Path
	}
	s, err = static.OpenSet(title, manifest, files)
	return s, done, err
}

func isManifest(name string) bool { return strings.EqualFold(path.Ext(name), ".ism") }
