package origin

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/probe"
)

// An archived track is the blobs of one folder of a live archive.
type archived struct {
	element, folder string
	bitrate         int
	args            string // of ffmpeg
}

// archive makes a live archive as AMS left one behind (documented layout): a
// server manifest, and for each track a folder with the init segment and a blob
// for each fragment, named by its time since 1970 in 1/10,000,000 s. format is
// vod-fmp4, with Smooth fragments that tell their time in tfxd, or vod-cmaf.
func archive(t testing.TB, format string, epoch uint64) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	var streams strings.Builder
	for _, a := range []archived{
		{"video", "cam_600000", 600000, "-map 0:v -c:v libx264 -preset ultrafast -bf 2 -g 50 -keyint_min 50 -sc_threshold 0 -b:v 600k"},
		{"video", "cam_150000", 150000, "-map 0:v -s 160x90 -c:v libx264 -preset ultrafast -bf 2 -g 50 -keyint_min 50 -sc_threshold 0 -b:v 150k"},
		{"audio", "mic_64000", 64000, "-map 1:a -c:a aac -b:a 64k"},
	} {
		for name, b := range folderOf(t, a, format, epoch) {
			files[a.folder+"/"+name] = b
		}
		fmt.Fprintf(&streams, `<%s src="%s" systemBitrate="%d"><param name="systemBitrate" value="%d" valuetype="data"/><param name="trackName" value="%s" valuetype="data"/><param name="trackID" value="1" valuetype="data"/></%s>`,
			a.element, a.folder, a.bitrate, a.bitrate, a.element, a.element)
	}
	files["rec.ism"] = fmt.Appendf(nil, `<?xml version="1.0" encoding="utf-8"?><smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="clientManifestRelativePath" content="rec.ismc"/><meta name="formats" content="%s"/></head><body><switch>%s</switch></body></smil>`, format, &streams)
	files["rec.ismc"] = []byte(`<SmoothStreamingMedia MajorVersion="2" MinorVersion="2" Duration="0"/>`)
	return files
}

// folderOf has ffmpeg record 7 s of a track and cuts that into blobs.
func folderOf(t testing.TB, a archived, format string, epoch uint64) map[string][]byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.mp4")
	args := "-v error -f lavfi -i testsrc2=r=25:s=320x180 -f lavfi -i sine=frequency=440:sample_rate=48000 " + a.args + " -t 7 "
	if format == "vod-fmp4" {
		args += "-f ismv -movflags isml+frag_keyframe"
	} else {
		args += "-movflags empty_moov+default_base_moof+frag_keyframe -f mp4"
		if a.element == "video" {
			args += " -video_track_timescale 10000000"
		}
	}
	if a.element == "audio" {
		args = strings.Replace(args, "+frag_keyframe", "", 1) + " -frag_duration 2000000 -min_frag_duration 2000000"
	}
	if out, err := exec.Command("ffmpeg", append(strings.Fields(args), path)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %s: %v: %s", args, err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	var name string
	for len(b) > 0 {
		n := binary.BigEndian.Uint32(b)
		box, typ := b[:n], string(b[4:8])
		b = b[n:]
		switch typ {
		case "ftyp", "moov":
			files["header"] = append(files["header"], box...)
		case "moof":
			name = fmt.Sprint(shift(t, box, epoch, scaleOf(files["header"])))
			files[name] = box
		case "mdat":
			files[name] = append(files[name], box...)
		}
	}
	if len(files) < 4 {
		t.Fatalf("%s: only %d blobs", a.folder, len(files))
	}
	return files
}

func scaleOf(header []byte) uint64 {
	at := bytes.Index(header, []byte("mdhd"))
	if header[at+4] == 1 {
		return uint64(binary.BigEndian.Uint32(header[at+24:]))
	}
	return uint64(binary.BigEndian.Uint32(header[at+16:]))
}

// shift moves a fragment by epoch seconds and returns its time in 1e-7 s.
func shift(t testing.TB, moof []byte, epoch, scale uint64) uint64 {
	t.Helper()
	at := bytes.Index(moof, []byte("tfdt")) + 8
	if at < 8 {
		at = bytes.Index(moof, []byte("\x6d\x1d\x9b\x05\x42\xd5\x44\xe6")) + 20
	}
	if at < 8 || moof[at-4] != 1 {
		t.Fatal("a fragment has no time of 64 bits")
	}
	time := binary.BigEndian.Uint64(moof[at:]) + epoch*scale
	binary.BigEndian.PutUint64(moof[at:], time)
	return time/scale*1e7 + time%scale*1e7/scale
}

