package formats_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	boxes "github.com/Eyevinn/mp4ff/mp4"
	"github.com/asticode/go-astits"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/formats"
	"github.com/openams/openams/packager/mp4"
)

func assetNamed(t *testing.T, name string) *asset {
	t.Helper()
	for _, tt := range assets {
		if tt.name == name {
			return makeAsset(t, tt)
		}
	}
	t.Fatalf("no asset %q", name)
	return nil
}

// TestTransportStream reads segments with an independent demuxer: tables at the
// start of each, continuity counters that join, a clock that runs ahead of
// decoding and is told often enough.
func TestTransportStream(t *testing.T) {
	for _, name := range []string{"ladder", "hevc-23.976", "multi-audio"} {
		a := assetNamed(t, name)
		for _, per := range []int{1, 2} {
			a.FragmentsPerTS = per
			for _, s := range a.hls(t, "m3u8-aapl") {
				checkTransport(t, fmt.Sprintf("%s %s %d", name, s.track, per), s)
			}
		}
	}
}

func checkTransport(t *testing.T, name string, s stream) {
	t.Helper()
	at := 0
	for _, seg := range s.segments {
		if pid := int(s.media[at+1]&31)<<8 | int(s.media[at+2]); pid != 0 || s.media[at] != 0x47 {
			t.Errorf("%s: %s starts with a packet of PID %#x, not with the PAT", name, seg.rel, pid)
		}
		at += seg.size
	}
	demux := astits.NewDemuxer(context.Background(), bytes.NewReader(s.media), astits.DemuxerOptPacketSize(188))
	counters := map[uint16]uint8{}
	clock, told := int64(-1), 0
	for {
		p, err := demux.NextPacket()
		if errors.Is(err, astits.ErrNoMorePackets) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if last, ok := counters[p.Header.PID]; ok && p.Header.HasPayload && p.Header.ContinuityCounter != (last+1)&15 {
			t.Fatalf("%s: PID %#x: counter %d after %d", name, p.Header.PID, p.Header.ContinuityCounter, last)
		}
		counters[p.Header.PID] = p.Header.ContinuityCounter
		if a := p.AdaptationField; a != nil && a.HasPCR {
			now := a.PCR.Base
			if told++; told > 1 && (now < clock || now > clock+9000) {
				t.Fatalf("%s: clock %d after %d", name, now, clock)
			}
			clock = now
		}
	}
	if told == 0 {
		t.Errorf("%s: no clock", name)
	}
	demux = astits.NewDemuxer(context.Background(), bytes.NewReader(s.media), astits.DemuxerOptPacketSize(188))
	last, units, tables := map[uint16]int64{}, 0, 0
	for {
		d, err := demux.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d.PMT != nil {
			tables++
		}
		if d.PES == nil {
			continue
		}
		units++
		h := d.PES.Header.OptionalHeader
		pts, dts := h.PTS.Base, h.PTS.Base
		if h.DTS != nil {
			dts = h.DTS.Base
		}
		if before, ok := last[d.PID]; dts > pts || ok && dts <= before {
			t.Fatalf("%s: unit %d: DTS %d, PTS %d, after DTS %d", name, units, dts, pts, before)
		}
		last[d.PID] = dts
	}
	if units == 0 || tables == 0 {
		t.Errorf("%s: %d PES packets, %d PMTs", name, units, tables)
	}
}

// TestKeyframes fetches every byte range of the I-frame playlists and decodes
// it: one picture each.
func TestKeyframes(t *testing.T) {
	a := assetNamed(t, "ladder")
	line := regexp.MustCompile(`#EXT-X-BYTERANGE:(\d+)@(\d+)\n(.*)\n`)
	for _, format := range []string{"m3u8-cmaf", "m3u8-aapl"} {
		for _, per := range []int{1, 2} {
			a.FragmentsPerTS = per
			playlist := string(a.get(t, fmt.Sprintf("QualityLevels(300000)/Manifest(video,format=%s,type=keyframes)", format)))
			entries := line.FindAllStringSubmatch(playlist, -1)
			if len(entries) != 3 {
				t.Errorf("%s: %d key frames, want 3:\n%s", format, len(entries), playlist)
			}
			for _, e := range entries {
				var size, offset int
				fmt.Sscan(e[1], &size)
				fmt.Sscan(e[2], &offset)
				b := a.get(t, "QualityLevels(300000)/"+e[3])[offset : offset+size]
				path := filepath.Join(t.TempDir(), "key")
				if format == "m3u8-cmaf" {
					b = append(a.get(t, "QualityLevels(300000)/Fragments(video=i,format=m3u8-cmaf)"), b...)
				}
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				out, err := exec.Command("ffprobe", "-v", "error", "-show_frames", "-of", "json", path).Output()
				var probe struct {
					Frames []struct {
						Type string `json:"pict_type"`
					} `json:"frames"`
				}
				if err != nil || json.Unmarshal(out, &probe) != nil || len(probe.Frames) != 1 || probe.Frames[0].Type != "I" {
					t.Errorf("%s: %s: not one I picture: %v %s", format, e[3], err, out)
				}
			}
		}
	}
}

