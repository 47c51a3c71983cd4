package encoder

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/smooth"
)

// A namer gives the files of an asset names that differ.
type namer map[string]bool

func (p *Plan) namer() namer {
	return namer{p.Basename + ".ism": true, p.Basename + ".ismc": true, p.Basename + "_manifest.json": true, p.Basename + "_manifest.xml": true}
}

// take returns stem + ext, or with a number in between if that is taken.
func (n namer) take(stem, ext string) string {
	name := stem + ext
	for i := 2; n[name]; i++ {
		name = fmt.Sprintf("%s_%d%s", stem, i, ext)
	}
	n[name] = true
	return name
}

// macro is a variable in a pattern of file names.
var macro = regexp.MustCompile(`\{[A-Za-z]{1,32}\}`)

// expand fills in a pattern. Macros that have no value vanish (documented).
func expand(pattern string, values map[string]string) string {
	name := macro.ReplaceAllStringFunc(pattern, func(m string) string { return values[strings.ToLower(m[1:len(m)-1])] })
	name = strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`"*:<>?|%/\`, r) {
			return '_'
		}
		return r
	}, name)
	if name = strings.TrimRight(name, ". "); ams.ValidateFileName(name) != nil {
		return "output"
	}
	return name
}

// codecNames are what {Codec} stands for.
var codecNames = map[string]string{"h264": "H264", "hevc": "HEVC", "aac": "AAC", "ac3": "AC3", "eac3": "DDP", "av1": "AV1"}

// name gives the files their names in the asset. AMS's own were
// "{Basename}_{W}x{H}_AACAudio_{kbps}.mp4" with the bitrate that the video
// reached (a documented example has 3551 for a target of 3520), and
// "{Basename}_AACAudio_192.mp4" or alike for audio alone (inferred), where the
// target keeps the name predictable. A rung without audio has no "AACAudio"
// (inferred). Rungs that would have the same name are counted. {Bitrate} in a
// pattern is the target.
func (p *Plan) name(all []*made, taken namer) {
	for _, m := range all {
		var video, audio *part
		for _, t := range m.parts {
			if t.track().Kind == mp4.Video && video == nil {
				video = t
			} else if t.track().Kind == mp4.Audio && audio == nil {
				audio = t
			}
		}
		ext := "." + m.file.Format
		if m.file.Pattern == "" {
			stem := p.Basename
			if video != nil {
				stem += fmt.Sprintf("_%dx%d", video.track().Width, video.track().Height)
			}
			rate := m.parts[0].bitrate
			if audio != nil {
				word := "_AACAudio"
				if audio.codec() != "aac" {
					word = "_DDAudio"
				}
				stem += word
				if video == nil && audio.sound != nil {
					rate = int64(audio.sound.Bitrate)
				}
			}
			m.name = taken.take(fmt.Sprintf("%s_%d", stem, kbps(rate)), ext)
			continue
		}
		v := map[string]string{"basename": p.Basename, "originalfilename": p.Basename, "extension": ext, "defaultextension": ext[1:]}
		rate := func(t *part) int64 {
			switch {
			case t.rung != nil:
				return int64(t.rung.Bitrate)
			case t.sound != nil:
				return int64(t.sound.Bitrate)
			}
			return t.bitrate
		}
		main := m.parts[0]
		v["bitrate"] = strconv.FormatInt(rate(main), 10)
		if m.file.Kilo {
			v["bitrate"] = strconv.FormatInt(kbps(rate(main)), 10)
		}
		v["codec"] = codecNames[main.codec()]
		if video != nil {
			w, h := strconv.Itoa(int(video.track().Width)), strconv.Itoa(int(video.track().Height))
			v["width"], v["height"], v["resolution"] = w, h, w+"x"+h
			v["videocodec"] = codecNames[video.codec()]
			v["videobitrate"] = strconv.FormatInt(kbps(rate(video)), 10)
			if video.rung != nil {
				v["label"], v["streamid"] = video.rung.Label, video.rung.StreamID
			}
		}
		if audio != nil {
			v["audiocodec"] = codecNames[audio.codec()]
			v["audiobitrate"] = strconv.FormatInt(kbps(rate(audio)), 10)
			v["channel"] = strconv.Itoa(int(audio.track().Channels))
			v["language"] = audio.track().Language
			if audio.sound != nil && v["label"] == "" {
				v["label"] = audio.sound.Label
			}
		}
		name := expand(m.file.Pattern, v)
		own := filepath.Ext(name)
		m.name = taken.take(strings.TrimSuffix(name, own), own)
	}
}

// codec is ffprobe's name of the part's codec.
func (t *part) codec() string {
	switch {
	case t.rung != nil:
		return t.rung.Codec
	case t.sound != nil:
		return t.sound.Codec
	}
	return t.copy.Codec
}

func kbps(bitrate int64) int64 { return max(1, (bitrate+500)/1000) }

// stills gives the images that ffmpeg made in tmp their names in dir, and writes the WebVTT
// files of sprites.
func (p *Plan) stills(src Source, tmp, dir string, taken namer) ([]OutputFile, error) {
	if p.Video == nil {
		return nil, nil
	}
	var files []OutputFile
	for i := range p.Video.Images {
		im := &p.Video.Images[i]
		want := im.Count
		if im.Columns > 0 {
			want = 1
		}
		width, height := im.size()
		n := 0
		for ; ; n++ {
			path := filepath.Join(tmp, fmt.Sprintf(stillFile(i, im.Format), n+1))
			if _, err := os.Stat(path); err != nil {
				if !errors.Is(err, os.ErrNotExist) {
					return nil, serviceError(err)
				}
				break
			}
			name := expand(im.Pattern, map[string]string{
				"basename": p.Basename, "originalfilename": p.Basename, "extension": "." + im.Format, "defaultextension": im.Format, "label": im.Label,
				"index": fmt.Sprintf("%06d", n+1), "thumbnailindex": fmt.Sprintf("%06d", n+1), "codec": strings.ToUpper(im.Format),
				"width": strconv.Itoa(width), "height": strconv.Itoa(height), "resolution": fmt.Sprintf("%dx%d", width, height),
			})
			own := filepath.Ext(name)
			name = taken.take(strings.TrimSuffix(name, own), own)
			to := filepath.Join(dir, name)
			if err := os.Rename(path, to); err != nil {
				return nil, serviceError(err)
			}
			kind := map[string]string{"jpg": "image/jpeg", "png": "image/png", "bmp": "image/bmp"}[im.Format]
			files = append(files, OutputFile{Name: name, Path: to, ContentType: kind})
			if im.Columns > 0 {
				vtt := taken.take(strings.TrimSuffix(name, own), ".vtt")
				if err := os.WriteFile(filepath.Join(dir, vtt), im.thumbnails(name, p.Video.Rate.Float()), 0o600); err != nil {
					return nil, serviceError(err)
				}
				files = append(files, OutputFile{Name: vtt, Path: filepath.Join(dir, vtt), ContentType: "text/vtt"})
			}
		}
		if n == 0 || im.Exact && n < want-1 {
			return nil, jobErrorf(ams.ContentMalformed, "%q: its video stream %d (%s) gave %d of %d images: it ends early.",
				src.Name, p.Video.Parts[0].Stream, p.Video.Parts[0].Codec, n, want)
		}
	}
	return files, nil
}

// describe writes the files beside the media and returns all of them in the
// order in which they are stored.
func describe(plan *Plan, srcs []Source, all []*made, stills []OutputFile, dir string) ([]OutputFile, error) {
	files := stills
	add := func(name, contentType string) {
		files = append(files, OutputFile{Name: name, Path: filepath.Join(dir, name), ContentType: contentType})
	}
	write := func(name, contentType string, b []byte) error {
		add(name, contentType)
		return os.WriteFile(filepath.Join(dir, name), b, 0o600)
	}
	indexes := map[string]*mp4.Index{}
	for _, m := range all {
		if m.file.Format == "ts" {
			add(m.name, "video/mp2t")
			continue
		}
		kind := "audio/mp4"
		for _, t := range m.index.Tracks {
			if t.Kind == mp4.Video {
				kind = "video/mp4"
			}
		}
		add(m.name, kind)
		add(indexName(m.name), "application/octet-stream")
		indexes[m.name] = m.index
	}
	made, read := outputMetadata(plan, srcs, all), inputMetadata(srcs)
	name, kind, manifestBody, metadataBody := uuid.NewString(), ".json", encodeJSON(made), encodeJSON(read)
	if plan.v2 {
		name, kind, manifestBody, metadataBody = cmp.Or(srcs[0].Asset, name), ".xml", outputMetadataXML(made, all), inputMetadataXML(read)
	}
	if len(all) > 0 {
		if err := write(plan.Basename+"_manifest"+kind, "application/"+kind[1:], manifestBody); err != nil {
			return nil, err
		}
	}
	if err := write(name+"_metadata"+kind, "application/"+kind[1:], metadataBody); err != nil {
		return nil, err
	}
	if len(indexes) == 0 {
		return files, nil // nothing that streams
	}
	manifest := serverManifest(plan, all)
	presentation, err := packager.New(manifest, indexes)
	if err != nil {
		if plan.Copies != nil || plan.Preset == standardPreset {
			return nil, jobErrorf(ams.ConfigurationUnsupported, "The outputs cannot be streamed together: %v.", err)
		}
		return nil, fmt.Errorf("the outputs do not make a presentation: %w", err)
	}
	if client := smooth.ClientManifest(presentation); client != nil { // Smooth has no AC-3
		if err := write(manifest.ClientManifest, "application/xml", client); err != nil {
			return nil, err
		}
	} else {
		manifest.ClientManifest = ""
	}
	if err := write(plan.Basename+".ism", "application/smil+xml", manifest.Encode()); err != nil {
		return nil, err
	}
	return files, nil
}

// serverManifest is the .ism: every picture once; every sound once, from the MP4
// that holds nothing else, or the smallest of those that hold it too, as AMS
// chose.
func serverManifest(plan *Plan, all []*made) *ism.Manifest {
	m := &ism.Manifest{ClientManifest: plan.Basename + ".ismc", Formats: "mp4-v3"}
	order := slices.DeleteFunc(slices.Clone(all), func(f *made) bool { return f.index == nil })
	slices.Reverse(order)
	slices.SortStableFunc(order, func(a, b *made) int { return pictures(a) - pictures(b) })
	seen := map[string]bool{}
	for _, f := range order {
		for i, t := range f.index.Tracks {
			key := f.parts[i].soundKey()
			if t.Kind != mp4.Audio || seen[key] {
				continue
			}
			seen[key] = true
			bitrate := bitrate(t)
			language := t.Language
			if f.parts[i].copy != nil {
				language = f.parts[i].copy.Language
			} else if s := f.parts[i].programme; s != nil {
				language = s.Language
			}
			if s := f.parts[i].sound; s != nil && plan.Early {
				early := earlySound(s, f.parts[i].programme, t)
				early.Src, early.TrackID, early.TrackIndex = f.name, t.ID, indexName(f.name)
				m.Streams = append(m.Streams, early)
				continue
			}
			m.Streams = append(m.Streams, ism.Stream{
				Kind: ism.Audio, Src: f.name, Bitrate: bitrate, Language: language, TrackID: t.ID,
				TrackName:  fmt.Sprintf("%s_%s_%d_%d_%d_1", f.parts[i].codec(), language, t.Channels, bitrate, t.ID),
				TrackIndex: indexName(f.name),
			})
		}
	}
	for _, f := range all {
		if f.index == nil {
			continue
		}
		for i, t := range f.index.Tracks {
			if t.Kind != mp4.Video || seen[f.parts[i].name] {
				continue
			}
			seen[f.parts[i].name] = true
			rate := bitrate(t)
			if plan.Early {
				rate = int64(f.parts[i].rung.Bitrate)
			}
			m.Streams = append(m.Streams, ism.Stream{
				Kind: ism.Video, Src: f.name, Bitrate: rate, TrackID: t.ID,
				TrackName: "video", TrackIndex: indexName(f.name),
			})
		}
	}
	return m
}

// pictures counts the video tracks of a file.
func pictures(m *made) (n int) {
	for _, t := range m.index.Tracks {
		if t.Kind == mp4.Video {
			n++
		}
	}
	return n
}

// soundKey tells sounds apart. Copied from the files of an MP4 set, the same
// sound comes many times.
func (t *part) soundKey() string {
	if t.copy == nil {
		return t.name
	}
	k := t.track()
	d := float64(k.Duration()) / float64(k.Timescale)
	return fmt.Sprintf("%s %s %d %d %d %.0f", t.copy.Codec, t.copy.Language, k.Channels, k.SampleRate, t.bitrate/8000, d)
}

// bitrate is the mean bitrate of a track over what is shown of it, bit/s.
func bitrate(t *mp4.Track) int64 {
	d := t.Duration()
	if d <= 0 {
		return 1
	}
	return max(1, int64(float64(8*t.Bytes(0, t.NumSamples()))*float64(t.Timescale)/float64(d)))
}
