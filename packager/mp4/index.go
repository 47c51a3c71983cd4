package mp4

// Kind is the type of a track's media.
type Kind uint8

const (
	Other Kind = iota // time code, metadata, hint tracks and everything unknown
	Video
	Audio
	Text // subtitles: wvtt, stpp, tx3g, and closed captions
)

// String returns "video", "audio", "text" or "other".
func (k Kind) String() string {
	switch k {
	case Video:
		return "video"
	case Audio:
		return "audio"
	case Text:
		return "text"
	}
	return "other"
}

// An Index tells where each sample of a file lies and when it plays.
type Index struct {
	Size   int64 // bytes of the file that the index was built from
	Tracks []*Track

	// Pieces are the fragments of the file where they were cut by who recorded
	// it and have names that must stay: live archives. It is not persisted. nil:
	// Track.Fragments says where to cut.
	Pieces []Piece
}

// A Piece is a recorded fragment.
type Piece struct {
	Offset int64  // at which it begins in the file
	Name   uint64 // the time that URLs know it by
}

// Track returns the track with the given id, or nil.
func (x *Index) Track(id uint32) *Track {
	for _, t := range x.Tracks {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// A Track is one elementary stream of a file.
type Track struct {
	ID        uint32
	Kind      Kind
	Codec     string // FourCC of the sample entry: avc1 avc3 hvc1 hev1 av01 mp4a ac-3 ec-3 wvtt stpp …; of an encrypted entry, encv or enca
	Timescale uint32 // ticks per second, never 0
	Language  string // ISO 639-2, "und" if not told

	Width, Height  uint16 // of the coded picture, as the sample entry says; video only
	SARNum, SARDen uint32 // sample aspect ratio from pasp, else from the H.264 SPS, else 1:1; video only
	Rotation       uint16 // clockwise degrees by which the picture must be turned to stand upright: 0, 90, 180 or 270; video only
	SampleRate     uint32 // Hz, from the AudioSpecificConfig where there is one (output rate of HE-AAC); audio only
	Channels       uint16 // from the AudioSpecificConfig, dac3 or dec3 where there is one; audio only
	Bitrate        uint32 // bit/s from btrt or esds, else the mean over all samples

	SampleEntry []byte // the whole sample entry box, to be copied into an init segment's stsd
	Config      []byte // payload of avcC, hvcC, av1C, vpcC, dac3, dec3, dOps, dfLa or vttC, or the AudioSpecificConfig; nil for other codecs

	EditStart int64 // media time of the file that plays at presentation time 0; negative if the track starts late
	EditEnd   int64 // presentation time at which the edit list ends the track; 0 if it ends with its last sample
	FirstCTO  int32 // composition offset of the first sample

	mediaEnd int64 // greatest DTS + CTO + Dur of all samples
	table    table
	nals     nalMap // empty until AddNALs
}

// A Sample is one access unit: a video frame, an audio frame, a cue.
type Sample struct {
	Offset int64  // of its first byte in the file
	Size   uint32 // bytes
	DTS    uint64 // decode time in the file's own time line
	CTO    int32  // composition offset; the presentation time is DTS + CTO - EditStart
	Dur    uint32 // time to the next sample's DTS
	Sync   bool   // decoding may start here
}

// An Extent is a contiguous range of a file.
type Extent struct {
	Offset, Length int64
}

// NumSamples returns the number of samples. It is 0 for an empty track and for
// uncompressed audio, which no protocol streams and which is not indexed.
func (t *Track) NumSamples() int { return t.table.n }

// Sample returns sample i, counted from 0. It panics if i is out of range.
// It decodes up to a block of samples: use AppendSamples for a run of them.
func (t *Track) Sample(i int) Sample { return t.table.sample(i) }

// SampleSize returns the size of sample i in bytes, faster than Sample does.
func (t *Track) SampleSize(i int) uint32 { return t.table.size(i) }

// AppendSamples appends samples [first, first+n) to dst. The range is cut to
// the samples that exist.
func (t *Track) AppendSamples(dst []Sample, first, n int) []Sample {
	return t.table.appendSamples(dst, first, n)
}

// Extents returns the bytes of samples [first, first+n) in decoding order as
// the fewest contiguous ranges. The range is cut to the samples that exist.
func (t *Track) Extents(first, n int) []Extent {
	return t.table.extents(first, n)
}

// Bytes returns the sum of the sizes of samples [first, first+n). The range is
// cut to the samples that exist.
func (t *Track) Bytes(first, n int) int64 {
	return t.table.bytes(first, n)
}

// SampleAt returns the number of the last sample whose decode time, on the
// presentation clock (DTS + FirstCTO - EditStart), is at or before p; 0 if
// all are later.
func (t *Track) SampleAt(p int64) int {
	if t.table.n == 0 {
		return 0
	}
	c := t.table.at(p + t.EditStart - int64(t.FirstCTO))
	return c.i - 1
}
