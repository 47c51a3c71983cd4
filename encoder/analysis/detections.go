package analysis

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Detections are what a program found in the pictures of a video, at times that
// it looked: the result of a plug-in.
type Detections struct {
	Interval float64  `json:"interval"` // seconds from one look to the next
	Samples  []Sample `json:"samples"`
}

// A Sample is one look. What is found is there until the next.
type Sample struct {
	Time       float64     `json:"time"` // seconds since the start of the video
	Faces      []Face      `json:"faces,omitempty"`
	Regions    []Region    `json:"regions,omitempty"`
	Motion     []Movement  `json:"motion,omitempty"`
	Moderation *Moderation `json:"moderation,omitempty"`
}

// A Box is a rectangle in the upright picture, from its left upper corner, in
// parts of its width and height.
type Box struct {
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
}

// A Face is one that was found. The same person has the same ID.
type Face struct {
	ID int `json:"id"`
	Box
	Confidence float64            `json:"confidence,omitempty"` // 0 to 1
	Emotions   map[string]float64 `json:"emotions,omitempty"`   // of Emotions, 0 to 1
}

// Emotions are those that AMS told apart.
var Emotions = []string{"neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"}

// A Region is a block of text.
type Region struct {
	Language    string `json:"language"`    // as AMS calls it: English, German …
	Orientation string `json:"orientation"` // Up, Left, Right, Down
	Lines       []Line `json:"lines"`
}

// A Line is a line of text.
type Line struct {
	Text string `json:"text"`
	Box
	Confidence float64 `json:"confidence,omitempty"`
	Words      []Word  `json:"words,omitempty"`
}

// A Word is a word of a Line.
type Word struct {
	Text string `json:"text"`
	Box
	Confidence float64 `json:"confidence,omitempty"` // 0 to 1
}

// A Movement is where something moves.
type Movement struct {
	Zone  int  `json:"zone"`            // number of the zone of the request; 0 without zones
	Light bool `json:"light,omitempty"` // only the light changes
	Box
}

// Moderation is how a picture strikes.
type Moderation struct {
	Adult  float64 `json:"adultScore"` // 0 to 1
	Racy   float64 `json:"racyScore"`
	Review bool    `json:"reviewRecommended"`
}

// Bounds of what a plug-in writes.
const (
	MaxDetections = 256 << 20 // bytes
	maxSamples    = 2_000_000
	maxFound      = 64 // things in a sample (documented for faces)
	maxText       = 4000
)

// ParseDetections reads the result of a plug-in. The error says what is wrong
// with it, for who wrote the plug-in.
func ParseDetections(b []byte) (*Detections, error) {
	if len(b) > MaxDetections {
		return nil, fmt.Errorf("it has more than %d bytes", MaxDetections)
	}
	d := new(Detections)
	if err := json.Unmarshal(b, d); err != nil {
		return nil, err
	}
	return d, d.check()
}

func (d *Detections) check() error {
	switch {
	case d.Samples == nil:
		return errors.New("it has no samples")
	case len(d.Samples) > maxSamples:
		return fmt.Errorf("it has more than %d samples", maxSamples)
	case !(d.Interval > 0.001 && d.Interval <= 3600):
		return fmt.Errorf("interval: %v is no number of seconds from 0.001 to 3600", d.Interval)
	}
	last := -1.0
	for i := range d.Samples {
		s := &d.Samples[i]
		if !(s.Time >= 0 && s.Time < maxTime.Seconds() && s.Time >= last) {
			return fmt.Errorf("samples[%d].time: %v is before 0 or before the last sample", i, s.Time)
		}
		last = s.Time
		if err := s.check(); err != nil {
			return fmt.Errorf("samples[%d].%w", i, err)
		}
	}
	return nil
}

