package encoder

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/encoder/analysis"
	"github.com/openams/openams/ffmpeg"
)

// The types of the presets of v2 processors that hear what is said.
const (
	indexing  = "MediaIndexer"
	indexing2 = "MediaIndexer2"
)

// An index is a configuration of one of them.
type index struct {
	language string   // BCP 47; "": as the program finds
	formats  []string // ttml, sami, webvtt
	keywords bool
}

// languages are the names of languages in configurations of the Indexer
// (documented).
var languages = map[string]string{
	"english": "en-US", "spanish": "es-ES", "chinese": "zh-CN", "french": "fr-FR", "german": "de-DE", "italian": "it-IT",
	"portuguese": "pt-BR", "arabic": "ar-EG", "japanese": "ja-JP", "korean": "ko-KR", "russian": "ru-RU",
}

// parseIndexer reads a configuration of Azure Media Indexer.
func parseIndexer(text string) (*index, error) {
	var doc struct {
		XMLName  xml.Name `xml:"configuration"`
		Features []struct {
			Name     string `xml:"name,attr"`
			Settings []struct {
				Key   string `xml:"key,attr"`
				Value string `xml:"value,attr"`
			} `xml:"settings>add"`
		} `xml:"features>feature"`
	}
	root, err := parseNode(text) // which bounds it
	if err != nil {
		return nil, err
	}
	if root.name != "configuration" {
		return nil, ams.Errorf(ams.Invalid, "The configuration is no XML document 'configuration'.")
	}
	d := xml.NewDecoder(strings.NewReader(text))
	d.CharsetReader = sameBytes
	if err := d.Decode(&doc); err != nil {
		return nil, ams.Errorf(ams.Invalid, "The configuration cannot be read: %v", err)
	}
	x := &index{formats: []string{"ttml", "webvtt", "sami"}, keywords: true}
	for _, f := range doc.Features {
		if f.Name != "ASR" {
			return nil, ams.Errorf(ams.Unsupported, "The configuration has a feature '%s': there is 'ASR' only.", f.Name)
		}
		for _, s := range f.Settings {
			switch value := strings.TrimSpace(s.Value); s.Key {
			case "Language":
				if x.language = languages[strings.ToLower(value)]; x.language == "" {
					return nil, ams.Errorf(ams.Unsupported, "The configuration has the Language '%s', which is none of the Indexer.", value)
				}
			case "CaptionFormats":
				if x.formats, err = captionFormats(strings.Split(value, ";")); err != nil {
					return nil, err
				}
			case "GenerateKeywords":
				x.keywords = strings.EqualFold(value, "true")
			case "GenerateAIB":
				if strings.EqualFold(value, "true") {
					return nil, ams.Errorf(ams.Unsupported, "The configuration has GenerateAIB true: AIB files, for an add-on of SQL Server, are not made here.")
				}
			case "ForceFullCaption": // there are no gaps
			default:
				return nil, ams.Errorf(ams.Invalid, "The configuration has a setting '%s', which is none of the Indexer.", s.Key)
			}
		}
	}
	return x, nil
}

// captionFormats checks names of formats, of which blank ones are none.
func captionFormats(names []string) (all []string, err error) {
	for _, n := range names {
		switch n = strings.ToLower(strings.TrimSpace(n)); n {
		case "":
		case "ttml", "sami", "webvtt":
			if !slices.Contains(all, n) {
				all = append(all, n)
			}
		default:
			return nil, ams.Errorf(ams.Unsupported, "The configuration has the caption format '%s': there are ttml, sami and webvtt.", n)
		}
	}
	return all, nil
}

