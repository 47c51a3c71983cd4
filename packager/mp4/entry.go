package mp4

import (
	"bytes"
	"encoding/binary"

	"github.com/Eyevinn/mp4ff/aac"
	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"
)

// configBoxes names the box in a sample entry that configures the decoder.
var configBoxes = map[string]string{
	"avc1": "avcC", "avc3": "avcC",
	"hvc1": "hvcC", "hev1": "hvcC", "dvh1": "hvcC", "dvhe": "hvcC",
	"av01": "av1C", "vp08": "vpcC", "vp09": "vpcC",
	"mp4a": "esds", "ac-3": "dac3", "ec-3": "dec3", "Opus": "dOps", "fLaC": "dfLa",
	"wvtt": "vttC",
}

// Lengths of a sample entry after its box header, up to its child boxes.
const (
	videoEntry   = 78
	audioEntry   = 28
	audioEntryV1 = audioEntry + 16 // QuickTime sound description, versions 1 and 2
	audioEntryV2 = audioEntry + 36
)

// parseStsd reads the sample entry that the track's first chunk uses and
// returns its number, from 1.
func (t *trak) parseStsd(stbl box) (number uint32, err error) {
	stsd, err := stbl.must("stsd")
	if err != nil {
		return 0, err
	}
	if _, _, _, err = stsd.full(4); err != nil {
		return 0, err
	}
	number = 1
	if stsc, err := stbl.child("stsc"); err == nil && stsc.typ != "" {
		if _, list, err := stsc.table(12); err == nil && len(list) > 0 {
			number = be32(list[8:])
		}
	}
	var entry box
	var i uint32
	err = stsd.each(8, func(b box) error {
		if i++; i == number {
			entry = b
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if entry.typ == "" {
		return 0, stsd.errorf(Malformed, "track %d uses sample entry %d of %d", t.ID, number, i)
	}
	t.Codec = entry.typ
	t.SampleEntry = appendBox(nil, entry.typ, entry.data)
	switch t.Kind {
	case Video:
		err = t.parseVideoEntry(entry)
	case Audio:
		err = t.parseAudioEntry(entry)
	case Text:
		if c := configBoxes[entry.typ]; c != "" {
			t.Config = child(entry, 8, c).data
		}
	}
	// An index outlives the moov box, which is much larger.
	t.Config = bytes.Clone(t.Config)
	return number, err
}

// child is box.child after a fixed part, for optional boxes.
func child(b box, skip int, typ string) (found box) {
	b.each(skip, func(c box) error {
		if c.typ == typ && found.typ == "" {
			found = c
		}
		return nil
	})
	return found
}

func appendBox(b []byte, typ string, payload []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(8+len(payload)))
	b = append(b, typ...)
	return append(b, payload...)
}

func (t *trak) parseVideoEntry(e box) error {
	if len(e.data) < videoEntry {
		return e.errorf(Malformed, "the sample entry has %d bytes, fewer than %d", 8+len(e.data), 8+videoEntry)
	}
	t.Width, t.Height = be16(e.data[24:]), be16(e.data[26:])
	t.Config = child(e, videoEntry, configBoxes[e.typ]).data
	t.parseBtrt(child(e, videoEntry, "btrt"))
	t.SARNum, t.SARDen = 1, 1
	if pasp := child(e, videoEntry, "pasp"); len(pasp.data) >= 8 {
		t.setSAR(be32(pasp.data), be32(pasp.data[4:]))
	} else if e.typ == "avc1" || e.typ == "avc3" {
		t.setSAR(avcSAR(t.Config))
	}
	return nil
}

// setSAR sets the sample aspect ratio in lowest terms if it is one.
func (t *trak) setSAR(num, den uint32) {
	if num == 0 || den == 0 {
		return
	}
	a, b := num, den
	for b != 0 {
		a, b = b, a%b
	}
	t.SARNum, t.SARDen = num/a, den/a
}

func (t *trak) parseBtrt(b box) {
	if len(b.data) >= 12 {
		if t.Bitrate = be32(b.data[8:]); t.Bitrate == 0 {
			t.Bitrate = be32(b.data[4:])
		}
	}
}

func (t *trak) parseAudioEntry(e box) error {
	if len(e.data) < audioEntry {
		return e.errorf(Malformed, "the sample entry has %d bytes, fewer than %d", 8+len(e.data), 8+audioEntry)
	}
	t.Channels, t.SampleRate = be16(e.data[16:]), be32(e.data[24:])>>16
	typ := configBoxes[e.typ]
	t.raw = typ == "" && isRaw(e.typ)
	find := func(typ string) box {
		for _, skip := range [...]int{audioEntry, audioEntryV1, audioEntryV2} {
			if c := child(e, skip, typ); c.typ != "" {
				return c
			}
			if wave := child(e, skip, "wave"); wave.typ != "" {
				if c := child(wave, 0, typ); c.typ != "" {
					return c
				}
			}
		}
		return box{}
	}
	t.parseBtrt(find("btrt"))
	c := find(typ)
	switch e.typ {
	case "mp4a":
		t.parseEsds(c)
	case "ac-3":
		if t.Config = c.data; len(c.data) >= 3 {
			t.setAC3(c.data[0]>>6, c.data[1]>>3&7, c.data[1]>>2&1)
		}
	case "ec-3":
		if t.Config = c.data; len(c.data) >= 5 {
			t.parseDec3(c.data)
		}
	default:
		t.Config = c.data
	}
	if e.typ == "mp4a" && be16(e.data[8:]) != 0 && t.Config != nil {
		t.plainEntry(e, c)
	}
	return nil
}

// isRaw tells whether a sample entry is for uncompressed audio.
func isRaw(typ string) bool {
	switch typ {
	case "raw ", "twos", "sowt", "in24", "in32", "fl32", "fl64", "lpcm", "ipcm", "fpcm", "NONE", "alaw", "ulaw", "\x00\x00\x00\x00":
		return true
	}
	return false
}

// plainEntry replaces a QuickTime sound description, which players of MP4 do not
// read, by the sample entry of MP4.
func (t *trak) plainEntry(e, esds box) {
	p := make([]byte, audioEntry, audioEntry+8+len(esds.data))
	copy(p[:8], e.data[:8]) // data reference index
	binary.BigEndian.PutUint16(p[16:], t.Channels)
	binary.BigEndian.PutUint16(p[18:], 16)
	if t.SampleRate < 1<<16 {
		binary.BigEndian.PutUint32(p[24:], t.SampleRate<<16)
	}
	t.SampleEntry = appendBox(nil, e.typ, appendBox(p, "esds", esds.data))
}

// parseEsds reads the bit rate and, for AAC, the AudioSpecificConfig.
func (t *trak) parseEsds(b box) {
	if len(b.data) < 4 {
		return
	}
	es, err := mp4.DecodeESDescriptor(bits.NewFixedSliceReader(b.data[4:]), uint32(len(b.data)-4))
	if err != nil || es.DecConfigDescriptor == nil {
		return
	}
	d := es.DecConfigDescriptor
	if t.Bitrate == 0 {
		if t.Bitrate = d.AvgBitrate; t.Bitrate == 0 {
			t.Bitrate = d.MaxBitrate
		}
	}
	const mpeg4Audio, mpeg2AACMain, mpeg2AACSSR = 0x40, 0x66, 0x68
	if d.DecSpecificInfo == nil || d.ObjectType != mpeg4Audio && (d.ObjectType < mpeg2AACMain || d.ObjectType > mpeg2AACSSR) {
		return
	}
	t.Config = d.DecSpecificInfo.DecConfig
	asc, err := aac.DecodeAudioSpecificConfig(bytes.NewReader(t.Config))
	if err != nil || asc == nil {
		return // another object type than AAC-LC and HE-AAC: what the sample entry says stands
	}
	if t.SampleRate = uint32(asc.SamplingFrequency); asc.ExtensionFrequency > 0 {
		t.SampleRate = uint32(asc.ExtensionFrequency)
	} else if rate := sbrRate(t.Config); rate > 0 {
		t.SampleRate = rate
	}
	switch c := asc.ChannelConfiguration; {
	case c == 1 && asc.PSPresentFlag: // parametric stereo
		t.Channels = 2
	case c >= 1 && c <= 6:
		t.Channels = uint16(c)
	case c == 7:
		t.Channels = 8
	}
}

// sbrRate is the output rate of HE-AAC whose AudioSpecificConfig tells of SBR
// behind that of its AAC-LC part, so that old decoders do not see it (ISO/IEC
// 14496-3 1.6.5); 0 for anything else.
func sbrRate(asc []byte) uint32 {
	at := 0
	read := func(n int) (v uint32) {
		for ; n > 0; n, at = n-1, at+1 {
			v <<= 1
			if at/8 < len(asc) {
				v |= uint32(asc[at/8]>>(7-at%8)) & 1
			}
		}
		return v
	}
	rate := func() uint32 {
		rates := [...]uint32{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}
		switch i := read(4); {
		case i == 15:
			return read(24)
		case int(i) < len(rates):
			return rates[i]
		}
		return 0
	}
	const lc, sbr = 2, 5
	if read(5) != lc {
		return 0
	}
	rate()
	read(4 + 3) // channels, flags of GASpecificConfig
	if read(11) != 0x2b7 || read(5) != sbr || read(1) != 1 {
		return 0
	}
	return rate()
}

// setAC3 sets what the codes of ETSI TS 102 366 say: fscod, acmod, lfeon.
func (t *trak) setAC3(fscod, acmod, lfeon byte) {
	if int(fscod) < len(mp4.AC3SampleRates) {
		t.SampleRate = uint32(mp4.AC3SampleRates[fscod])
	}
	t.Channels = uint16([...]byte{2, 1, 2, 3, 3, 4, 4, 5}[acmod&7] + lfeon)
}

// parseDec3 reads the first independent substream and what depends on it.
func (t *trak) parseDec3(data []byte) {
	b, err := mp4.DecodeDec3SR(mp4.BoxHeader{Name: "dec3", Size: uint64(8 + len(data)), Hdrlen: 8}, 0, bits.NewFixedSliceReader(data))
	if err != nil {
		return
	}
	s := b.(*mp4.Dec3Box).EC3Subs[0]
	t.setAC3(s.FSCod, s.ACMod, s.LFEOn)
	if s.NumDepSub > 0 {
		for i, ch := range [...]uint16{2, 2, 1, 1, 2, 2, 2, 1, 1} { // chan_loc: pairs and single speakers
			t.Channels += ch * (s.ChanLoc >> i & 1)
		}
	}
}