func (s *Sample) check() error {
	if max(len(s.Faces), len(s.Regions), len(s.Motion)) > maxFound {
		return fmt.Errorf("it has more than %d things", maxFound)
	}
	for i := range s.Faces {
		f := &s.Faces[i]
		if err := f.Box.check(); err != nil {
			return fmt.Errorf("faces[%d]: %w", i, err)
		}
		if f.ID < 0 || f.ID > 1e9 {
			return fmt.Errorf("faces[%d].id: %d is no number from 0 to 1,000,000,000", i, f.ID)
		}
		for name, v := range f.Emotions {
			if !slices.Contains(Emotions, name) || !part(v) {
				return fmt.Errorf("faces[%d].emotions: %q is %v", i, name, v)
			}
		}
	}
	for i := range s.Motion {
		if err := s.Motion[i].Box.check(); err != nil {
			return fmt.Errorf("motion[%d]: %w", i, err)
		}
		if z := s.Motion[i].Zone; z < 0 || z > 1000 {
			return fmt.Errorf("motion[%d].zone: %d is none", i, z)
		}
	}
	for i := range s.Regions {
		if len(s.Regions[i].Lines) > maxFound {
			return fmt.Errorf("regions[%d]: it has more than %d lines", i, maxFound)
		}
		for k := range s.Regions[i].Lines {
			l := &s.Regions[i].Lines[k]
			if err := l.Box.check(); err != nil {
				return fmt.Errorf("regions[%d].lines[%d]: %w", i, k, err)
			}
			if len(l.Text) > maxText || len(l.Words) > maxText {
				return fmt.Errorf("regions[%d].lines[%d]: it is too long", i, k)
			}
			for n := range l.Words {
				if err := l.Words[n].Box.check(); err != nil {
					return fmt.Errorf("regions[%d].lines[%d].words[%d]: %w", i, k, n, err)
				}
			}
		}
	}
	if m := s.Moderation; m != nil && !(part(m.Adult) && part(m.Racy)) {
		return fmt.Errorf("moderation: a score of %v, %v is not from 0 to 1", m.Adult, m.Racy)
	}
	return nil
}

func part(v float64) bool { return v >= 0 && v <= 1 }

// check allows boxes to reach out of the picture by a little, and cuts them off.
func (b *Box) check() error {
	const over = 0.5
	if !(b.X > -over && b.Y > -over && b.Width > 0 && b.Height > 0 && b.X+b.Width < 1+over && b.Y+b.Height < 1+over) {
		return fmt.Errorf("the box %v, %v, %v, %v does not lie in the picture, in parts of its size", b.X, b.Y, b.Width, b.Height)
	}
	right, bottom := math.Min(1, b.X+b.Width), math.Min(1, b.Y+b.Height)
	b.X, b.Y = math.Max(0, b.X), math.Max(0, b.Y)
	if b.Width, b.Height = right-b.X, bottom-b.Y; b.Width <= 0 || b.Height <= 0 {
		return errors.New("the box lies beside the picture")
	}
	return nil
}

func (s *Sample) at() time.Duration { return time.Duration(s.Time * float64(time.Second)) }

func (d *Detections) step() time.Duration { return time.Duration(d.Interval * float64(time.Second)) }

// IDs lists the ids of all faces, in order.
func (d *Detections) IDs() []int {
	seen := map[int]bool{}
	var ids []int
	for i := range d.Samples {
		for _, f := range d.Samples[i].Faces {
			if !seen[f.ID] {
				seen[f.ID] = true
				ids = append(ids, f.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// Best returns where a face is seen best: largest.
func (d *Detections) Best(id int) (at time.Duration, box Box) {
	for i := range d.Samples {
		for _, f := range d.Samples[i].Faces {
			if f.ID == id && f.Width*f.Height > box.Width*box.Height {
				at, box = d.Samples[i].at(), f.Box
			}
		}
	}
	return at, box
}

// runs are the times during which samples have something.
func (d *Detections) runs(has func(*Sample) bool) (list [][2]time.Duration) {
	for i := range d.Samples {
		s := &d.Samples[i]
		if !has(s) {
			continue
		}
		from, to := s.at(), s.at()+d.step()
		if n := len(list); n > 0 && from <= list[n-1][1]+d.step()/2 {
			list[n-1][1] = to
		} else {
			list = append(list, [2]time.Duration{from, to})
		}
	}
	return list
}

// A shownLine is a line of text and when it shows.
type shownLine struct {
	line     Line
	language string
	shown    [][2]time.Duration
}

// lines are the texts that were read, each once.
func (d *Detections) lines() (all []*shownLine) {
	found := map[string]*shownLine{}
	for i := range d.Samples {
		s := &d.Samples[i]
		from, to := s.at(), s.at()+d.step()
		for _, r := range s.Regions {
			for _, l := range r.Lines {
				f := found[l.Text]
				if f == nil {
					f = &shownLine{line: l, language: r.Language}
					found[l.Text] = f
					all = append(all, f)
				}
				if n := len(f.shown); n > 0 && from <= f.shown[n-1][1]+d.step()/2 {
					f.shown[n-1][1] = to
				} else {
					f.shown = append(f.shown, [2]time.Duration{from, to})
				}
			}
		}
	}
	return all
}
