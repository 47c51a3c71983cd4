package encoder

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager/ism"
)

// TaskPreset is Commands.TaskPreset of a server without commands.
func TaskPreset(processor, configuration string, inputs, outputs int) (ams.Preset, error) {
	return new(Commands).TaskPreset(processor, configuration, inputs, outputs)
}

func newTaskPreset(processor, configuration string, inputs, outputs int) (ams.Preset, error) {
	p, err := taskPreset(processor, configuration)
	switch {
	case err != nil:
	case outputs != 1:
		err = ams.Errorf(ams.Unsupported, "The processor '%s' makes one output asset, not %d.", processor, outputs)
	case inputs != 1 && oneInput[processor]:
		err = ams.Errorf(ams.Unsupported, "The processor '%s' takes one input asset, not %d.", processor, inputs)
	}
	return p, err
}

// oneInput are the processors that take one asset.
var oneInput = map[string]bool{ams.MediaPackager: true, ams.MediaEncryptor: true, ams.Hyperlapse: true, ams.Stabilizer: true, ams.VideoThumbnails: true,
	ams.FaceDetector: true, ams.Redactor: true, ams.MotionDetector: true, ams.OCR: true, ams.ContentModerator: true}

// others are the processors that do not encode, and the type of their presets.
var others = map[string]string{
	ams.StorageDecryption: decryption, ams.MediaPackager: packaging, ams.MediaEncryptor: encryption,
	ams.Hyperlapse: hyperlapsing, ams.Stabilizer: stabilizing, ams.VideoThumbnails: digesting,
	ams.MediaIndexer: indexing, ams.MediaIndexer2: indexing2,
	ams.FaceDetector: faceDetecting, ams.Redactor: redacting, ams.MotionDetector: motionDetecting, ams.OCR: textDetecting, ams.ContentModerator: moderating,
}

// plain are the types of presets that have something by default for everything.
var plain = map[string]bool{stabilizing: true, faceDetecting: true, moderating: true}

func taskPreset(processor, text string) (ams.Preset, error) {
	kind := others[processor]
	if kind == "" {
		return ParseConfiguration(processor, text)
	}
	check := processorOf(kind).check
	if check == nil {
		return ams.Preset{Type: kind, Body: []byte("{}")}, nil
	}
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if text == "" && plain[kind] {
		text = "{}"
	}
	if text == "" {
		return ams.Preset{}, ams.Errorf(ams.Invalid, "The task has no configuration, which the processor '%s' needs.", processor)
	}
	p, err := writtenOut(kind, text)
	if err == nil {
		_, err = check(p)
	}
	return p, err
}

// choice lists the files of an input asset of a v2 task that may be encoded, and
// the server manifest that names them, if one does.
//
// An asset begins with its primary file: a media file is taken alone, a server
// manifest stands for the files that it names. An asset without AssetFiles, as
// v3 makes them, is taken as a whole.
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
			return nil, "", missingFile(in, f.Name)
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
	if isArchive(m) {
		return []string{primary.Name}, primary.Name, nil
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