// TestFragmentsPerSegment asks for transport segments by the times of fragments
// that do and do not start one.
func TestFragmentsPerSegment(t *testing.T) {
	a := indexed(t, "ladder")
	a.FragmentsPerTS = 2
	f, err := formats.Lookup("M3U8-AAPL-v4")
	if err != nil {
		t.Fatal(err)
	}
	r := a.Tracks[0].Renditions[0]
	for _, tt := range []struct {
		time uint64
		code packager.Code
	}{{0, ""}, {60000000, packager.FragmentTimestampNotFound}, {120000000, ""}, {5, packager.FragmentTimestampNotFound}} {
		if _, err := f.Fragment(a.Presentation, r, tt.time); packager.CodeOf(err) != tt.code {
			t.Errorf("time %d: %v", tt.time, err)
		}
	}
	playlist, err := f.Playlist(a.Presentation, r, packager.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(playlist.Body), "#EXTINF"); n != 2 {
		t.Errorf("%d segments of 2 fragments, want 2:\n%s", n, playlist.Body)
	}
}

func TestLookup(t *testing.T) {
	if _, err := formats.Lookup("f4m-f4f"); packager.CodeOf(err) != packager.OutputFormatNotSupported {
		t.Errorf("unknown format: %v", err)
	}
}

// TestBoxes reads segments with an independent box library.
func TestBoxes(t *testing.T) {
	a := assetNamed(t, "muxed-29.97")
	for _, tt := range []struct {
		format, brand, fragment string
		tfdt, sdtp              bool
	}{
		{"m3u8-cmaf", "cmfc", "cmfs", true, false},
		{"mpd-time-cmaf", "cmfc", "cmfs", true, false},
		{"mpd-time-csf", "iso6", "msdh", true, false},
		{"", "", "", false, true},
	} {
		f, err := formats.Lookup(tt.format)
		if err != nil {
			t.Fatal(err)
		}
		for _, track := range a.Tracks {
			r := track.Renditions[0]
			var trackID uint32
			if f.Init != nil {
				s, err := f.Init(a.Presentation, r)
				if err != nil {
					t.Fatal(err)
				}
				file, err := boxes.DecodeFile(bytes.NewReader(s.Header))
				if err != nil {
					t.Fatalf("%s %s: %v", tt.format, track.Name, err)
				}
				if got := file.Ftyp.MajorBrand(); got != tt.brand {
					t.Errorf("%s: brand %s, want %s", tt.format, got, tt.brand)
				}
				trackID = file.Moov.Trak.Tkhd.TrackID
				if file.Moov.Mvex.Trex.TrackID != trackID {
					t.Errorf("%s: trex of another track", tt.format)
				}
				if edit := file.Moov.Trak.Edts; edit == nil || len(edit.Elst) != 1 || len(edit.Elst[0].Entries) != 1 || edit.Elst[0].Entries[0].MediaTime <= 0 {
					t.Errorf("%s %s: no edit list of one entry", tt.format, track.Name)
				}
			}
			decode := uint64(0)
			for k, fragment := range r.Fragments {
				s, err := f.Fragment(a.Presentation, r, fragment.Start)
				if err != nil {
					t.Fatal(err)
				}
				var b bytes.Buffer
				if _, err := s.WriteTo(&b, a.open(t)); err != nil {
					t.Fatal(err)
				}
				file, err := boxes.DecodeFile(&b)
				if err != nil {
					t.Fatalf("%s %s: %v", tt.format, track.Name, err)
				}
				styp := ""
				if file.Segments[0].Styp != nil {
					styp = file.Segments[0].Styp.MajorBrand()
				}
				if styp != tt.fragment {
					t.Errorf("%s: styp %q, want %q", tt.format, styp, tt.fragment)
				}
				moof := file.Segments[0].Fragments[0].Moof
				if moof.Mfhd.SequenceNumber != uint32(k+1) {
					t.Errorf("%s: sequence number %d of fragment %d", tt.format, moof.Mfhd.SequenceNumber, k)
				}
				if whole, _ := r.MP4Size(k, true); whole != s.Size && tt.brand == "cmfc" {
					t.Errorf("%q: %d bytes, said %d", tt.format, s.Size, whole)
				}
				if whole, _ := r.MP4Size(k, false); max(whole-s.Size, s.Size-whole) > s.Size/1000 && tt.brand == "cmfc" {
					t.Errorf("%q: %d bytes, estimated as %d", tt.format, s.Size, whole)
				}
				if trackID == 0 {
					trackID = moof.Traf.Tfhd.TrackID
				}
				if moof.Traf.Tfhd.TrackID != trackID {
					t.Errorf("%s: track %d, want %d", tt.format, moof.Traf.Tfhd.TrackID, trackID)
				}
				if (moof.Traf.Tfdt != nil) != tt.tfdt {
					t.Errorf("%s: tfdt %v", tt.format, moof.Traf.Tfdt != nil)
				}
				if tt.tfdt {
					if got := moof.Traf.Tfdt.BaseMediaDecodeTime(); got != decode {
						t.Errorf("%s %s: tfdt %d of fragment %d, want %d", tt.format, track.Name, got, k, decode)
					}
				}
				sdtp := slices.ContainsFunc(moof.Traf.Children, func(b boxes.Box) bool { return b.Type() == "sdtp" })
				if sdtp != (tt.sdtp && track.Name == "video") {
					t.Errorf("%q %s: sdtp %v", tt.format, track.Name, sdtp)
				}
				total := uint64(0)
				trun := moof.Traf.Trun
				for _, s := range trun.Samples {
					if trun.HasSampleDuration() {
						total += uint64(s.Dur)
					} else {
						total += uint64(moof.Traf.Tfhd.DefaultSampleDuration)
					}
				}
				decode += total
				if !tt.tfdt && k < len(r.Fragments)-1 && total != fragment.Length {
					t.Errorf("Smooth %s: samples of fragment %d last %d, the manifest says %d", track.Name, k, total, fragment.Length)
				}
				if int(trun.DataOffset) != int(moof.Size())+8 {
					t.Errorf("%s: data offset %d, moof has %d bytes", tt.format, trun.DataOffset, moof.Size())
				}
			}
		}
	}
}

