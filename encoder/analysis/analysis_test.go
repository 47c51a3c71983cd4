package analysis

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/packager/text"
)

const whisper = `{"systeminfo":"AVX","model":{"type":"base"},"params":{"language":"en"},"result":{"language":"en"},"transcription":[
	{"timestamps":{"from":"00:00:00,000","to":"00:00:02,400"},"offsets":{"from":0,"to":2400},"text":" Cats & dogs are animals.","tokens":[{"text":"[_BEG_]","p":0.2},{"text":" Cats","p":0.9},{"text":" &","p":0.7}]},
	{"offsets":{"from":2400,"to":2400},"text":" -->\n\nCats like fish."},
	{"offsets":{"from":9000,"to":9500},"text":"   "}]}`

func TestSpeech(t *testing.T) {
	s, err := ParseSpeech([]byte(whisper))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Phrases) != 2 || s.Language != "en" || s.Phrases[0].Confidence < 0.79 || s.Phrases[0].Confidence > 0.81 || s.Phrases[1].Text != "--> Cats like fish." {
		t.Errorf("%+v", s)
	}
	s.Shift(time.Second)
	d, err := text.Parse(s.WebVTT())
	if err != nil {
		t.Fatalf("%v: %s", err, s.WebVTT())
	}
	cues := string(d.WebVTT(0, time.Hour, 0))
	if strings.Count(cues, " --> ") != 2 || !strings.Contains(cues, "00:00:01.000 --> 00:00:03.400\nCats &amp; dogs are animals.") || !strings.Contains(cues, "00:00:03.400 --> 00:00:03.401\n--&gt; Cats like fish.") {
		t.Errorf("%s", cues)
	}
	if k := s.Keywords(); k[0].Text != "Cats" || k[0].Count != 2 || !slices.Equal(k[0].Phrases, []int{0, 1}) {
		t.Errorf("%+v", k)
	}
	if sami := string(s.SAMI("a <b>")); !strings.Contains(sami, "<TITLE>a &lt;b&gt;</TITLE>") || !strings.Contains(sami, "<SYNC Start=1000><P Class=ENCC>Cats &amp; dogs are animals.</P></SYNC>\n<SYNC Start=3400>") {
		t.Errorf("%s", sami)
	}
	x := Insights{Duration: 10 * time.Second, Transcript: s}
	b, err := x.JSON(false)
	if err != nil || !json.Valid(b) || !strings.Contains(string(b), `"end": "00:00:03.4000000"`) || !strings.Contains(string(b), "speakerWordCount") || strings.Contains(string(b), "faces") {
		t.Errorf("%s, %v", b, err)
	}
	if b, err = x.JSON(true); err != nil || strings.Contains(string(b), "statistics") {
		t.Errorf("%s, %v", b, err)
	}
}

func TestSpeechRefuses(t *testing.T) {
	for _, s := range []string{``, `[]`, `{}`, `{"transcription":[{"offsets":{"from":5,"to":4}}]}`, `{"transcription":[{"offsets":{"from":-1,"to":4}}]}`, `{"transcription":[{"offsets":{"from":0,"to":86400000001}}]}`} {
		if p, err := ParseSpeech([]byte(s)); err == nil {
			t.Errorf("%s: %+v", s, p)
		}
	}
}

