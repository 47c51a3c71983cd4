package hls

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
)

func (f flavour) playlist(p *packager.Presentation, r *packager.Rendition, o packager.Options) (*packager.Document, error) {
	if o.Keyframes && r.Track.Kind != mp4.Video {
		return nil, packager.Errorf(packager.MediaTypeNotSupported, "track %q has no key frames: it is %s", r.Track.Name, r.Track.Kind)
	}
	if o.Keyframes && !f.frames(o) {
		return nil, packager.Errorf(packager.OutputFormatNotSupported, "there are no I-frame playlists in %s with encryption=%s: frames cannot be found before they are encrypted, or decrypted alone", f.name, o.Protection.Name())
	}
	keys := ""
	if o.Protection != nil {
		keys = o.Protection.PlaylistKeys(r, f.carrier())
	}
	version := f.version
	if f.ts && r.Text == nil {
		if _, err := r.TS(); err != nil {
			return nil, err
		}
		if keys != "" && !o.Protection.Whole() {
			if err := r.Ciphered(); err != nil {
				return nil, err
			}
			version = max(version, 5) // KEYFORMAT: RFC 8216 7
		}
	}
	list := f.pieces(p, r)
	if o.Keyframes {
		var err error
		if list, err = f.measured(p, r, o, true); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	kind := "VOD"
	if p.Live {
		kind = "EVENT"
	}
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:%d\n#EXT-X-PLAYLIST-TYPE:%s\n", version, kind)
	if p.Live && !o.Keyframes {
		b.WriteString("#EXT-X-START:TIME-OFFSET=0\n") // not at the end of what is there
	}
	if o.Keyframes {
		b.WriteString("#EXT-X-I-FRAMES-ONLY\n")
	} else if !f.ts {
		b.WriteString("#EXT-X-INDEPENDENT-SEGMENTS\n")
	}
	if f.ts {
		b.WriteString("#EXT-X-ALLOW-CACHE:NO\n")
	}
	// A cut playlist counts its segments as the whole one does (observed).
	sequence := r.Skip
	if f.ts && r.Text == nil {
		sequence /= p.FragmentsPerTS
	}
	fmt.Fprintf(&b, "#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-TARGETDURATION:%d\n", sequence, targetDuration(list, o.Keyframes))
	if !f.ts && r.Text == nil {
		fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"%sFragments(%s=i,format=%s%s)%s\"\n", o.Base, r.Track.Name, f.name, o.Encryption(), queries(o.Query))
	}
	if f.ts || p.Start > 0 {
		// In a cut presentation it tells players which part of the audio goes
		// with which of the video.
		start := time.UnixMilli(int64(list[0].start / (packager.Timescale / 1000))).UTC()
		b.WriteString("#EXT-X-PROGRAM-DATE-TIME:" + start.Format("2006-01-02T15:04:05.000-07:00") + "\n")
	}
	b.WriteString(keys)
	for _, s := range list {
		uri := fmt.Sprintf("%sFragments(%s=%d,format=%s%s%s)%s", o.Base, r.Track.Name, s.start, f.name, o.Encryption(), f.audioKey(r), queries(o.Query))
		if !o.Keyframes {
			fmt.Fprintf(&b, "#EXTINF:%.6f,no-desc\n%s\n", seconds(s.length), uri)
			continue
		}
		for _, i := range s.iframes {
			fmt.Fprintf(&b, "#EXTINF:%.6f,no-desc\n#EXT-X-BYTERANGE:%d@%d\n%s\n", seconds(i.length), i.size, i.offset, uri)
		}
	}
	if !p.Live {
		b.WriteString("#EXT-X-ENDLIST\n")
	}
	return &packager.Document{ContentType: packager.TypeHLS, Body: b.Bytes()}, nil
}

func seconds(ticks uint64) float64 { return float64(ticks) / packager.Timescale }

// targetDuration is the length of the longest segment, rounded (RFC 8216
// 4.3.3.1), in whole seconds.
func targetDuration(list []piece, keyframes bool) int {
	longest := uint64(0)
	for _, s := range list {
		if !keyframes {
			longest = max(longest, s.length)
		}
		for _, i := range s.iframes {
			longest = max(longest, i.length)
		}
	}
	return max(1, int(math.Round(seconds(longest))))
}
