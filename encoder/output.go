package encoder

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/smooth"
)

// muxedFile names a rung with its audio in the work folder.
func muxedFile(rung int) string { return fmt.Sprintf("muxed-%d.mp4", rung) }

// name gives the files their names in the asset. AMS's were
// "{Basename}_{W}x{H}_AACAudio_{kbps}.mp4" with the bitrate that the video
// reached (a documented example has 3551 for a target of 3520), and
// "{Basename}_AACAudio_192.mp4" or alike for audio alone (inferred), where the
// target keeps the name predictable. A rung without audio has no "AACAudio"
// (inferred). Rungs that would have the same name are counted.
func (p *Plan) name(all []*made) {
	taken := map[string]bool{}
	for _, m := range all {
		var stem string
		switch {
		case m.rung == nil:
			stem = fmt.Sprintf("%s_AACAudio_%d", p.Basename, p.Audio.Bitrate/1000)
		case p.Audio != nil:
			stem = fmt.Sprintf("%s_%dx%d_AACAudio_%d", p.Basename, m.rung.Width, m.rung.Height, kbps(m.bitrate))
		default:
			stem = fmt.Sprintf("%s_%dx%d_%d", p.Basename, m.rung.Width, m.rung.Height, kbps(m.bitrate))
		}
		m.name = stem + ".mp4"
		for n := 2; taken[m.name]; n++ {
			m.name = fmt.Sprintf("%s_%d.mp4", stem, n)
		}
		taken[m.name] = true
	}
}

func kbps(bitrate int64) int64 { return max(1, (bitrate+500)/1000) }

// describe writes the files beside the MP4s and returns all of them in the order
// in which they are stored.
func describe(plan *Plan, src Source, all []*made, dir string) ([]OutputFile, error) {
	if plan.Video != nil && plan.Audio != nil && !plan.AudioFile {
		all = all[:len(all)-1] // the audio is in the rungs
	}
	var files []OutputFile
	add := func(name, contentType string) {
		files = append(files, OutputFile{Name: name, Path: filepath.Join(dir, name), ContentType: contentType})
	}
	write := func(name, contentType string, b []byte) error {
		add(name, contentType)
		return os.WriteFile(filepath.Join(dir, name), b, 0o600)
	}
	indexes := map[string]*mp4.Index{}
	for _, m := range all {
		kind := "video/mp4"
		if m.rung == nil {
			kind = "audio/mp4"
		}
		add(m.name, kind)
		add(indexName(m.name), "application/octet-stream")
		indexes[m.name] = m.index
	}

	manifest := serverManifest(plan, all)
	presentation, err := packager.New(manifest, indexes)
	if err != nil {
		return nil, fmt.Errorf("the outputs do not make a presentation: %w", err)
	}
	if err := write(plan.Basename+"_manifest.json", "application/json", outputMetadata(plan, src, all)); err != nil {
		return nil, err
	}
	if err := write(uuid.NewString()+"_metadata.json", "application/json", inputMetadata(src)); err != nil {
		return nil, err
	}
	if err := write(manifest.ClientManifest, "application/xml", smooth.ClientManifest(presentation)); err != nil {
		return nil, err
	}
	if err := write(plan.Basename+".ism", "application/smil+xml", manifest.Encode()); err != nil {
		return nil, err
	}
	return files, nil
}

// serverManifest is the .ism: every rung as video; as audio the MP4 that holds
// nothing else, or the smallest of those that hold it too, as AMS chose.
func serverManifest(plan *Plan, all []*made) *ism.Manifest {
	m := &ism.Manifest{ClientManifest: plan.Basename + ".ismc", Formats: "mp4-v3"}
	if plan.Audio != nil {
		last := all[len(all)-1]
		for _, t := range last.index.Tracks {
			if t.Kind == mp4.Audio {
				bitrate := bitrate(t)
				m.Streams = append(m.Streams, ism.Stream{
					Kind: ism.Audio, Src: last.name, Bitrate: bitrate, Language: plan.Audio.Language, TrackID: t.ID,
					TrackName:  fmt.Sprintf("aac_%s_%d_%d_%d_1", plan.Audio.Language, audioChannels, bitrate, t.ID),
					TrackIndex: indexName(last.name),
				})
			}
		}
	}
	for _, f := range all {
		for _, t := range f.index.Tracks {
			if t.Kind == mp4.Video {
				m.Streams = append(m.Streams, ism.Stream{
					Kind: ism.Video, Src: f.name, Bitrate: bitrate(t), TrackID: t.ID,
					TrackName: "video", TrackIndex: indexName(f.name),
				})
			}
		}
	}
	return m
}

// bitrate is the mean bitrate of a track over what is shown of it, bit/s.
func bitrate(t *mp4.Track) int64 {
	d := t.Duration()
	if d <= 0 {
		return 1
	}
	return max(1, int64(float64(8*t.Bytes(0, t.NumSamples()))*float64(t.Timescale)/float64(d)))
}
