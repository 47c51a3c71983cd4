package encoder

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
)

// A Clip is the part of a source that is encoded, by the source's own clock. The
// zero Clip is all of it.
type Clip struct {
	Start time.Duration
	End   time.Duration // 0: to the end
	UTC   bool          // they are times since 1970, which only live archives have
}

// parseClip reads start and end of a job input.
func parseClip(in ams.JobInput) (Clip, error) {
	var c Clip
	for _, t := range []struct {
		field string
		raw   json.RawMessage
		to    *time.Duration
	}{{"start", in.Start, &c.Start}, {"end", in.End, &c.End}} {
		if blank(t.raw) {
			continue
		}
		var body struct {
			Type string `json:"@odata.type"`
			Time string `json:"time"`
		}
		if err := json.Unmarshal(t.raw, &body); err != nil {
			return c, ams.Errorf(ams.Invalid, "The %s of the job's input is not a clip time: %v", t.field, err)
		}
		var d time.Duration
		var err error
		switch kind := kindOf(body.Type); kind {
		case "AbsoluteClipTime":
			d, err = parseDuration(strings.TrimSpace(body.Time))
		case "UtcClipTime":
			c.UTC = true
			d, err = parseUTC(strings.TrimSpace(body.Time))
		default:
			return c, ams.Errorf(ams.Unsupported, "This server cannot clip an input (%s) by a %s.", t.field, kind)
		}
		if err != nil {
			return c, ams.Errorf(ams.Invalid, "The %s of the job's input: %v.", t.field, err)
		}
		*t.to = d
		if t.field == "end" && d <= c.Start {
			return c, ams.Errorf(ams.Invalid, "The end of the job's input, %v, is not after its start, %v.", d, c.Start)
		}
	}
	return c, nil
}

// parseUTC reads a time as UtcClipTime has it.
func parseUTC(s string) (time.Duration, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04"} { // the last two are taken for UTC
		if t, err := time.Parse(layout, s); err == nil {
			if y := t.Year(); y < 1970 || y > 2200 {
				return 0, fmt.Errorf("the year of '%s' is not from 1970 to 2200", s)
			}
			return time.Duration(t.UnixNano()), nil
		}
	}
	return 0, fmt.Errorf("'%s' is no time such as 2024-05-01T12:00:00Z", s)
}

// of is the clip as times of the files of a feed: what was cut already is gone.
func (c Clip) of(f *Feed, copies bool) Clip {
	switch {
	case !f.Cut:
		return c
	case copies:
		return Clip{}
	}
	c.UTC = false
	c.Start = max(0, c.Start-f.Zero)
	if c.End > 0 {
		c.End = max(time.Millisecond, c.End-f.Zero)
	}
	return c
}

// window is the clip as times since the start of the source; to is 0 for its
// end.
func (c Clip) window(src *ffmpeg.Info) (from, to time.Duration) {
	from = max(0, c.Start-src.Start)
	if c.End > 0 {
		to = max(time.Millisecond, c.End-src.Start)
	}
	return from, to
}

// check returns an error if the source ends before the clip starts.
func (c Clip) check(src *ffmpeg.Info) error {
	from, to := c.window(src)
	switch {
	case src.Duration > 0 && from >= src.Duration:
		return jobErrorf(ams.ConfigurationUnsupported, "the clip starts at %.2f s, and it ends at %.2f s", c.Start.Seconds(), (src.Start + src.Duration).Seconds())
	case to > 0 && to <= from:
		return jobErrorf(ams.ConfigurationUnsupported, "the clip ends at %.2f s, and it starts at %.2f s only", c.End.Seconds(), src.Start.Seconds())
	}
	return nil
}

// reading says where to start reading for the clip, and how much to read. Only
// containers that list their key frames are sought in: from anywhere else, a
// strict decoder takes what it finds for damage.
func (c Clip) reading(src *ffmpeg.Info) (seek, length time.Duration) {
	from, to := c.window(src)
	if name, _, _ := strings.Cut(src.Format, ","); name == "mov" {
		seek = from
	}
	if to > 0 {
		length = to - seek
	}
	return seek, length
}
