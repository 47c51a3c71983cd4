package protect

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/ts"
)

// A Scheme is a way to encrypt.
type Scheme uint8

const (
	AES128 Scheme = iota + 1
	CENC
	CBCS
	PIFF
)

// String returns the value of the URL key "encryption".
func (s Scheme) String() string {
	switch s {
	case AES128:
		return "cbc"
	case CENC:
		return "cenc"
	case CBCS:
		return "cbcs-aapl"
	case PIFF:
		return "piff"
	}
	return "Scheme(" + strconv.Itoa(int(s)) + ")"
}

// NeedsNALs reports whether the scheme encrypts parts of video samples in MP4, for
// which the index must have gone through mp4.AddNALs.
func (s Scheme) NeedsNALs() bool { return s != AES128 }

// fourCC is the scheme_type of ISO/IEC 23001-7.
func (s Scheme) fourCC() string {
	if s == CBCS {
		return "cbcs"
	}
	return "cenc"
}

// A Protection encrypts one presentation. It must not be changed once used.
type Protection struct {
	Scheme Scheme

	// Keys returns the key of a rendition, nil if that stays clear.
	Keys func(*packager.Rendition) *Key

	// Version tells one state of the media from all others that may ever be
	// encrypted with one of the keys: the name of the container and the ETags
	// of its files. It goes into the vectors of CENC and PIFF.
	Version string

	Systems Systems
}

// Format returns f with encrypted media segments, and init segments that say so;
// AES128 leaves init segments as they are. The error is OutputFormatNotSupported
// if f cannot carry the scheme, or has no way to tell where the keys are. Manifests
// stay those of f: what they must say is told by ContentProtection, PlaylistKeys and
// ProtectionElement.
func (p *Protection) Format(f *packager.Format) (*packager.Format, error) {
	stream := f.Ciphered != nil
	switch {
	case p.Scheme == AES128:
	case stream && p.Scheme == CBCS:
		if p.Systems.FairPlay == nil && p.Systems.ClearKey == nil {
			return nil, packager.Errorf(packager.OutputFormatNotSupported, "encryption=%s in format %q is for FairPlay and clear keys, and the streams have neither", p.Scheme, f.Name)
		}
	case stream,
		f.Protocol == packager.Smooth && p.Scheme == CBCS,
		(f.Protocol == packager.HLS || f.Protocol == packager.DASH) && p.Scheme == PIFF:
		return nil, packager.Errorf(packager.OutputFormatNotSupported, "encryption=%s does not exist for format %q", p.Scheme, f.Name)
	}
	g := *f
	if stream && p.Scheme == CBCS {
		g.Fragment = func(pres *packager.Presentation, r *packager.Rendition, time uint64) (*packager.Segment, error) {
			return f.Ciphered(pres, r, time, p.cipher)
		}
		return &g, nil
	}
	if f.Init != nil && p.Scheme != AES128 {
		g.Init = func(pres *packager.Presentation, r *packager.Rendition) (*packager.Segment, error) {
			s, err := f.Init(pres, r)
			if err != nil {
				return nil, err
			}
			return p.initSegment(r, s)
		}
	}
	g.Fragment = func(pres *packager.Presentation, r *packager.Rendition, time uint64) (*packager.Segment, error) {
		s, err := f.Fragment(pres, r, time)
		if err != nil {
			return nil, err
		}
		if p.Scheme == AES128 {
			return p.envelope(r, s), nil
		}
		k, err := r.FragmentAt(time)
		if err != nil {
			return nil, err
		}
		if f.Protocol == packager.Smooth {
			r = r.Unprimed()
		}
		return p.fragment(r, k, s)
	}
	return &g, nil
}

// cipher is the key of r for a transport stream.
func (p *Protection) cipher(r *packager.Rendition) ts.Cipher {
	if key := p.key(r); key != nil {
		return key
	}
	return nil
}

// key returns the key of r, nil if it stays clear.
func (p *Protection) key(r *packager.Rendition) *Key {
	if p.Scheme != AES128 && r.Media.Kind != mp4.Video && r.Media.Kind != mp4.Audio {
		return nil
	}
	return p.Keys(r)
}

// Name returns the value of the URL key "encryption".
func (p *Protection) Name() string { return p.Scheme.String() }

// Whole reports whether whole segments are encrypted.
func (p *Protection) Whole() bool { return p.Scheme == AES128 }

// Size returns the sizes of the segment of r that starts with fragment k, and of
// its part up to the end of the first sample, from those of the clear one.
// The error is that of the segment.
func (p *Protection) Size(r *packager.Rendition, k int, whole, first int64, in packager.Carrier) (int64, int64, error) {
	key := p.key(r)
	if key == nil {
		return whole, first, nil
	}
	if p.Scheme == AES128 {
		return EnvelopeSize(whole), first, nil
	}
	if in == packager.TransportStream {
		if err := r.Ciphered(); err != nil {
			return 0, 0, err
		}
		// Escapes are needed once in some megabytes.
		return whole + whole/1000, first, nil
	}
	if in == packager.SmoothFragment {
		r = r.Unprimed()
	}
	info, err := p.sampleInfo(r, k, key)
	if err != nil {
		return 0, 0, err
	}
	more := int64(len(info.boxes(in == packager.SmoothFragment || p.Scheme == PIFF, 0)))
	return whole + more, first + more, nil
}

// refuse tells why samples of r cannot be encrypted in part; nil if they can.
func (p *Protection) refuse(r *packager.Rendition) error {
	if r.Media.Kind != mp4.Video || r.Media.HasNALs() {
		return nil
	}
	if !r.Media.CanHaveNALs() {
		return packager.Errorf(packager.VideoEncodingNotSupported, "%s: track %d: encryption=%s of %s is not supported", r.File, r.Media.ID, p.Scheme, r.Media.Codec)
	}
	return fmt.Errorf("%s: the index has no map of NAL units, which encryption=%s needs", r.File, p.Scheme)
}

// vector returns the initialization vector of the first sample of r under CENC;
// those of the others count up from there.
func (p *Protection) vector(k *Key, r *packager.Rendition) uint64 {
	return binary.BigEndian.Uint64(k.derive("sample iv", p.Version, r.File, strconv.Itoa(int(r.Media.ID))))
}
