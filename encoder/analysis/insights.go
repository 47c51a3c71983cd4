package analysis

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Insights are the content of insights.json. A list that is nil was not looked
// for and is left out; one that is empty was looked for in vain.
type Insights struct {
	Duration   time.Duration
	Transcript *Transcript
	Shots      []time.Duration // where they begin, but for the first; nil: not looked for
	Faces      *Detections
	Text       *Detections
	Moderation *Detections
	Thumbnails map[int]string // names of the pictures of faces, by id
}

type instance struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// insightClock is hh:mm:ss.fffffff.
func insightClock(t time.Duration) string {
	t = max(0, t)
	return fmt.Sprintf("%02d:%02d:%02d.%07d", int64(t/time.Hour), int64(t/time.Minute)%60, int64(t/time.Second)%60, int64(t%time.Second)/100)
}

func between(from, to time.Duration) instance { return instance{insightClock(from), insightClock(to)} }

// JSON returns the file. basic leaves out what the mode Basic of AMS had not.
func (x *Insights) JSON(basic bool) ([]byte, error) {
	type phrase struct {
		ID         int        `json:"id"`
		Text       string     `json:"text"`
		Confidence float64    `json:"confidence,omitempty"`
		SpeakerID  int        `json:"speakerId"`
		Language   string     `json:"language"`
		Instances  []instance `json:"instances"`
	}
	type keyword struct {
		ID        int        `json:"id"`
		Text      string     `json:"text"`
		Language  string     `json:"language"`
		Instances []instance `json:"instances"`
	}
	type thing struct { // a face, a text, a shot, a finding of moderation
		ID          int        `json:"id"`
		Name        string     `json:"name,omitempty"`
		Text        string     `json:"text,omitempty"`
		Language    string     `json:"language,omitempty"`
		Confidence  float64    `json:"confidence,omitempty"`
		Thumbnail   string     `json:"thumbnail,omitempty"`
		AdultScore  *float64   `json:"adultScore,omitempty"`
		RacyScore   *float64   `json:"racyScore,omitempty"`
		Instances   []instance `json:"instances"`
		Left        *float64   `json:"left,omitempty"` // in parts of the picture, as the next
		Top         *float64   `json:"top,omitempty"`
		Width       *float64   `json:"width,omitempty"`
		Height      *float64   `json:"height,omitempty"`
		Recommended *bool      `json:"reviewRecommended,omitempty"`
	}
	var out struct {
		Duration   string     `json:"duration"`
		Language   string     `json:"sourceLanguage,omitempty"`
		Transcript *[]phrase  `json:"transcript,omitempty"`
		Keywords   *[]keyword `json:"keywords,omitempty"`
		OCR        *[]thing   `json:"ocr,omitempty"`
		Faces      *[]thing   `json:"faces,omitempty"`
		Shots      *[]thing   `json:"shots,omitempty"`
		Moderation *[]thing   `json:"visualContentModeration,omitempty"`
		Statistics any        `json:"statistics,omitempty"`
	}
	out.Duration = insightClock(x.Duration)
	if t := x.Transcript; t != nil {
		out.Language = t.Language
		out.Transcript, out.Keywords = &[]phrase{}, &[]keyword{}
		for i, p := range t.Phrases {
			*out.Transcript = append(*out.Transcript, phrase{i, p.Text, p.Confidence, 1, t.Language, []instance{between(p.Start, p.End)}})
		}
		for i, k := range t.Keywords() {
			w := keyword{ID: i, Text: k.Text, Language: t.Language}
			for _, n := range k.Phrases {
				w.Instances = append(w.Instances, between(t.Phrases[n].Start, t.Phrases[n].End))
			}
			*out.Keywords = append(*out.Keywords, w)
		}
		if !basic {
			out.Statistics = t.statistics(x.Duration)
		}
	}
	if x.Shots != nil {
		out.Shots = &[]thing{}
		from := time.Duration(0)
		for i, to := range append(slices.Clone(x.Shots), x.Duration) {
			*out.Shots = append(*out.Shots, thing{ID: i, Instances: []instance{between(from, to)}})
			from = to
		}
	}
	if x.Faces != nil {
		out.Faces = &[]thing{}
		for i, id := range x.Faces.IDs() {
			f := thing{ID: id, Name: fmt.Sprintf("Unknown #%d", i+1), Thumbnail: x.Thumbnails[id]}
			for _, s := range x.Faces.runs(func(s *Sample) bool { return slices.ContainsFunc(s.Faces, func(f Face) bool { return f.ID == id }) }) {
				f.Instances = append(f.Instances, between(s[0], s[1]))
			}
			*out.Faces = append(*out.Faces, f)
		}
	}
	if x.Text != nil {
		out.OCR = &[]thing{}
		for _, s := range x.Text.lines() {
			l := s.line
			t := thing{ID: len(*out.OCR), Text: l.Text, Language: s.language, Confidence: l.Confidence, Left: &l.X, Top: &l.Y, Width: &l.Width, Height: &l.Height}
			for _, r := range s.shown {
				t.Instances = append(t.Instances, between(r[0], r[1]))
			}
			*out.OCR = append(*out.OCR, t)
		}
	}
	if x.Moderation != nil {
		out.Moderation = &[]thing{}
		for i := range x.Moderation.Samples {
			s := &x.Moderation.Samples[i]
			if m := s.Moderation; m != nil {
				*out.Moderation = append(*out.Moderation, thing{ID: len(*out.Moderation), AdultScore: &m.Adult, RacyScore: &m.Racy, Recommended: &m.Review,
					Instances: []instance{between(s.at(), s.at()+x.Moderation.step())}})
			}
		}
	}
	return json.MarshalIndent(out, "", "  ")
}

// statistics are those of a single speaker: who speaks when is not told apart.
func (t *Transcript) statistics(length time.Duration) any {
	words, talk, longest, run := 0, time.Duration(0), time.Duration(0), time.Duration(0)
	fragments := 0
	for i, p := range t.Phrases {
		words += len(strings.Fields(p.Text))
		talk += p.End - p.Start
		const pause = 2 * time.Second
		if i == 0 || p.Start-t.Phrases[i-1].End > pause {
			fragments++
			run = 0
		}
		run += p.End - p.Start
		longest = max(longest, run)
	}
	type one map[string]float64
	ratio := 0.0
	if length > 0 {
		ratio = min(1, talk.Seconds()/length.Seconds())
	}
	return map[string]any{
		"correspondenceCount":      0,
		"speakerWordCount":         one{"1": float64(words)},
		"speakerNumberOfFragments": one{"1": float64(fragments)},
		"speakerLongestMonolog":    one{"1": longest.Seconds()},
		"speakerTalkToListenRatio": one{"1": ratio},
	}
}
