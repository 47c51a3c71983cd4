package encoder

import (
	"math"
	"time"
)

// hear plans the sound of all parts: one Audio for each programme of the first
// take that has any, or for silence.
func (p *Plan) hear(r *recipe, takes []take, whens []timing, lengths []int64, rate float64) {
	var model *take
	for i := range takes {
		if takes[i].audio != nil {
			model = &takes[i]
			break
		}
	}
	n := 1
	if model != nil {
		n = len(model.audio)
	}
	for i := range n {
		a := Audio{Language: "und"}
		var of programme
		if model != nil {
			of = model.audio[i]
			a.Language = language(of.tracks[0].stream.Language)
		}
		for _, s := range r.sounds {
			if model == nil || of.carries(s, model.audio) {
				a.Tracks = append(a.Tracks, Sound{Codec: s.codec, Label: s.label, Channels: s.channels, Rate: s.rate, Bitrate: s.bitrate, Asked: s.asked, Loudness: s.loudness})
			}
		}
		if a.Tracks == nil {
			continue
		}
		known := true
		for k := range takes {
			d, slack := a.add(p, &takes[k], i, whens[k], lengths[k], rate, len(takes) > 1)
			known = known && d > 0
			a.Duration += d
			a.Slack += slack
		}
		if !known {
			a.Duration = 0
		}
		p.Audio = append(p.Audio, a)
	}
}

// carries reports whether a sound of the preset is made of the programme: where
// the client has mapped channels, those of as many channels are; else all.
func (g programme) carries(s sound, all []programme) bool {
	if !g.picked {
		return true
	}
	fits := func(p programme) bool {
		return p.layout == "stereo" && s.channels <= 2 || p.layout == "5.1" && s.channels > 2
	}
	for _, p := range all {
		if p.picked && fits(p) {
			return fits(g)
		}
	}
	return g.layout == all[len(all)-1].layout // nothing fits: mix what has most channels
}

// hearing is how long the sound of a take without video lasts, 0 if unknown.
func (t *take) hearing(w timing) time.Duration {
	if t.audio == nil {
		return 0
	}
	k := t.audio[0].tracks[0]
	d := k.stream.Duration
	if d == 0 {
		d = k.src.Duration
	}
	return inWindow(k.src, k.stream, d, w.from, w.to)
}

// add plans the sound of one part, and returns how long it is to be and how much
// may be missing.
func (a *Audio) add(p *Plan, t *take, i int, w timing, frames int64, rate float64, several bool) (d, missing time.Duration) {
	var length time.Duration // that it has to have
	if several && frames > 0 {
		length = time.Duration(math.Round(float64(frames)/rate*1e6)) * time.Microsecond
	}
	if i >= len(t.audio) {
		if length == 0 && p.Video != nil {
			length = time.Duration(math.Round(float64(p.Video.Frames)/rate*1e6)) * time.Microsecond
		}
		a.Parts = append(a.Parts, Voice{Length: length})
		return length, 150 * time.Millisecond
	}
	g := t.audio[i]
	main := g.tracks[0]
	voice := Voice{Layout: g.layout, Mono: len(g.tracks) == 1 && main.stream.Channels == 1, Codec: main.stream.Codec, End: w.end, Length: length}
	for _, k := range g.tracks {
		voice.Tracks = append(voice.Tracks, Strand{p.reading(k, t.clip), k.stream.Index})
	}
	voice.Origin = w.origin + w.from - p.Inputs[voice.Tracks[0].Input].Seek
	a.Parts = append(a.Parts, voice)
	if length > 0 {
		return length, 150 * time.Millisecond
	}
	d, exact := expected(main.src, main.stream)
	if d == 0 {
		return 0, 0
	}
	missing = 150 * time.Millisecond
	if !exact {
		missing = slack(d)
	}
	begin := max(0, main.stream.Start-main.src.Start-w.from)
	return max(0, inWindow(main.src, main.stream, d, w.from, w.to)+begin-w.origin), missing
}