// parseIndexer2 reads a configuration of Azure Media Indexer 2 Preview.
func parseIndexer2(text string) (*index, error) {
	root, err := parseNode(text)
	if err != nil {
		return nil, err
	}
	var rd reader
	root.skip("Version")
	x := &index{formats: []string{"ttml", "webvtt"}}
	for _, f := range root.get("Features").items("Feature") {
		if kind := rd.str(f, "Type"); !strings.EqualFold(kind, "SpReco") {
			return nil, fieldError(ams.Unsupported, f.at, "the feature '%s' is not SpReco", kind)
		}
		o := f.get("Options")
		o.skip("Type")
		if l := rd.str(o, "Language"); len(l) == 4 { // EnUs
			x.language = strings.ToLower(l[:2]) + "-" + strings.ToUpper(l[2:])
		} else if l != "" {
			return nil, fieldError(ams.Invalid, f.at, "the language '%s' has not four letters, as EnUs", l)
		}
		if formats := o.get("Formats"); formats != nil {
			var names []string
			for _, n := range formats.items("Format") {
				names = append(names, n.text)
			}
			if x.formats, err = captionFormats(names); err != nil {
				return nil, err
			}
		}
	}
	if rd.err != nil {
		return nil, rd.err
	}
	return x, root.unread()
}

func checkIndexer(p ams.Preset) ([]need, error) {
	_, err := parseIndexer(configuration(p))
	return []need{speechCommand}, err
}

func checkIndexer2(p ams.Preset) ([]need, error) {
	_, err := parseIndexer2(configuration(p))
	return []need{speechCommand}, err
}

func runIndexer(ctx context.Context, w *Worker, e *errand) (making, error) {
	x, err := parseIndexer(configuration(e.task.Preset))
	if err != nil {
		return making{}, jobErrorf(ams.ConfigurationUnsupported, "%s", err)
	}
	return w.index(ctx, e, x, "", true)
}

func runIndexer2(ctx context.Context, w *Worker, e *errand) (making, error) {
	x, err := parseIndexer2(configuration(e.task.Preset))
	if err != nil {
		return making{}, jobErrorf(ams.ConfigurationUnsupported, "%s", err)
	}
	return w.index(ctx, e, x, "_aud_SpReco", false)
}

// maxIndexed is how many files a task of the Indexer takes (documented).
const maxIndexed = 10

// index writes the captions of each input. Of several, one that fails does not
// stop the others: JobResult.txt tells of it.
func (w *Worker) index(ctx context.Context, e *errand, x *index, suffix string, first bool) (making, error) {
	job, task, err := w.listed(ctx, e)
	if err != nil {
		return making{}, err
	}
	q, done, err := w.fetch(ctx, job, task, e.dir)
	defer done()
	if err != nil {
		return making{}, err
	}
	if len(q.Feeds) > maxIndexed {
		return making{}, tooMany(len(q.Feeds))
	}
	if err := os.Mkdir(e.out, 0o700); err != nil {
		return making{}, err
	}
	o := scribe{dir: e.out}
	taken := namer{}
	result := "InputFile\tAlias\tMediaLength\tError\r\n"
	var failed error
	good := 0
	for i := range q.Feeds {
		f := &q.Feeds[i]
		src := &f.Files[f.Chosen]
		alias := taken.take(basename(src.name(), maxName), "")
		t, err := w.hear(ctx, e, f.heard(), f.Clip, x.language, func(part float64) { e.progress(99 * (float64(i) + part) / float64(len(q.Feeds))) })
		if ctx.Err() != nil {
			return making{}, ctx.Err()
		}
		code := 0
		if fail, ok := errors.AsType[*ams.JobError](err); ok {
			if code = 3000; fail.Code.Category() != "Content" && fail.Code != ams.ConfigurationUnsupported {
				return making{}, err
			}
			failed = err
		} else if err != nil {
			return making{}, err
		} else {
			good++
			if err := o.captions(t, x.formats, alias+suffix, alias); err != nil {
				return making{}, err
			}
			if x.keywords {
				o.write(alias+".kw.xml", t.KeywordsXML())
			}
			if first {
				o.write(alias+".info", fmt.Appendf(nil, "InputFile: %s\r\nLanguage: %s\r\nMediaLength: %s\r\nRecognizability: %.4f\r\nPhrases: %d\r\n",
					src.Name, t.Language, clock(src.Info.Duration), t.Recognizability(), len(t.Phrases)))
			}
		}
		result += fmt.Sprintf("%s\t%s\t%s\t%d\r\n", src.Name, alias, clock(src.Info.Duration), code)
	}
	if good == 0 {
		return making{}, failed
	}
	if len(q.Feeds) > 1 {
		o.write("JobResult.txt", []byte(result))
	}
	return making{files: o.files}, o.err
}

