package text

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

const vttFile = "\ufeffWEBVTT - a film\nLanguage: en\n\nSTYLE\n::cue { color: yellow }\n\nNOTE\nnot shown\n\n" +
	"1\n00:01.000 --> 00:03.500 align:start line:0\n<i>Hello</i> &amp; <c.loud>welcome</c>\nto <v Ann>the film\n\n" +
	"00:05.000 --> 00:07.000\nover the <b>edge</b>\n\n00:06.000 --> 00:06.500\ntwo\n\nnonsense\nwithout times\n\n01:00:00.000 --> 01:00:01.000\nlate"

const ttmlFile = `<?xml version="1.0" encoding="UTF-8"?>
<tt:tt xmlns:tt="http://www.w3.org/ns/ttml" xmlns:tts="http://www.w3.org/ns/ttml#styling" xmlns:ttp="http://www.w3.org/ns/ttml#parameter" xml:lang="de" ttp:frameRate="25" ttp:tickRate="10000000">
 <tt:head><tt:layout><tt:region xml:id="r"/></tt:layout></tt:head>
 <tt:body begin="1s"><tt:div>
  <tt:p region="r" begin="00:00:00:00" end="00:00:02:12">Guten <tt:span tts:fontStyle="italic">Tag</tt:span><tt:br/>&lt;Welt&gt;</tt:p>
  <tt:p begin="40000000t" dur="2s">über den Rand</tt:p>
  <tt:p><tt:span begin="9s" end="10s">allein</tt:span></tt:p>
 </tt:div></tt:body>
</tt:tt>`