// indexPackets returns what the index says of the packets of s. ffprobe leaves
// out those that edit lists of cameras skip; players must get them.
func (a *asset) indexPackets(t *testing.T, s stream) []packet {
	t.Helper()
	r, err := a.Rendition(s.track, s.bitrate)
	if err != nil {
		t.Fatal(err)
	}
	m := r.Media
	scale := float64(m.Timescale)
	var list []packet
	for i := range m.NumSamples() {
		x := m.Sample(i)
		dts := float64(int64(x.DTS)-m.EditStart) / scale
		list = append(list, packet{dts + float64(x.CTO)/scale, dts, float64(x.Dur) / scale, int(x.Size), x.Sync})
	}
	return list
}

// TestEdits plays files whose edit lists cut into a GOP, and delay the audio.
func TestEdits(t *testing.T) {
	for _, tt := range []assetOf{
		{"cut", []file{
			{"whole.mp4", picture + "25" + tone + " -t 9" + avc + " -c:a aac"},
			{"cut.mp4", "-ss 0.7 -i {dir}/whole.mp4 -c copy"},
		}, `<video src="cut.mp4"/><audio src="cut.mp4"/>`},
		{"late", []file{
			{"whole.mp4", picture + "25" + tone + " -t 9" + avc + " -c:a aac"},
			{"late.mp4", "-i {dir}/whole.mp4 -itsoffset 0.5 -i {dir}/whole.mp4 -map 0:v -map 1:a -c copy"},
		}, `<video src="late.mp4"/><audio src="late.mp4"/>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := makeAsset(t, tt)
			for _, format := range []string{"m3u8-cmaf", "m3u8-aapl"} {
				for _, s := range a.hls(t, format) {
					a.checkAgainst(t, format, s, a.indexPackets(t, s))
				}
			}
			for _, s := range a.dash(t, "mpd-time-csf") {
				a.checkAgainst(t, "mpd-time-csf", s, a.indexPackets(t, s))
			}
			if got := a.Of(mp4.Audio)[0].Renditions[0].Fragments[0].Start; (got > 4000000) != (tt.name == "late") {
				t.Errorf("audio starts at %d", got)
			}
		})
	}
}

// TestMedia plays files of OPENAMS_TEST_MEDIA that stream as they are.
func TestMedia(t *testing.T) {
	dir := os.Getenv("OPENAMS_TEST_MEDIA")
	if dir == "" {
		t.Skip("OPENAMS_TEST_MEDIA is not set: no files to play")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.m[op][v4]"))
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	for _, path := range paths {
		name := filepath.Base(path)
		x := index(t, dir, name)
		var streams string
		for _, track := range x.Tracks {
			if k := track.Kind.String(); k == "video" || k == "audio" {
				streams += fmt.Sprintf(`<%s src="%s"><param name="trackID" value="%d"/></%s>`, k, name, track.ID, k)
			}
		}
		p, err := tryPresent(streams, map[string]*mp4.Index{name: x})
		if err != nil {
			t.Logf("%s: %v", name, err)
			continue
		}
		played++
		a := &asset{dir, p}
		t.Run(name, func(t *testing.T) {
			for _, s := range a.hls(t, "m3u8-cmaf") {
				a.checkAgainst(t, "m3u8-cmaf", s, a.indexPackets(t, s))
			}
			for _, s := range a.hls(t, "m3u8-aapl") {
				a.checkAgainst(t, "m3u8-aapl", s, a.indexPackets(t, s))
			}
		})
	}
	if played == 0 {
		t.Error("nothing played")
	}
}

// BenchmarkSegment plans and writes a segment of 6 s and 1.4 MB in each format.
func BenchmarkSegment(b *testing.B) {
	dir := b.TempDir()
	const name = "bench.mp4"
	args := "-v error -f lavfi -i testsrc2=s=640x360:r=25:d=30 -f lavfi -i anoisesrc=r=48000:d=30:a=0.1 -vf noise=alls=40:allf=t -c:v libx264 -preset ultrafast -tune zerolatency -g 50 -b:v 1866k -minrate 1866k -maxrate 1866k -bufsize 1866k -c:a aac -b:a 128k"
	foreign := filepath.Join(dir, "foreign.mp4")
	if out, err := exec.Command("ffmpeg", append(strings.Fields(args), foreign)...).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	// The layout of our own encoder: a fragment is one extent.
	src, err := os.ReadFile(foreign)
	if err != nil {
		b.Fatal(err)
	}
	var own bytes.Buffer
	if err := mp4.Relayout(&own, bytes.NewReader(src), int64(len(src)), 0); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), own.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	x, err := indexFile(dir, name)
	if err != nil {
		b.Fatal(err)
	}
	p, err := tryPresent(`<video src="bench.mp4"/><audio src="bench.mp4"/>`, map[string]*mp4.Index{name: x})
	if err != nil {
		b.Fatal(err)
	}
	file, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	open := func(string) (io.ReaderAt, error) { return file, nil }
	for _, format := range []string{"m3u8-cmaf", "m3u8-aapl", "smooth"} {
		f, err := formats.Lookup(strings.TrimSuffix(format, "smooth"))
		if err != nil {
			b.Fatal(err)
		}
		for _, track := range p.Tracks {
			r := track.Renditions[0]
			b.Run(format+"/"+track.Name, func(b *testing.B) {
				b.ReportAllocs()
				var sent int64
				for i := 0; b.Loop(); i++ {
					s, err := f.Fragment(p, r, r.Fragments[i%5].Start)
					if err != nil {
						b.Fatal(err)
					}
					n, err := s.WriteTo(io.Discard, open)
					if err != nil {
						b.Fatal(err)
					}
					sent += n
				}
				b.ReportMetric(float64(sent)/1e6/b.Elapsed().Seconds(), "MB/s")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "segments/s")
			})
		}
	}
}