func tooMany(n int) error {
	return jobErrorf(ams.ConfigurationUnsupported, "The task has %d inputs; the Indexer takes at most %d.", n, maxIndexed)
}

// listed puts in the place of an input asset whose primary file is a list (.lst)
// what that names, a line each: files of the asset, or https URLs. The job and the
// task that it returns are for fetch alone.
func (w *Worker) listed(ctx context.Context, e *errand) (*ams.Job, *ams.Task, error) {
	a, err := w.c.Assets.ByID(ctx, e.job.Account)
	if err != nil {
		return nil, nil, err
	}
	all := ams.JobInput{Kind: ams.InputList}
	some := false
	for _, name := range e.task.Inputs {
		in, err := w.input(ctx, e.job, name)
		if err != nil {
			return nil, nil, err
		}
		files, err := a.AssetFiles(ctx, in)
		if err != nil {
			return nil, nil, err
		}
		first := account.PrimaryFile(files)
		if first == nil || !strings.EqualFold(path.Ext(first.Name), ".lst") {
			all.Inputs = append(all.Inputs, ams.JobInput{Kind: ams.InputAsset, Asset: name})
			continue
		}
		some = true
		const most = 64 << 10
		b, err := w.readBlob(ctx, in, first.Name, most)
		if err != nil {
			return nil, nil, err
		}
		for line := range strings.Lines(strings.TrimPrefix(string(b), "\ufeff")) {
			switch line = strings.TrimSpace(line); {
			case line == "":
			case strings.HasPrefix(strings.ToLower(line), "https://"):
				all.Inputs = append(all.Inputs, ams.JobInput{Kind: ams.InputHTTP, Files: []string{line}})
			case ams.ValidateFileName(line) != nil:
				return nil, nil, jobErrorf(ams.ContentMalformed, "%q names %q, which is neither a file nor an https URL.", first.Name, line)
			default:
				all.Inputs = append(all.Inputs, ams.JobInput{Kind: ams.InputAsset, Asset: name, Files: []string{line}})
			}
			if len(all.Inputs) > maxIndexed {
				return nil, nil, tooMany(len(all.Inputs))
			}
		}
	}
	if !some {
		return e.job, e.task, nil
	}
	if len(all.Inputs) == 0 {
		return nil, nil, jobErrorf(ams.ContentMalformed, "The list of files is empty.")
	}
	job, task := *e.job, *e.task
	job.Input, task.Spec = all, nil
	return &job, &task, nil
}

func clock(d time.Duration) string {
	s := int64(d.Seconds())
	return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
}

// A scribe writes output files, and keeps the first error.
type scribe struct {
	dir   string
	files []OutputFile
	err   error
}

func (o *scribe) write(name string, b []byte) {
	if o.err != nil {
		return
	}
	o.err = os.WriteFile(filepath.Join(o.dir, name), b, 0o600)
	o.files = append(o.files, outputs(o.dir, []string{name})...)
}

// captions writes a transcript in some formats.
func (o *scribe) captions(t *analysis.Transcript, formats []string, base, title string) error {
	for _, f := range formats {
		switch f {
		case "webvtt":
			o.write(base+".vtt", t.WebVTT())
		case "sami":
			o.write(base+".smi", t.SAMI(title))
		case "ttml":
			b, err := t.TTML()
			if err != nil {
				return err
			}
			o.write(base+".ttml", b)
		}
	}
	return o.err
}

// heard is the file whose sound goes with the one that is chosen: itself, or, if
// it has none, another of the same set or asset.
func (f *Feed) heard() *Source {
	src := &f.Files[f.Chosen]
	if pickAudio(src.Info) != nil {
		return src
	}
	for i := range f.Files {
		if o := &f.Files[i]; o.Set == src.Set && pickAudio(o.Info) != nil {
			return o
		}
	}
	return src
}