func parse(t testing.TB, s string) *Doc {
	t.Helper()
	d, err := Parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func at(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

func TestVTT(t *testing.T) {
	d := parse(t, vttFile)
	if d.Codec != "wvtt" || d.Language != "en" || len(d.cues) != 4 {
		t.Fatalf("%+v", d)
	}
	const head = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:900000,LOCAL:00:00:00.000\n\nSTYLE\n::cue { color: yellow }\n\n"
	for _, tt := range []struct {
		from, to float64
		want     string
	}{
		{0, 6, "1\n00:00:01.000 --> 00:00:03.500 align:start line:0\n<i>Hello</i> &amp; <c.loud>welcome</c>\nto <v Ann>the film\n\n00:00:05.000 --> 00:00:07.000\nover the <b>edge</b>\n\n"},
		{6, 12, "00:00:05.000 --> 00:00:07.000\nover the <b>edge</b>\n\n00:00:06.000 --> 00:00:06.500\ntwo\n\n"},
		{3600, 3606, "01:00:00.000 --> 01:00:01.000\nlate\n\n"},
		{12, 18, ""},
	} {
		if got := string(d.WebVTT(at(tt.from), at(tt.to), 900000)); got != head+tt.want {
			t.Errorf("%v to %v:\n%s", tt.from, tt.to, got)
		}
	}
}

// What wvtt and TTML show at each moment is what the file says.
func TestForms(t *testing.T) {
	for _, source := range []string{vttFile, ttmlFile} {
		d := parse(t, source)
		for from := time.Duration(0); from < at(18); from += at(6) {
			to := from + at(6)
			want := shown(d, from, to)
			samples, err := d.Samples(from, to)
			if err != nil {
				t.Fatal(err)
			}
			var ttml string
			if d.Codec == "stpp" {
				ttml = string(samples[0].Data)
			} else {
				now := from
				back := &Doc{}
				for _, s := range samples {
					if err := back.addWVTT(s.Data, now, now+s.Length); err != nil {
						t.Fatal(err)
					}
					now += s.Length
				}
				back.sort()
				if now != to {
					t.Errorf("samples end at %s", now)
				}
				if got := shown(back, from, to); got != want {
					t.Errorf("wvtt shows\n%s\nthe file\n%s", got, want)
				}
				ttml = string(d.TTML(from, to, 0))
			}
			if got := shown(parse(t, ttml), from, to); got != plain(want) {
				t.Errorf("TTML shows\n%s\nthe file\n%s\n%s", got, plain(want), ttml)
			}
			relative := parse(t, string(d.TTML(from, to, from)))
			if got, want := shown(relative, 0, at(6)), shown(parse(t, ttml), from, to); got != moved(t, want, from) {
				t.Errorf("from %s TTML shows\n%s\nwant\n%s", from, got, moved(t, want, from))
			}
		}
	}
}

// shown says what d shows when, cut to [from, to).
func shown(d *Doc, from, to time.Duration) string {
	var b strings.Builder
	for _, c := range d.within(from, to) {
		fmt.Fprintf(&b, "%s %s %s\n", clock(max(c.start, from)), clock(min(c.end, to)), strings.ReplaceAll(c.text, "\n", "|"))
	}
	return b.String()
}

// plain takes out the tags that TTML does not get.
func plain(s string) string {
	return strings.NewReplacer("<c.loud>", "", "</c>", "", "<v Ann>", "").Replace(s)
}

func moved(t *testing.T, s string, by time.Duration) string {
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
		if line == "" {
			continue
		}
		f := strings.SplitN(line, " ", 3)
		from, ok1 := vttTime(f[0])
		to, ok2 := vttTime(f[1])
		if !ok1 || !ok2 {
			t.Fatal(line)
		}
		fmt.Fprintf(&b, "%s %s %s\n", clock(from-by), clock(to-by), f[2])
	}
	return b.String()
}

func TestTTML(t *testing.T) {
	d := parse(t, ttmlFile)
	want := "00:00:01.000 00:00:03.480 Guten <i>Tag</i>|&lt;Welt&gt;\n00:00:05.000 00:00:07.000 über den Rand\n00:00:10.000 00:00:11.000 allein\n"
	if got := shown(d, 0, at(60)); got != want || d.Language != "de" {
		t.Errorf("%s:\n%s", d.Language, got)
	}
	if s := string(d.TTML(at(6), at(12), 0)); !strings.Contains(s, `<tt:region xml:id="r"/>`) || strings.Contains(s, "Guten") || !strings.Contains(s, `begin="00:00:06.000" end="00:00:07.000"`) {
		t.Error(s)
	}
	units := utf16.Encode([]rune("\ufeff" + strings.Replace(ttmlFile, "UTF-8", "utf-16", 1)))
	var wide []byte
	for _, u := range units {
		wide = binary.LittleEndian.AppendUint16(wide, u)
	}
	if got := shown(parse(t, string(wide)), 0, at(60)); got != want {
		t.Errorf("as UTF-16:\n%s", got)
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("<div>", 40) + strings.Repeat("</div>", 40)
	tt := func(body string) string { return `<tt xmlns="http://www.w3.org/ns/ttml">` + body + `</tt>` }
	for source, says := range map[string]string{
		"":                                     "neither",
		"hello":                                "neither",
		"WEBVTTX":                              "first line",
		"WEBVTT\n\n00:02.000 --> 00:01.000\nx": "line 3: the cue ends at 00:01.000, before",
		"WEBVTT\n\n1\n0:02 --> 00:03.000\nx":   "line 4",
		"WEBVTT\n\n00:61.000 --> 01:03.000\nx": "line 3",
		"<html/>":                              "<html>",
		"<!DOCTYPE tt><tt/>":                   "document type",
		tt("<body>"):                           "closes no open element",
		"<tt><body>":                           "not closed",
		tt(deep):                               "32 deep",
		tt(`<body begin="soon"/>`):             `"soon"`,
		tt(`<body timeContainer="seq"/>`):      "seq",
		tt(`<body begin="1:2"/>`):              `"1:2"`,
		"<tt/><tt/>":                           "root element",
		"\x00\x00\x00\x08ftyp":                 "mp4",
		string(make([]byte, MaxSize+1)):        "too large",
		tt(strings.Repeat("<p/>", maxNodes+1)): "200000",
		"WEBVTT\n\nSTYLE\n" + strings.Repeat("a", 70000): "longer than",
	} {
		if _, err := Parse([]byte(source)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60q: %v, want %q", source, err, says)
		}
	}
	many := "WEBVTT\n\n"
	for i := range 3000 {
		many += fmt.Sprintf("00:00:00.000 --> 00:%02d:%02d.%03d\n%s\n\n", i/1000/60, i/1000%60, i%1000, strings.Repeat("x", 20))
	}
	if _, err := parse(t, many).Samples(0, at(6)); err == nil || !strings.Contains(err.Error(), "too much") {
		t.Errorf("3000 cues at the same time: %v", err)
	}
}

// A file of samples, as AMS made of an uploaded one, says what that said.
func TestMP4(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.mp4")
	d := parse(t, vttFile)
	b := mp4Of(t, d)
	if err := os.WriteFile(out, b, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=codec_type,codec_tag_string", "-of", "csv=p=0", out).CombinedOutput()
	if err != nil || !strings.Contains(string(info), "wvtt") {
		t.Errorf("ffprobe: %v: %s", err, info)
	}
	back := parse(t, string(b))
	if got, want := shown(back, 0, at(12)), shown(d, 0, at(12)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	e := parse(t, ttmlFile)
	if got, want := shown(parse(t, string(mp4Of(t, e))), 0, at(12)), shown(e, 0, at(12)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// mp4Of makes a fragmented MP4 of the first 12 s of d in two fragments.
func mp4Of(t *testing.T, d *Doc) []byte {
	t.Helper()
	u32 := func(v ...uint32) (b []byte) {
		for _, v := range v {
			b = binary.BigEndian.AppendUint32(b, v)
		}
		return b
	}
	b := box("ftyp", []byte("iso6\x00\x00\x00\x00iso6"))
	b = append(b, box("moov",
		box("mvhd", u32(0, 0, 0, 1000, 0, 0x10000), make([]byte, 76)),
		box("trak",
			box("tkhd", u32(7, 0, 0, 1, 0, 0), make([]byte, 60)),
			box("mdia",
				box("mdhd", u32(0, 0, 0, 1000, 0, 0x55c40000)),
				box("hdlr", u32(0, 0), []byte("text"), make([]byte, 13)),
				box("minf", box("stbl",
					box("stsd", u32(0, 1), d.SampleEntry()),
					box("stts", u32(0, 0)), box("stsc", u32(0, 0)), box("stco", u32(0, 0)), box("stsz", u32(0, 0, 0)))))),
		box("mvex", box("trex", u32(0, 1, 1, 0, 0, 0))))...)
	for from := time.Duration(0); from < at(12); from += at(6) {
		samples, err := d.Samples(from, from+at(6))
		if err != nil {
			t.Fatal(err)
		}
		var media bytes.Buffer
		run := u32(0x301, uint32(len(samples)), 0)
		for _, s := range samples {
			run = append(run, u32(uint32(s.Length.Milliseconds()), uint32(len(s.Data)))...)
			media.Write(s.Data)
		}
		moof := box("moof", box("mfhd", u32(0, 1)), box("traf", box("tfhd", u32(0x020000, 1)), box("tfdt", u32(0, uint32(from.Milliseconds()))), box("trun", run)))
		binary.BigEndian.PutUint32(moof[len(moof)-8*len(samples)-4:], uint32(len(moof)+8))
		b = append(append(b, moof...), box("mdat", media.Bytes())...)
	}
	return b
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(vttFile))
	f.Add([]byte(ttmlFile))
	f.Add([]byte("WEBVTT\n\n00:00.000 --> 99:00:00.000\n<i><b>a</i></b><\n-->"))
	f.Add([]byte(`<tt><body dur="1f"><p begin="1.5h" end="2t"><span dur="3ms">x</span></p></body></tt>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse(b)
		if err != nil {
			return
		}
		for _, from := range []time.Duration{0, at(6), at(3600)} {
			to := from + at(6)
			segment := d.WebVTT(from, to, 0)
			if _, err := Parse(segment); err != nil {
				t.Fatalf("the segment cannot be read: %v\n%s", err, segment)
			}
			doc := d.TTML(from, to, from)
			if err := xml.Unmarshal(doc, new(struct{ XMLName xml.Name })); err != nil && d.root == nil {
				t.Fatalf("the document cannot be read: %v\n%s", err, doc)
			}
			samples, err := d.Samples(from, to)
			if err != nil {
				continue
			}
			total := time.Duration(0)
			for _, s := range samples {
				if s.Length <= 0 {
					t.Fatalf("a sample lasts %s", s.Length)
				}
				total += s.Length
			}
			if total != to-from {
				t.Fatalf("the samples last %s", total)
			}
		}
	})
}
