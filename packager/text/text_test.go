package text

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// Times of every kind, nested and one after another, and what they come to.
func TestTTMLTimes(t *testing.T) {
	for _, tt := range []struct{ name, params, body, want string }{
		{"a duration ends before an end", ``, `<p begin="1s" end="9s" dur="2s">a</p>`, "1-3 a"},
		{"an end ends before a duration", ``, `<p begin="1s" end="2s" dur="9s">a</p>`, "1-2 a"},
		{"times count from what they stand in", ``, `<div begin="10s"><p begin="1s" end="2s">a</p><div begin="5s"><p begin="1s" dur="1s">b</p></div></div>`, "11-12 a, 16-17 b"},
		{"what they stand in ends them", ``, `<div begin="10s" dur="3s"><p begin="1s">a</p><p begin="2s" end="60s">b</p><p begin="4s">c</p></div>`, "11-13 a, 12-13 b"},
		{"body and paragraph and span", ``, `<div begin="1s" end="20s"><p begin="2s" dur="10s">a <span begin="3s" dur="2s">b</span></p></div>`, "3-13 a, 6-8 b"},
		{"a timed span in one without times", ``, `<p begin="1s" end="9s">a <span>b <span begin="2s" end="3s">c</span></span></p>`, "1-9 a b, 3-4 c"},
		{"paragraphs one after another", ``, `<div timeContainer="seq"><p dur="2s">a</p><p dur="3s">b</p><p begin="1s" dur="1s">c</p></div>`, "0-2 a, 2-5 b, 6-7 c"},
		{"the end in a sequence counts from the one before", ``, `<div timeContainer="seq"><p end="2s">a</p><p begin="1s" end="3s">b</p></div>`, "0-2 a, 3-5 b"},
		{"a sequence that begins later", ``, `<div timeContainer="seq" begin="10s"><p dur="2s">a</p><p dur="3s">b</p></div>`, "10-12 a, 12-15 b"},
		{"a sequence that is cut", ``, `<div timeContainer="seq" dur="3s"><p dur="2s">a</p><p dur="3s">b</p><p dur="3s">c</p></div>`, "0-2 a, 2-3 b"},
		{"nothing comes behind what has no end", ``, `<div timeContainer="seq" dur="9s"><p dur="2s">a</p><p>b</p><p dur="3s">c</p></div>`, "0-2 a, 2-9 b"},
		{"a container in a sequence lasts as long as what is in it", ``, `<div timeContainer="seq"><div><p dur="2s">a</p><p begin="1s" dur="3s">b</p></div><div><p dur="1s">c</p></div></div>`, "0-2 a, 1-4 b, 4-5 c"},
		{"an empty container takes no time", ``, `<div timeContainer="seq"><div><p>  </p></div><p dur="1s">a</p></div>`, "0-1 a"},
		{"sequences in a sequence", ``, `<div timeContainer="seq"><div timeContainer="seq"><p dur="1s">a</p><p dur="1s">b</p></div><p dur="1s">c</p></div>`, "0-1 a, 1-2 b, 2-3 c"},
		{"spans one after another", ``, `<p timeContainer="seq" begin="5s"><span dur="1s">a</span><span dur="1s">b</span></p>`, "5-6 a, 6-7 b"},
		{"characters in a sequence never show", ``, `<p timeContainer="seq" begin="5s">x<br/><span dur="1s">a</span></p>`, "5-6 a"},
		{"parallel is what is usual", ``, `<div timeContainer="par"><p dur="2s">a</p><p dur="3s">b</p></div>`, "0-2 a, 0-3 b"},
		{"offsets", `ttp:frameRate="25" ttp:tickRate="1000"`, `<p begin="50f" end="3500t">a</p><p begin="0.1m" dur="500ms">b</p><p begin="0.01h" dur="1s">c</p>`, "2-3.5 a, 6-6.5 b, 36-37 c"},
		{"frames without a rate", ``, `<p begin="00:00:01:15" end="60f">a</p>`, "1.5-2 a"},
		{"ticks of frames", `ttp:frameRate="20"`, `<p begin="20t" end="30t">a</p>`, "1-1.5 a"},
		{"ticks of parts of frames", `ttp:frameRate="20" ttp:subFrameRate="2"`, `<p begin="40t" end="60t">a</p>`, "1-1.5 a"},
		{"ticks alone", ``, `<p begin="1t" end="2t">a</p>`, "1-2 a"},
		{"a multiplier", `ttp:frameRate="30" ttp:frameRateMultiplier="1000 1001"`, `<p begin="30f" end="00:00:02:00">a</p>`, "1.001-2 a"},
		{"the multiplier of older documents", `ttp:frameRate="30" ttp:frameRateMultiplier="1000:1001"`, `<p begin="30f" end="60f">a</p>`, "1.001-2.002 a"},
		{"parts of frames", `ttp:frameRate="25" ttp:subFrameRate="4"`, `<p begin="00:00:01:05.2" end="00:00:02:00.0">a</p>`, "1.22-2 a"},
		{"fractions of seconds", ``, `<p begin="00:00:01.25" end="01:00:00.5">a</p>`, "1.25-3600.5 a"},
		{"time codes that count frames", `ttp:timeBase="smpte" ttp:frameRate="30" ttp:frameRateMultiplier="1000 1001" ttp:dropMode="nonDrop"`, `<p begin="00:00:10:00" end="01:00:00:00">a</p>`, "10.01-3603.6 a"},
		{"NTSC time codes that leave numbers out", `ttp:timeBase="smpte" ttp:frameRate="30" ttp:frameRateMultiplier="1000 1001" ttp:dropMode="dropNTSC"`, `<p begin="00:01:00:02" end="01:00:00:00">a</p>`, "60.06-3599.996 a"},
		{"PAL-M time codes that leave numbers out", `ttp:timeBase="smpte" ttp:frameRate="30" ttp:frameRateMultiplier="1000 1001" ttp:dropMode="dropPAL"`, `<p begin="00:00:30:00" end="01:00:00:00">a</p>`, "30.03-3599.996 a"},
		{"times that never end", ``, `<p begin="999999h">a</p><p begin="998h" dur="99h">b</p>`, "3592800-3596400 b"},
	} {
		d := parse(t, `<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter" `+tt.params+`><body>`+tt.body+`</body></tt>`)
		if got := times(d); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		// What is written for players says the same in the plainest of times.
		written := string(d.TTML(0, forever, 0))
		if got := times(parse(t, written)); got != tt.want {
			t.Errorf("%s: written it says %s, want %s\n%s", tt.name, got, tt.want, written)
		}
		for _, word := range []string{"timeContainer", "smpte", "dropMode", "dur=", "f\"", "t\""} {
			if strings.Contains(strings.ReplaceAll(written, `rameRate="`, ""), " "+word) {
				t.Errorf("%s: %q is left in %s", tt.name, word, written)
			}
		}
	}
}

// times says in seconds what shows when.
func times(d *Doc) string {
	var list []string
	for _, c := range d.cues {
		list = append(list, fmt.Sprintf("%s-%s %s", seconds(c.start), seconds(c.end), c.text))
	}
	return strings.Join(list, ", ")
}

func seconds(t time.Duration) string {
	return strconv.FormatFloat(float64(t.Milliseconds())/1000, 'f', -1, 64)
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
	f.Add([]byte(`<tt timeBase="smpte" dropMode="dropNTSC" frameRate="30" subFrameRate="2"><body timeContainer="seq"><div><p end="00:00:01:02.1">a<br/>b</p></div><p timeContainer="seq"><span dur="2f">x</span>y</p></body></tt>`))
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