// hear has the speech-to-text command listen to a source.
func (w *Worker) hear(ctx context.Context, e *errand, src *Source, clip Clip, language string, progress func(part float64)) (*analysis.Transcript, error) {
	streams := pickAudio(src.Info)
	if streams == nil {
		return nil, jobErrorf(ams.ConfigurationUnsupported, "%q: No audio stream can be extracted: it has none.", src.Name)
	}
	if err := clip.check(src.Info); err != nil {
		return nil, jobErrorf(ams.ConfigurationUnsupported, "%q: %v.", src.Name, err)
	}
	dir, err := os.MkdirTemp(e.dir, "speech")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	from, to := clip.window(src.Info)
	wav := filepath.Join(dir, "speech.wav")
	args := []string{"-y", "-xerror"}
	args = append(args, ffmpeg.Input(src.Path, ffmpeg.Strict()...)...)
	if from > 0 {
		args = append(args, "-ss", secs(from))
	}
	if to > 0 {
		args = append(args, "-t", secs(to-from))
	}
	// What whisper.cpp reads: 16 kHz, one channel. Sound that starts late stays late.
	args = append(args, "-map", fmt.Sprintf("0:%d", streams[0].Index), "-af", "aresample=16000:async=1:first_pts=0", "-ac", "1", "-c:a", "pcm_s16le", "-f", "wav", ffmpeg.File(wav))
	const share = 0.1
	err = w.c.Tools.Run(ctx, args, func(p ffmpeg.Progress) {
		if d := src.Info.Duration; d > 0 {
			progress(share * min(1, p.Time.Seconds()/d.Seconds()))
		}
	})
	if err != nil {
		return nil, explain(ctx, w.c.Tools, &Plan{Inputs: []Input{{}}, Audio: []Audio{{Parts: []Voice{{Tracks: []Strand{{0, streams[0].Index}}}}}}}, []Source{*src}, err)
	}
	short := "auto"
	if language != "" {
		short, _, _ = strings.Cut(language, "-")
	}
	folder, err := w.call(ctx, speechCommand, dir, src.Name, func(folder string) []string {
		return []string{"-l", strings.ToLower(short), "-pp", "-ovtt", "-ojf", "-of", filepath.Join(folder, "speech"), "-f", wav}
	}, func(part float64) { progress(share + (1-share)*part) })
	if err != nil {
		return nil, err
	}
	b, err := readResult(filepath.Join(folder, "speech.json"), analysis.MaxTranscript)
	if err != nil {
		return nil, badResult(speechCommand, err)
	}
	t, err := analysis.ParseSpeech(b)
	if err != nil {
		return nil, badResult(speechCommand, err)
	}
	if language != "" {
		t.Language = language
	}
	t.Shift(from)
	return t, nil
}

// An audition is an AudioAnalyzerPreset or a VideoAnalyzerPreset.
type audition struct {
	Language string `json:"audioLanguage"`
	Mode     string `json:"mode"`
	Insights string `json:"insightsToExtract"`
}

// The presets of v3 that analyse.
const (
	audioAnalyzer = "AudioAnalyzerPreset"
	videoAnalyzer = "VideoAnalyzerPreset"
)

func parseAudition(p ams.Preset) (*audition, error) {
	var a audition
	if err := json.Unmarshal(p.Body, &a); err != nil {
		return nil, ams.Errorf(ams.Invalid, "The preset cannot be read: %v", err)
	}
	for _, tag := range strings.Split(a.Language, "-") {
		if strings.ContainsFunc(tag, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9')
		}) || len(tag) > 8 {
			return nil, fieldError(ams.Invalid, "audioLanguage", "'%s' is no BCP 47 tag", a.Language)
		}
	}
	if a.Mode != "" && a.Mode != "Standard" && a.Mode != "Basic" {
		return nil, fieldError(ams.Invalid, "mode", "'%s' is neither Standard nor Basic", a.Mode)
	}
	switch {
	case p.Type == audioAnalyzer:
		a.Insights = "AudioInsightsOnly"
	case a.Insights == "":
		a.Insights = "AllInsights"
	case a.Insights != "AllInsights" && a.Insights != "AudioInsightsOnly" && a.Insights != "VideoInsightsOnly":
		return nil, fieldError(ams.Invalid, "insightsToExtract", "'%s' is none", a.Insights)
	}
	return &a, nil
}

