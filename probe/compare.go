package probe

import "math"

// compare holds the streams against each other and against the bit rates that
// the manifest claims.
func (p *prober) compare(streams []*stream) {
	members := map[string][]*stream{} // of HLS groups
	leaders := map[string]*stream{}   // of sets
	var video *stream
	for _, s := range streams {
		if s.failed || len(s.marks) == 0 {
			continue
		}
		for _, g := range s.groups {
			if s.Kind == "audio" {
				members[g] = append(members[g], s)
			}
		}
		if s.iframes || s.Kind == "text" {
			continue
		}
		if video == nil && s.Kind != "audio" {
			video = s
		}
		if leader := leaders[s.set]; s.set != "" && leader != nil {
			p.align(leader, s)
		} else {
			leaders[s.set] = s
		}
	}
	for _, s := range streams {
		if s.failed || len(s.marks) == 0 {
			continue
		}
		p.rates(s, members)
		if video == nil || s.Kind != "audio" {
			continue
		}
		if off := s.Start - video.Start; math.Abs(off) > 0.25 {
			p.warn(s, "", "it starts %.3f s off from the pictures", off)
		}
		longest := 0.0
		for _, m := range video.marks {
			longest = max(longest, m.length)
		}
		if off := s.End - video.End; math.Abs(off) > longest+0.5 && p.c.Segments == 0 {
			p.warn(s, "", "it ends %.3f s off from the pictures", off)
		}
	}
}

// align checks that players can switch between two streams at each segment.
func (p *prober) align(a, b *stream) {
	if len(a.segments) != len(b.segments) {
		p.fault(b, "", "it has %d segments, %s has %d", len(b.segments), a.Name, len(a.segments))
	}
	for i := range min(len(a.marks), len(b.marks)) {
		if off := b.marks[i].start - a.marks[i].start; math.Abs(off) > 0.0015 {
			p.fault(b, "", "segment %d starts %.4f s off from that of %s: players cannot switch there", i, off, a.Name)
		}
	}
}

// rates holds measured bit rates against claims.
func (p *prober) rates(s *stream, members map[string][]*stream) {
	const rounding = 1.001
	switch {
	case s.Claimed == 0:
	case s.target > 0: // HLS: what plays along counts too
		peak, average := float64(s.Peak), float64(s.Average)
		if s.Kind != "audio" && !s.iframes {
			var with [2]int64
			for _, g := range s.groups {
				for _, a := range members[g] {
					with[0], with[1] = max(with[0], a.Peak), max(with[1], a.Average)
				}
			}
			peak, average = peak+float64(with[0]), average+float64(with[1])
		}
		if peak > float64(s.Claimed)*rounding {
			p.fault(s, "", "its peak is %.0f bit/s, BANDWIDTH says %d (RFC 8216 4.3.4.2)", peak, s.Claimed)
		}
		if s.average > 0 && average > float64(s.average)*rounding && p.c.Segments == 0 {
			p.fault(s, "", "its average is %.0f bit/s, AVERAGE-BANDWIDTH says %d", average, s.average)
		}
		if float64(s.Claimed) > 2*peak+20000 && p.c.Segments == 0 {
			p.warn(s, "", "BANDWIDTH says %d bit/s, but its peak is %.0f", s.Claimed, peak)
		}
	case s.buffer > 0: // DASH 5.3.5.2: playout with the buffer never runs dry
		run, worst := 0.0, 0.0
		for _, m := range s.marks {
			run = max(0, run) + m.bytes*8 - float64(s.Claimed)*m.length
			worst = max(worst, run)
		}
		if need := worst / float64(s.Claimed); need > s.buffer*rounding {
			p.warn(s, "", "at its bandwidth of %d bit/s players need to buffer %.1f s, minBufferTime says %.1f", s.Claimed, need, s.buffer)
		}
	case float64(s.Average) > 1.2*float64(s.Claimed)+5000:
		p.warn(s, "", "its average is %d bit/s, the manifest says %d", s.Average, s.Claimed)
	}
}
