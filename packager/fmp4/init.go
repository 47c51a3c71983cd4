package fmp4

import "github.com/openams/openams/packager/mp4"

// A Style is a flavour of fragmented MP4.
type Style uint8

const (
	CMAF   Style = iota // ISO/IEC 23000-19: HLS and mpd-time-cmaf
	CSF                 // mpd-time-csf: DASH, ISO base media live profile
	Smooth              // [MS-SSTR]
)

// TrackID returns the track_ID in init segments and fragments: it hangs on the
// kind of track alone, so that all renditions of a track share it.
func TrackID(t *mp4.Track) uint32 {
	switch t.Kind {
	case mp4.Video:
		return 1
	case mp4.Text:
		return 3
	}
	return 2
}

// Init returns the init segment of a track.
func Init(t *mp4.Track, style Style) []byte {
	w := &writer{make([]byte, 0, 700+len(t.SampleEntry))}
	w.box("ftyp", func() {
		if style == CMAF {
			w.str("cmfc")
			w.u32(0)
			w.str("iso6cmfcdash")
			return
		}
		w.str("iso6")
		w.u32(0)
		w.str("iso6dashmsdh")
	})
	w.box("moov", func() {
		at := w.full("mvhd", 0, 0)
		w.u32(0, 0, t.Timescale, 0) // no duration: fragments tell
		w.u32(0x00010000)           // rate 1
		w.u16(0x0100)               // volume 1
		w.zero(10)
		w.matrix(0)
		w.zero(24)
		w.u32(0xffffffff) // next track: unknown
		w.end(at)
		w.box("trak", func() { w.trak(t, style) })
		w.box("mvex", func() {
			at := w.full("trex", 0, 0)
			w.u32(TrackID(t), 1, 0, 0, 0)
			w.end(at)
		})
	})
	return w.b
}

func (w *writer) trak(t *mp4.Track, style Style) {
	video := t.Kind == mp4.Video
	at := w.full("tkhd", 0, 7) // enabled, in movie, in preview
	w.u32(0, 0, TrackID(t), 0, 0)
	w.zero(8)
	w.u16(0) // layer
	w.u16(0) // alternate group
	if t.Kind == mp4.Audio {
		w.u16(0x0100)
	} else {
		w.u16(0)
	}
	w.u16(0)
	w.matrix(t.Rotation)
	if video {
		width, height := DisplaySize(t)
		w.u32(uint32(width)<<16, uint32(height)<<16)
	} else {
		w.u32(0, 0)
	}
	w.end(at)
	if start := t.Lead() + baseCTO(t, style); start > 0 {
		w.box("edts", func() {
			at := w.full("elst", 1, 0)
			w.u32(1)
			w.u64(0) // duration unknown: to the end of the media
			w.u64(uint64(start))
			w.u16(1) // rate 1
			w.u16(0)
			w.end(at)
		})
	}
	w.box("mdia", func() {
		at := w.full("mdhd", 0, 0)
		w.u32(0, 0, t.Timescale, 0)
		w.u16(packedLanguage(t.Language))
		w.u16(0)
		w.end(at)
		at = w.full("hdlr", 0, 0)
		w.u32(0)
		w.str(handler(t))
		w.zero(12)
		w.u8(0) // no name
		w.end(at)
		w.box("minf", func() {
			switch handler(t) {
			case "vide":
				at := w.full("vmhd", 0, 1)
				w.zero(8)
				w.end(at)
			case "soun":
				at := w.full("smhd", 0, 0)
				w.zero(4)
				w.end(at)
			case "subt":
				w.end(w.full("sthd", 0, 0))
			default:
				w.end(w.full("nmhd", 0, 0))
			}
			w.box("dinf", func() {
				at := w.full("dref", 0, 0)
				w.u32(1)
				w.end(w.full("url ", 0, 1)) // media is in this file
				w.end(at)
			})
			w.box("stbl", func() {
				at := w.full("stsd", 0, 0)
				w.u32(1)
				w.b = append(w.b, t.SampleEntry...)
				w.end(at)
				for _, empty := range []string{"stts", "stsc", "stco"} {
					at := w.full(empty, 0, 0)
					w.u32(0)
					w.end(at)
				}
				at = w.full("stsz", 0, 0)
				w.u32(0, 0)
				w.end(at)
			})
		})
	})
}

// handler is the type of media: text that is timed by its container ("text"), or
// by itself ("subt": ISO/IEC 14496-30 6.1).
func handler(t *mp4.Track) string {
	switch {
	case t.Kind == mp4.Video:
		return "vide"
	case t.Kind == mp4.Audio:
		return "soun"
	case t.Codec == "stpp":
		return "subt"
	}
	return "text"
}

// baseCTO returns the composition offset of the first sample that the edit list
// makes up for, so that the first picture plays at 0. CMAF and DASH carry offsets
// as they are: players differ in what they make of negative ones (ffmpeg moves
// the whole track), and shaka-packager too writes the edit list. Smooth has no
// edit list, so its offsets are relative to the first one, and negative; as are
// those of a file that starts with a negative offset.
func baseCTO(t *mp4.Track, style Style) int64 {
	if style == Smooth {
		return 0
	}
	return max(0, int64(t.FirstCTO))
}

// DisplaySize returns the size of the picture in square pixels, before rotation.
func DisplaySize(t *mp4.Track) (width, height int) {
	width, height = int(t.Width), int(t.Height)
	if t.SARNum > 0 && t.SARDen > 0 && t.SARNum != t.SARDen {
		width = min((int(t.Width)*int(t.SARNum)+int(t.SARDen)/2)/int(t.SARDen), 0xffff)
	}
	return width, height
}

// matrix writes the transformation that turns the picture clockwise.
func (w *writer) matrix(degrees uint16) {
	const one, minus = 0x00010000, 0xffff0000
	a, b, c, d := uint32(one), uint32(0), uint32(0), uint32(one)
	switch degrees {
	case 90:
		a, b, c, d = 0, one, minus, 0
	case 180:
		a, b, c, d = minus, 0, 0, minus
	case 270:
		a, b, c, d = 0, minus, one, 0
	}
	w.u32(a, b, 0, c, d, 0, 0, 0, 0x40000000)
}

// packedLanguage is the form of mdhd: three letters of five bits.
func packedLanguage(lang string) uint16 {
	if len(lang) != 3 {
		lang = "und"
	}
	var v uint16
	for _, c := range []byte(lang) {
		if c < 'a' || c > 'z' {
			return packedLanguage("und")
		}
		v = v<<5 | uint16(c-0x60)
	}
	return v
}
