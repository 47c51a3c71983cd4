package analysis

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// A Video is what detectors say of the video that they looked at.
type Video struct {
	Width, Height int   // upright
	Num, Den      int64 // frames per second
	Duration      time.Duration
}

// timescale and frame are the clock of the JSON: ticks a second, and of a frame.
func (v Video) timescale() int64 { return v.Num }
func (v Video) frame() int64     { return v.Den }

// A fragment is a part of the time of a video, cut into events of equal length.
// One in which nothing was found has neither interval nor events.
type fragment struct {
	Start    int64   `json:"start"`
	Duration int64   `json:"duration"`
	Interval int64   `json:"interval,omitempty"`
	Events   [][]any `json:"events,omitempty"`
}

type document struct {
	Version   int        `json:"version"`
	Timescale int64      `json:"timescale"`
	Offset    int64      `json:"offset"`
	Framerate float64    `json:"framerate"`
	Width     int        `json:"width"`
	Height    int        `json:"height"`
	Total     int64      `json:"totalDuration,omitempty"`
	Regions   any        `json:"regions,omitempty"`
	Fragments []fragment `json:"fragments"`
	Faces     *int       `json:"facesDetected,omitempty"`
}

// document cuts what was found into fragments of about two seconds, as AMS did;
// events gives those of a sample, at most one look late.
func (d *Detections) document(version int, v Video, events func(*Sample) []any) document {
	scale := float64(v.timescale())
	step := max(1, int64(math.Round(d.Interval*scale)))
	if f := v.frame(); step > f { // whole frames
		step = (step + f/2) / f * f
	}
	doc := document{
		Version: version, Timescale: v.timescale(), Width: v.Width, Height: v.Height, Fragments: []fragment{},
		Framerate: math.Round(scale/float64(v.frame())*1000) / 1000,
	}
	total := int64(math.Round(v.Duration.Seconds() * scale))
	const most = 20_000_000 // events: 9 days of 25 frames a second
	step = max(step, total/most+1)
	const length = 2 // s
	per := max(1, int64(length*scale)/step)
	found := map[int64][]any{}
	last := int64(-1)
	for i := range d.Samples {
		s := &d.Samples[i]
		if s.Time > v.Duration.Seconds()+d.Interval {
			break // not of this video
		}
		if list := events(s); list != nil {
			slot := int64(s.Time * scale / float64(step))
			found[slot] = append(found[slot], list...)
			last = max(last, slot)
		}
	}
	slots := max((total+step-1)/step, last+1)
	quiet := func(start, duration int64) {
		if n := len(doc.Fragments); n > 0 && doc.Fragments[n-1].Events == nil {
			doc.Fragments[n-1].Duration += duration
			return
		}
		doc.Fragments = append(doc.Fragments, fragment{Start: start, Duration: duration})
	}
	if len(found) == 0 {
		if total > 0 {
			quiet(0, total)
		}
		return doc
	}
	for at := int64(0); at < slots; at += per {
		end := min(at+per, slots)
		f := fragment{Start: at * step, Duration: (end - at) * step, Interval: step}
		some := false
		for slot := at; slot < end; slot++ {
			list := found[slot]
			some = some || list != nil
			if list == nil {
				list = []any{}
			}
			f.Events = append(f.Events, list)
		}
		if !some {
			quiet(f.Start, f.Duration)
			continue
		}
		doc.Fragments = append(doc.Fragments, f)
	}
	return doc
}

type faceEvent struct {
	Index  *int               `json:"index,omitempty"`
	ID     int                `json:"id"`
	X      float64            `json:"x"`
	Y      float64            `json:"y"`
	Width  float64            `json:"width"`
	Height float64            `json:"height"`
	Scores map[string]float64 `json:"scores,omitempty"`
}