// TestLiveArchive plays archives in every format, by the times since 1970 that
// their URLs had while they were live.
func TestLiveArchive(t *testing.T) {
	const epoch = 1544716459
	for _, format := range []string{"vod-fmp4", "vod-cmaf"} {
		t.Run(format, func(t *testing.T) {
			var later atomic.Int64
			s := newStage(t, func(c *Config) { c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) } })
			files := archive(t, format, epoch)
			for name, b := range files {
				s.put(name, b)
			}
			for _, f := range append(slices.Clone(everyFormat), muxedFormat) {
				r := s.probed("rec.ism/manifest("+f+")", probe.Config{})
				for _, x := range r.Streams {
					if length := x.End - x.Start; x.Kind != "I-frames" && (length < 6.9 || length > 7.1) {
						t.Errorf("%s: %+v", f, *x)
					}
				}
			}
			// The blob's name is the segment's, and its media that of the blob.
			for name, b := range files {
				folder, time, _ := strings.Cut(name, "/")
				if folder != "cam_600000" || time == "header" {
					continue
				}
				got := s.get("rec.ism/QualityLevels(600000)/Fragments(video=" + time + ",format=mpd-time-csf)")
				mdat := func(b []byte) []byte { return b[bytes.LastIndex(b, []byte("mdat"))+4:] }
				if !bytes.Equal(mdat(got), mdat(b)) {
					t.Errorf("%s: %d bytes of media, the blob has %d", time, len(mdat(got)), len(mdat(b)))
				}
			}
			mpd := string(s.get("rec.ism/manifest(format=mpd-time-csf)"))
			if !regexp.MustCompile(`presentationTimeOffset="15447164(59|58)\d{7}"`).MatchString(mpd) || !strings.Contains(mpd, `mediaPresentationDuration="PT7.`) {
				t.Errorf("MPD:\n%s", mpd)
			}
			if hls := string(s.get("rec.ism/QualityLevels(600000)/Manifest(video,format=m3u8-aapl)")); !strings.Contains(hls, "#EXT-X-PROGRAM-DATE-TIME:2018-12-13T15:54:19.000+00:00") {
				t.Errorf("playlist:\n%s", hls)
			}
			// What one rendition lacks at the end the others do not offer.
			var gone string
			for name := range files {
				if strings.HasPrefix(name, "cam_600000/") && !strings.HasSuffix(name, "header") && name > gone {
					gone = name
				}
			}
			s.remove(gone)
			s.put("cam_600000/header", files["cam_600000/header"]) // another version
			later.Add(int64(2 * recheck))
			_, last, _ := strings.Cut(gone, "/")
			s.refused("rec.ism/QualityLevels(600000)/Fragments(video="+last+",format=mpd-time-csf)", 404, string(packager.FragmentTimestampNotFound))
			s.refused("rec.ism/QualityLevels(150000)/Fragments(video="+last+",format=mpd-time-csf)", 404, string(packager.FragmentTimestampNotFound))
			s.probed("rec.ism/manifest(format=m3u8-cmaf)", probe.Config{})
			s.remove("cam_600000/header")
			later.Add(int64(2 * recheck))
			s.refused("rec.ism/manifest", 404, string(packager.StorageResourceNotFound), "cam_600000", "header")
		})
	}
}

func TestLiveArchiveProtected(t *testing.T) {
	s, _, guarded := newShielded(t, everything, allKeys()...)
	for name, b := range archive(t, "vod-cmaf", 1544716459) {
		s.put(name, b)
	}
	s.under(guarded, func() {
		c := probe.Config{Keys: map[string][]byte{strings.ReplaceAll(kidVideo, "-", ""): valueVideo}, Client: &http.Client{Transport: keyServer(valueVideo)}}
		for _, f := range []string{"format=m3u8-aapl,encryption=cbc", "format=m3u8-aapl,encryption=cbcs-aapl", "format=mpd-time-cmaf,encryption=cenc", "format=m3u8-cmaf,encryption=cbcs-aapl", "encryption=piff"} {
			s.probed("rec.ism/manifest("+f+")", c)
		}
	})
}

// TestGrowing plays what there is of an encode under way: more each time, without
// an end until all is there, and not kept by caches.
func TestGrowing(t *testing.T) {
	var later atomic.Int64
	s := newStage(t, func(c *Config) { c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) } })
	files := archive(t, "vod-cmaf", 0)
	manifest := func(early string) {
		s.put("rec.ism", bytes.Replace(files["rec.ism"], []byte("<head>"), []byte(`<head><meta name="openamsEarly" content="`+early+`"/>`), 1))
		later.Add(int64(2 * recheck))
	}
	put := func(until int) {
		for name, b := range files {
			if _, base, ok := strings.Cut(name, "/"); ok {
				if at, err := strconv.Atoi(base); err != nil || at < until { // header is no number
					s.put(name, b)
				}
			}
		}
		later.Add(int64(2 * recheck))
	}
	const playlist = "rec.ism/QualityLevels(600000)/Manifest(video,format=m3u8-cmaf)"
	look := func(segments int, has, hasNot string) {
		t.Helper()
		res, b := s.do("GET", s.at(playlist))
		text := string(b)
		if n := strings.Count(text, "#EXTINF"); n != segments || !strings.Contains(text, has) || strings.Contains(text, hasNot) {
			t.Errorf("%d segments, want %d, with %q and without %q:\n%s", n, segments, has, hasNot, text)
		}
		if got := res.Header.Get("Cache-Control"); got != "public, max-age=1" {
			t.Errorf("Cache-Control %q", got)
		}
	}
	put(4 * packager.Timescale)
	manifest("growing")
	look(2, "#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-START:TIME-OFFSET=0\n", "#EXT-X-ENDLIST")
	for _, f := range everyFormat {
		if r := s.probed("rec.ism/manifest("+f+")", probe.Config{}); r.Live != strings.Contains(f, "m3u8") {
			t.Errorf("%s: live: %v", f, r.Live)
		}
	}
	for _, f := range []string{"m3u8-cmaf", "m3u8-aapl", "m3u8-aapl"} { // made, and then kept
		res, _ := s.do("GET", s.at("rec.ism/QualityLevels(600000)/Fragments(video=0,format="+f+")"))
		if got := res.Header.Get("Cache-Control"); res.StatusCode != 200 || got != "public, max-age=60" {
			t.Errorf("%s: %s: Cache-Control of a segment %q", f, res.Status, got)
		}
	}
	put(6 * packager.Timescale)
	look(3, "EVENT", "#EXT-X-ENDLIST")
	manifest("whole")
	look(3, "#EXT-X-ENDLIST", "EVENT")
}