func TestDetectionsRefuse(t *testing.T) {
	for _, tt := range []struct{ text, says string }{
		{`{"interval":1}`, "no samples"},
		{`{"samples":[]}`, "interval"},
		{`{"interval":1,"samples":[{"time":2},{"time":1}]}`, "samples[1].time"},
		{`{"interval":1,"samples":[{"time":-1}]}`, "samples[0].time"},
		{`{"interval":1,"samples":[{"time":0,"faces":[{"x":0,"y":0,"width":0,"height":1}]}]}`, "faces[0]"},
		{`{"interval":1,"samples":[{"time":0,"faces":[{"id":-2,"x":0,"y":0,"width":1,"height":1}]}]}`, "faces[0].id"},
		{`{"interval":1,"samples":[{"time":0,"faces":[{"x":0,"y":0,"width":1,"height":1,"emotions":{"boredom":1}}]}]}`, "boredom"},
		{`{"interval":1,"samples":[{"time":0,"motion":[{"x":1.2,"y":0,"width":0.1,"height":1}]}]}`, "beside"},
		{`{"interval":1,"samples":[{"time":0,"regions":[{"lines":[{"text":"a","x":0,"y":0,"width":1,"height":9}]}]}]}`, "regions[0].lines[0]"},
		{`{"interval":1,"samples":[{"time":0,"moderation":{"adultScore":2}}]}`, "moderation"},
		{`{"interval":1,"samples":[{"time":0,"faces":[` + strings.Repeat(`{},`, 64) + `{}]}]}`, "more than 64"},
	} {
		if _, err := ParseDetections([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%.120s: %v", tt.text, err)
		}
	}
}

// Fragments follow each other, quiet ones are joined, and what is read back is
// what was written.
func TestFragments(t *testing.T) {
	d, err := ParseDetections([]byte(`{"interval":0.0333667,"samples":[{"time":4.1,"faces":[{"id":7,"x":-0.1,"y":0.5,"width":0.3,"height":0.25}]},{"time":9.5,"faces":[{"id":3,"x":0.5,"y":0.5,"width":0.1,"height":0.1}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.AnnotationsJSON(Video{Width: 1280, Height: 720, Num: 30000, Den: 1001, Duration: 12 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var doc document
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	var shape []bool
	next := int64(0)
	for _, f := range doc.Fragments {
		if f.Start != next || f.Interval%1001 != 0 {
			t.Errorf("a fragment %d + %d every %d, after %d", f.Start, f.Duration, f.Interval, next)
		}
		next = f.Start + f.Duration
		shape = append(shape, f.Events != nil)
	}
	if !slices.Equal(shape, []bool{false, true, false, true, false}) || doc.Framerate != 29.97 || doc.Timescale != 30000 {
		t.Errorf("%v, %v of %d", shape, doc.Framerate, doc.Timescale)
	}
	again, err := ParseAnnotations(b)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.IDs(), []int{3, 7}) {
		t.Errorf("%v", again.IDs())
	}
	at, box := again.Best(7)
	if off := (at - 4100*time.Millisecond).Abs(); off > 34*time.Millisecond || box.X != 0 || box.Width < 0.199 || box.Width > 0.201 {
		t.Errorf("%v, %+v", at, box)
	}
	if empty, err := (&Detections{Interval: 1, Samples: []Sample{}}).AnnotationsJSON(Video{Width: 2, Height: 2, Num: 25000, Den: 1000, Duration: time.Second}); err != nil || !strings.Contains(string(empty), `"fragments": [`) {
		t.Errorf("%s, %v", empty, err)
	}
}

func FuzzParseSpeech(f *testing.F) {
	f.Add([]byte(whisper))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSpeech(b)
		if err != nil {
			return
		}
		if _, err := text.Parse(s.WebVTT()); err != nil {
			t.Fatalf("%v: %s", err, s.WebVTT())
		}
		if _, err := s.TTML(); err != nil {
			t.Fatal(err)
		}
		s.SAMI("")
		s.KeywordsXML()
		x := Insights{Transcript: s}
		if b, err := x.JSON(false); err != nil || !json.Valid(b) {
			t.Fatalf("%s, %v", b, err)
		}
	})
}

func FuzzParseDetections(f *testing.F) {
	f.Add([]byte(`{"interval":0.5,"samples":[{"time":0,"faces":[{"id":1,"x":0.1,"y":0.1,"width":0.2,"height":0.3,"emotions":{"neutral":1}}],"motion":[{"x":0,"y":0,"width":1,"height":1}],
		"regions":[{"language":"English","lines":[{"text":"a","x":0,"y":0,"width":1,"height":1,"words":[{"text":"a","x":0,"y":0,"width":1,"height":1}]}]}],"moderation":{"adultScore":1}}]}`))
	f.Add([]byte(`{"timescale":30000,"offset":0,"fragments":[{"start":0,"duration":60060},{"start":60060,"duration":60060,"interval":1001,"events":[[{"index":0,"id":1,"x":0.1,"y":0.1,"width":0.2,"height":0.2}],[]]}]}`))
	v := Video{Width: 640, Height: 360, Num: 25000, Den: 1000, Duration: 3 * time.Second}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (*Detections, error){ParseDetections, ParseAnnotations} {
			d, err := parse(b)
			if err != nil {
				continue
			}
			for _, write := range []func() ([]byte, error){
				func() ([]byte, error) { return d.AnnotationsJSON(v) },
				func() ([]byte, error) { return d.FacesJSON(v, true) },
				func() ([]byte, error) { return d.MotionJSON(v, nil, true, time.Second) },
				func() ([]byte, error) { return d.TextJSON(v, true) },
				func() ([]byte, error) { return d.ModerationJSON(v, nil) },
				func() ([]byte, error) { return (&Insights{Faces: d, Text: d, Moderation: d}).JSON(false) },
			} {
				if out, err := write(); err != nil || !json.Valid(out) {
					t.Fatalf("%s, %v", out, err)
				}
			}
		}
	})
}