func round6(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// FacesJSON is the file of Azure Media Face Detector; with emotions, those of
// each face are in it.
func (d *Detections) FacesJSON(v Video, emotions bool) ([]byte, error) {
	doc := d.document(1, v, func(s *Sample) (list []any) {
		for _, f := range s.Faces {
			e := faceEvent{ID: f.ID, X: round6(f.X), Y: round6(f.Y), Width: round6(f.Width), Height: round6(f.Height)}
			if emotions {
				e.Scores = f.Emotions
			}
			list = append(list, e)
		}
		return list
	})
	n := len(d.IDs())
	doc.Faces = &n
	return encode(doc)
}

// AnnotationsJSON is the file of Azure Media Redactor (foo_annotations.json): its
// faces are numbered.
func (d *Detections) AnnotationsJSON(v Video) ([]byte, error) {
	return encode(d.document(1, v, func(s *Sample) (list []any) {
		for i, f := range s.Faces {
			list = append(list, faceEvent{Index: &i, ID: f.ID, X: round6(f.X), Y: round6(f.Y), Width: round6(f.Width), Height: round6(f.Height)})
		}
		return list
	}))
}

// EmotionsJSON is the file of Azure Media Face Detector in the mode
// aggregateEmotion: each every, over a window of time, the mean of all faces.
func (d *Detections) EmotionsJSON(v Video, window, every time.Duration) ([]byte, error) {
	type scores map[string]float64
	one := Detections{Interval: every.Seconds(), Samples: []Sample{}}
	means := map[float64][2]scores{}
	const most = 500_000 // events: no option is that fine
	for at := time.Duration(0); at < v.Duration && len(one.Samples) < most; at += every {
		one.Samples = append(one.Samples, Sample{Time: at.Seconds()})
	}
	from := 0
	for i := range one.Samples {
		at := one.Samples[i].Time
		dominant, mean := scores{}, scores{}
		for _, e := range Emotions {
			dominant[e], mean[e] = 0, 0
		}
		faces := 0.0
		for from < len(d.Samples) && d.Samples[from].Time < at {
			from++
		}
		for k := from; k < len(d.Samples) && d.Samples[k].Time < at+window.Seconds(); k++ {
			for _, f := range d.Samples[k].Faces {
				if f.Emotions == nil {
					return nil, errors.New("its faces have no emotions")
				}
				faces++
				best := ""
				for _, e := range Emotions {
					mean[e] += f.Emotions[e]
					if best == "" || f.Emotions[e] > f.Emotions[best] {
						best = e
					}
				}
				dominant[best]++
			}
		}
		for _, e := range Emotions {
			if faces > 0 {
				dominant[e], mean[e] = round6(dominant[e]/faces), round6(mean[e]/faces)
			}
		}
		means[at] = [2]scores{dominant, mean}
	}
	return encode(one.document(1, v, func(s *Sample) []any {
		m := means[s.Time]
		return []any{map[string]any{"windowFaceDistribution": m[0], "windowMeanScores": m[1]}}
	}))
}

// MotionJSON is the file of Azure Media Motion Detector. zones are those that it
// was to look at, each a list of points; nil for all of the picture. Events that
// are less than merge apart become one.
func (d *Detections) MotionJSON(v Video, zones [][]Point, light bool, merge time.Duration) ([]byte, error) {
	type location struct {
		X      float64 `json:"x"`
		Y      float64 `json:"y"`
		Width  float64 `json:"width"`
		Height float64 `json:"height"`
	}
	type event struct {
		Type      int        `json:"type"`
		Name      string     `json:"typeName"`
		Locations []location `json:"locations"`
		Region    int        `json:"regionId"`
	}
	samples := d.bridged(merge)
	doc := samples.document(2, v, func(s *Sample) (list []any) {
		var events []*event
		for _, m := range s.Motion {
			if m.Light && !light {
				continue
			}
			kind, name := 2, "motion"
			if m.Light {
				kind, name = 1, "lightChange"
			}
			i := slices.IndexFunc(events, func(e *event) bool { return e.Region == m.Zone && e.Type == kind })
			if i < 0 {
				i = len(events)
				events = append(events, &event{Type: kind, Name: name, Region: m.Zone})
			}
			events[i].Locations = append(events[i].Locations, location{round6(m.X), round6(m.Y), round6(m.Width), round6(m.Height)})
		}
		for _, e := range events {
			list = append(list, e)
		}
		return list
	})
	type region struct {
		ID     int      `json:"id"`
		Type   string   `json:"type"`
		Points []Point  `json:"points,omitempty"`
		X      *float64 `json:"x,omitempty"`
		Y      *float64 `json:"y,omitempty"`
		Width  *float64 `json:"width,omitempty"`
		Height *float64 `json:"height,omitempty"`
	}
	var regions []region
	for i, z := range zones {
		regions = append(regions, region{ID: i, Type: "polygon", Points: z})
	}
	if zones == nil {
		zero, one := 0.0, 1.0
		regions = []region{{Type: "rectangle", X: &zero, Y: &zero, Width: &one, Height: &one}}
	}
	doc.Regions = regions
	return encode(doc)
}

// A Point is in the picture, in parts of its size.
type Point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// bridged fills gaps without motion that are shorter than merge with the motion
// before them.
func (d *Detections) bridged(merge time.Duration) *Detections {
	if merge <= 0 {
		return d
	}
	out := &Detections{Interval: d.Interval, Samples: slices.Clone(d.Samples)}
	last := -1
	for i := range out.Samples {
		if out.Samples[i].Motion == nil {
			continue
		}
		if last >= 0 && out.Samples[i].at()-out.Samples[last].at() <= merge {
			for k := last + 1; k < i; k++ {
				out.Samples[k].Motion = out.Samples[last].Motion
			}
		}
		last = i
	}
	return out
}

// TextJSON is the file of Azure Media OCR: texts alone, or, advanced, where each
// line and word is, in pixels.
func (d *Detections) TextJSON(v Video, advanced bool) ([]byte, error) {
	type word struct {
		Text       string `json:"text"`
		Left       int    `json:"left"`
		Top        int    `json:"top"`
		Right      int    `json:"right"`
		Bottom     int    `json:"bottom"`
		Confidence int    `json:"confidence,omitempty"` // of 1000
	}
	type line struct {
		word
		Words []word `json:"word"`
	}
	type region struct {
		Language    string `json:"language"`
		Orientation string `json:"orientation"`
		Lines       []line `json:"lines"`
	}
	place := func(text string, b Box, confidence float64) word {
		w, h := float64(v.Width), float64(v.Height)
		return word{text, int(math.Round(b.X * w)), int(math.Round(b.Y * h)), int(math.Round((b.X + b.Width) * w)), int(math.Round((b.Y + b.Height) * h)),
			int(math.Round(confidence * 1000))}
	}
	return encode(d.document(1, v, func(s *Sample) (list []any) {
		for _, r := range s.Regions {
			if !advanced {
				text := ""
				for i, l := range r.Lines {
					if i > 0 {
						text += " "
					}
					text += l.Text
				}
				list = append(list, map[string]string{"language": r.Language, "text": text})
				continue
			}
			out := region{Language: r.Language, Orientation: r.Orientation, Lines: []line{}}
			for _, l := range r.Lines {
				o := line{word: place(l.Text, l.Box, 0), Words: []word{}}
				for _, w := range l.Words {
					o.Words = append(o.Words, place(w.Text, w.Box, w.Confidence))
				}
				out.Lines = append(out.Lines, o)
			}
			list = append(list, map[string]any{"region": out})
		}
		return list
	}))
}

// ModerationJSON is the file of Azure Media Content Moderator. shots are where
// shots begin, but for the first.
func (d *Detections) ModerationJSON(v Video, shots []time.Duration) ([]byte, error) {
	type event struct {
		Review    bool    `json:"reviewRecommended"`
		Adult     float64 `json:"adultScore"`
		Racy      float64 `json:"racyScore"`
		Index     int64   `json:"index"`
		Timestamp int64   `json:"timestamp"`
		Shot      int     `json:"shotIndex"`
	}
	scale := float64(v.timescale())
	doc := d.document(2, v, func(s *Sample) []any {
		m := s.Moderation
		if m == nil {
			return nil
		}
		shot, exact := slices.BinarySearch(shots, s.at())
		if exact {
			shot++
		}
		at := int64(math.Round(s.Time * scale))
		return []any{event{m.Review, round6(m.Adult), round6(m.Racy), at / v.frame(), at, shot}}
	})
	doc.Total = int64(math.Round(v.Duration.Seconds() * scale))
	return encode(doc)
}

func encode(doc document) ([]byte, error) { return json.MarshalIndent(doc, "", " ") }

// ParseAnnotations reads a foo_annotations.json that a client may have edited.
func ParseAnnotations(b []byte) (*Detections, error) {
	if len(b) > MaxDetections {
		return nil, fmt.Errorf("it has more than %d bytes", MaxDetections)
	}
	var doc struct {
		Timescale int64 `json:"timescale"`
		Offset    int64 `json:"offset"`
		Fragments []struct {
			Start    int64         `json:"start"`
			Interval int64         `json:"interval"`
			Events   [][]faceEvent `json:"events"`
		} `json:"fragments"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, err
	}
	if doc.Timescale <= 0 || doc.Fragments == nil {
		return nil, errors.New("it has no timescale or no fragments")
	}
	d := &Detections{Samples: []Sample{}, Interval: math.Inf(1)}
	for i, f := range doc.Fragments {
		if len(f.Events) > 0 && f.Interval <= 0 {
			return nil, fmt.Errorf("fragments[%d] has events and no interval", i)
		}
		for k, events := range f.Events {
			if len(d.Samples) == maxSamples {
				return nil, fmt.Errorf("it has more than %d events", maxSamples)
			}
			s := Sample{Time: (float64(doc.Offset) + float64(f.Start) + float64(k)*float64(f.Interval)) / float64(doc.Timescale)}
			for _, e := range events {
				s.Faces = append(s.Faces, Face{ID: e.ID, Box: Box{e.X, e.Y, e.Width, e.Height}})
			}
			d.Samples = append(d.Samples, s)
			d.Interval = min(d.Interval, float64(f.Interval)/float64(doc.Timescale))
		}
	}
	if math.IsInf(d.Interval, 1) {
		d.Interval = 1 // nothing was found
	}
	slices.SortStableFunc(d.Samples, func(a, b Sample) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	return d, d.check()
}
