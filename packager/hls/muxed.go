package hls

import (
	"bytes"
	"fmt"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
)

// Muxed returns the format m3u8-aapl-v3: version 3, transport streams that hold
// the audio track of that name too; "" is the default one.
func Muxed(audioTrack string) *packager.Format {
	f := flavour{name: "m3u8-aapl-v3", version: 3, ts: true, audioTrack: audioTrack}
	return f.format(&packager.Format{
		Manifest: f.muxedMultivariant,
		Playlist: func(p *packager.Presentation, r *packager.Rendition, o packager.Options) (*packager.Document, error) {
			if o.Keyframes {
				return nil, packager.Errorf(packager.OutputFormatNotSupported, "there are no I-frame playlists in %s", f.name)
			}
			if r.Text != nil {
				return nil, packager.Errorf(packager.MediaTypeNotSupported, "there are no subtitles in %s", f.name)
			}
			f, err := f.with(p)
			if err != nil {
				return nil, err
			}
			if err := f.oneKey(r, o); err != nil {
				return nil, err
			}
			return f.playlist(p, r, o)
		},
		Ciphered: func(p *packager.Presentation, r *packager.Rendition, time uint64, c packager.Ciphers) (*packager.Segment, error) {
			if r.Text != nil {
				return nil, packager.Errorf(packager.MediaTypeNotSupported, "there are no subtitles in %s", f.name)
			}
			k, err := f.fragmentAt(p, r, time)
			if err != nil {
				return nil, err
			}
			f, err := f.with(p)
			if err != nil {
				return nil, err
			}
			if f.audio == nil || r.Track.Kind != mp4.Video {
				return r.TSSegment(k, p.FragmentsPerTS, c)
			}
			return r.MuxedSegment(k, p.FragmentsPerTS, f.audio, c)
		},
	})
}

// oneKey refuses samples of video and audio under two keys in one stream: a
// playlist tells of one.
func (f flavour) oneKey(r *packager.Rendition, o packager.Options) error {
	if f.audio == nil || r.Track.Kind != mp4.Video || o.Protection == nil || o.Protection.Whole() {
		return nil
	}
	if audio := o.Protection.PlaylistKeys(f.audio, f.carrier()); audio != "" && audio != o.Protection.PlaylistKeys(r, f.carrier()) {
		return packager.Errorf(packager.OutputFormatNotSupported, "%s has video and audio in one stream, which have different keys under encryption=%s", f.name, o.Protection.Name())
	}
	return nil
}

// with finds the audio of f in p: none if p has none that a transport stream can
// carry. The error is TrackNotFound.
func (f flavour) with(p *packager.Presentation) (flavour, error) {
	best := func(t *packager.Track) *packager.Rendition { return t.Renditions[len(t.Renditions)-1] }
	if f.audioTrack != "" {
		t, err := p.Track(f.audioTrack)
		if err == nil && t.Kind != mp4.Audio {
			err = packager.Errorf(packager.TrackNotFound, "track %q is %s, no audio", t.Name, t.Kind)
		}
		if err != nil {
			return f, err
		}
		f.audio = best(t)
		return f, nil
	}
	for _, t := range p.Of(mp4.Audio) {
		r := best(t)
		if _, err := r.TS(); err != nil {
			continue
		}
		better := f.audio == nil || t.Default && !f.audio.Track.Default
		if !better && f.audio.Track.Accessibility == "description" && !f.audio.Track.Default {
			better = t.Accessibility != "description" // which is never the default
		}
		if better {
			f.audio = r
		}
	}
	return f, nil
}

// audioKey is how child URLs of r name its audio.
func (f flavour) audioKey(r *packager.Rendition) string {
	if f.audio == nil || r.Track.Kind != mp4.Video {
		return ""
	}
	return ",audiotrack=" + f.audio.Track.Name
}

func (f flavour) muxedMultivariant(p *packager.Presentation, o packager.Options) (*packager.Document, error) {
	f, err := f.with(p)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:%d\n", f.version)
	variants := 0
	var refused error
	for _, t := range p.Of(mp4.Video) {
		for _, r := range firstly(t, p.FirstQuality) {
			if err := f.oneKey(r, o); err != nil {
				return nil, err
			}
			list, err := f.measured(p, r, o, false)
			if packager.CodeOf(err) == packager.VideoEncodingNotSupported {
				refused = err
				continue // the other renditions may still play
			}
			if err != nil {
				return nil, err
			}
			variants++
			codecs, all := r.Codec, rateOf(list)
			if f.audio != nil {
				codecs += "," + f.audio.Codec
			}
			fmt.Fprintf(&b, "#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,RESOLUTION=%s,CODECS=\"%s\"\n%s\n",
				all.peak, all.average, resolution(r.Media), codecs, f.child(r, o, false))
		}
	}
	if refused != nil && variants == 0 {
		return nil, packager.Errorf(packager.VideoEncodingNotSupported, "no video rendition can be carried in %s: %v", f.name, refused)
	}
	if f.audio != nil && (!o.NoAudioOnly || variants == 0) {
		list, err := f.measured(p, f.audio, o, false)
		if err != nil {
			return nil, err
		}
		variants++
		all := rateOf(list)
		fmt.Fprintf(&b, "#EXT-X-STREAM-INF:PROGRAM-ID=1,BANDWIDTH=%d,AVERAGE-BANDWIDTH=%d,CODECS=\"%s\"\n%s\n", all.peak, all.average, f.audio.Codec, f.child(f.audio, o, false))
	}
	if variants == 0 {
		return nil, packager.Errorf(packager.AudioEncodingNotSupported, "no audio track can be carried in %s", f.name)
	}
	return &packager.Document{ContentType: packager.TypeHLS, Body: b.Bytes()}, nil
}