func (a *audition) hears() bool { return a.Insights != "VideoInsightsOnly" }
func (a *audition) sees() bool  { return a.Insights != "AudioInsightsOnly" }

// checkAudition: what is seen needs the programs for faces and for text, of
// which insights.json tells; moderation is added if there is a program.
func checkAudition(p ams.Preset) (needs []need, err error) {
	a, err := parseAudition(p)
	if err != nil {
		return nil, err
	}
	if a.hears() {
		needs = append(needs, speechCommand)
	}
	if a.sees() {
		needs = append(needs, facesCommand, textCommand)
	}
	return needs, nil
}

func runAudition(ctx context.Context, w *Worker, e *errand) (making, error) {
	a, err := parseAudition(e.task.Preset)
	if err != nil {
		return making{}, jobErrorf(ams.ConfigurationUnsupported, "%s", err)
	}
	q, done, err := w.fetch(ctx, e.job, e.task, e.dir)
	defer done()
	if err != nil {
		return making{}, err
	}
	f := &q.Feeds[0]
	src := &f.Files[f.Chosen]
	if err := os.Mkdir(e.out, 0o700); err != nil {
		return making{}, err
	}
	o := scribe{dir: e.out}
	x := analysis.Insights{Duration: src.Info.Duration}
	rest := 99.0
	if a.hears() {
		share := rest
		if a.sees() {
			share = rest / 2
		}
		if x.Transcript, err = w.hear(ctx, e, f.heard(), f.Clip, a.Language, func(part float64) { e.progress(share * part) }); err != nil {
			return making{}, err
		}
		o.write("transcript.vtt", x.Transcript.WebVTT())
	}
	if a.sees() {
		from := 0.0
		if a.hears() {
			from = rest / 2
		}
		if err := w.watchFor(ctx, e, src, &x, &o, func(part float64) { e.progress(from + (rest-from)*part) }); err != nil {
			return making{}, err
		}
	}
	b, err := x.JSON(a.Mode == "Basic")
	if err != nil {
		return making{}, err
	}
	o.write("insights.json", b)
	return making{files: o.files}, o.err
}

// watchFor finds what there is to see for insights.json.
func (w *Worker) watchFor(ctx context.Context, e *errand, src *Source, x *analysis.Insights, o *scribe, progress func(part float64)) (err error) {
	video := pickVideo(src.Info)
	if video == nil {
		return jobErrorf(ams.ConfigurationUnsupported, "%q has no video, of which insights were asked for.", src.Name)
	}
	step := func(n int) func(float64) { return func(part float64) { progress((float64(n) + part) / 4) } }
	if x.Shots, err = sceneCuts(ctx, w.c.Tools, src, video, filepath.Join(e.dir, "cuts.txt"), step(0)); err != nil {
		return err
	}
	if x.Shots == nil {
		x.Shots = []time.Duration{}
	}
	if x.Faces, err = w.detect(ctx, facesCommand, e.dir, "faces", src, map[string]string{"mode": "analyze"}, step(1)); err != nil {
		return err
	}
	if x.Text, err = w.detect(ctx, textCommand, e.dir, "text", src, map[string]string{"language": "AutoDetect"}, step(2)); err != nil {
		return err
	}
	if w.c.Commands.Moderation != nil {
		if x.Moderation, err = w.detect(ctx, moderationCommand, e.dir, "moderation", src, nil, step(3)); err != nil {
			return err
		}
	}
	x.Thumbnails = map[int]string{}
	stem := strings.TrimSuffix(path.Base(src.name()), path.Ext(src.name()))
	pictures, err := w.portraits(ctx, src, x.Faces, stem, e.out)
	if err != nil {
		return err
	}
	for id, name := range pictures {
		x.Thumbnails[id] = name
	}
	for _, id := range x.Faces.IDs() {
		if name := pictures[id]; name != "" {
			o.files = append(o.files, outputs(e.out, []string{name})...)
		}
	}
	progress(1)
	return nil
}
