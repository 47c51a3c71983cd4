package encoder

import (
	"context"
	"encoding/json"
	"path"
	"path/filepath"
	"strings"

	"github.com/openams/openams/ams"
)

// A processor does the tasks of a type of preset that is no encode: no Plan is
// made for it, or one that only it can make.
type processor struct {
	check func(ams.Preset) ([]need, error) // the error is Invalid or Unsupported; nil: there is nothing to check
	run   func(ctx context.Context, w *Worker, e *errand) (making, error)
	v3    bool // a type of preset that v3 clients write
}

// An errand is a task as a processor does it. dir is a folder of its own, which
// exists; out is where outputs are to lie, and is made.
type errand struct {
	job      *ams.Job
	task     *ams.Task
	dir, out string
	progress func(percent float64)
}

// A making is what a processor made: files in the order in which they are stored,
// and the name of the primary one, empty if that goes without saying.
type making struct {
	files   []OutputFile
	primary string
}

// processorOf returns the processor of a type of presets, nil if that is encoded.
func processorOf(kind string) *processor {
	switch kind {
	case decryption:
		return &processor{run: runDecryption}
	case packaging:
		return &processor{check: needless(checkPackaging), run: runPackaging}
	case encryption:
		return &processor{check: needless(checkEncryption), run: runEncryption}
	case stabilizing:
		return &processor{check: needless(checkStabilizer), run: runStabilizer}
	case hyperlapsing:
		return &processor{check: needless(checkHyperlapse), run: runHyperlapse}
	case digesting:
		return &processor{check: needless(checkDigest), run: runDigest}
	case indexing:
		return &processor{check: checkIndexer, run: runIndexer}
	case indexing2:
		return &processor{check: checkIndexer2, run: runIndexer2}
	case faceDetecting:
		return &processor{check: checkFaces, run: runFaces}
	case motionDetecting:
		return &processor{check: checkMotion, run: runMotion}
	case textDetecting:
		return &processor{check: checkText, run: runText}
	case moderating:
		return &processor{check: checkModeration, run: runModeration}
	case redacting:
		return &processor{check: checkRedactor, run: runRedactor}
	case audioAnalyzer, videoAnalyzer:
		return &processor{check: checkAudition, run: runAudition, v3: true}
	case faceDetector:
		return &processor{check: checkFaceDetector, run: runFaceDetector, v3: true}
	}
	return nil
}

// needless is the check of a configuration that needs no command.
func needless(check func(configuration string) error) func(ams.Preset) ([]need, error) {
	return func(p ams.Preset) ([]need, error) { return nil, check(configuration(p)) }
}

// writtenOut is the preset of a v2 processor with a configuration as the client
// wrote it.
func writtenOut(kind, configuration string) (ams.Preset, error) {
	body, err := json.Marshal(map[string]string{"configuration": configuration})
	return ams.Preset{Type: kind, Body: body}, err
}

// configuration is the text of such a preset.
func configuration(p ams.Preset) string {
	var body struct {
		Configuration string `json:"configuration"`
	}
	if json.Unmarshal(p.Body, &body) != nil {
		return "" // none of ours
	}
	return body.Configuration
}

// presetName is what the log calls a preset: its body, but of processors that do
// not encode the type alone, as task definitions have keys in them.
func presetName(p ams.Preset) string {
	if processorOf(p.Type) != nil {
		return p.Type
	}
	return string(p.Body)
}

// outputs lists files in a folder as outputs.
func outputs(dir string, names []string) []OutputFile {
	var files []OutputFile
	for _, n := range names {
		files = append(files, OutputFile{Name: n, Path: filepath.Join(dir, n), ContentType: contentTypes[strings.ToLower(path.Ext(n))]})
	}
	return files
}

var contentTypes = map[string]string{
	".mp4": "video/mp4", ".ismv": "video/mp4", ".isma": "audio/mp4", ".ism": "application/smil+xml", ".ismc": "application/xml",
	".m3u8": "application/vnd.apple.mpegurl", ".ts": "video/mp2t", ".mpi": "application/octet-stream", ".key": "application/octet-stream",
	".json": "application/json", ".xml": "application/xml", ".vtt": "text/vtt", ".ttml": "application/ttml+xml", ".smi": "application/smil",
	".txt": "text/plain", ".log": "text/plain", ".jpg": "image/jpeg", ".png": "image/png",
}
