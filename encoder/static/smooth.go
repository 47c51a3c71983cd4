package static

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/fmp4"
	"github.com/openams/openams/packager/ism"
	"github.com/openams/openams/packager/mp4"
	"github.com/openams/openams/packager/protect"
	"github.com/openams/openams/packager/smooth"
)

// Smooth makes Smooth Streaming files of an MP4 set.
type Smooth struct {
	KeepNames bool // files are named after their sources; else the bitrate is added
}

// Run implements Task.
func (t *Smooth) Run(ctx context.Context, s *Set, dir string, progress func(float64)) ([]string, error) {
	p, err := s.presentation(0)
	if err == nil {
		err = checkSmooth(p)
	}
	if err != nil {
		return nil, err
	}
	return s.writeSmooth(ctx, p, nil, dir, func(r *packager.Rendition) string {
		if t.KeepNames {
			return bare(r.File)
		}
		return fmt.Sprintf("%s_%d", bare(r.File), max(1, r.Bitrate/1000))
	}, progress)
}

// file is the format of the files of a Smooth set, which belongs to no protocol:
// unlike in Smooth, edit lists tell of codec priming.
func file() *packager.Format {
	return &packager.Format{
		Name: "ismv",
		Init: func(_ *packager.Presentation, r *packager.Rendition) (*packager.Segment, error) {
			return r.InitSegment(fmp4.CSF), nil
		},
		Fragment: func(_ *packager.Presentation, r *packager.Rendition, time uint64) (*packager.Segment, error) {
			k, err := r.FragmentAt(time)
			if err != nil {
				return nil, err
			}
			return r.MP4Segment(k, fmp4.CSF)
		},
	}
}

// writeSmooth writes the tracks of p, one a file, and their manifests. call names
// the file of a rendition, without its extension.
func (s *Set) writeSmooth(ctx context.Context, p *packager.Presentation, protection *protect.Protection, dir string,
	call func(*packager.Rendition) string, progress func(float64)) ([]string, error) {
	format := file()
	var said packager.Options // what the client manifest says of protection
	if protection != nil {
		said.Protection = protection
		var err error
		if format, err = protection.Format(format); err != nil {
			return nil, refusal(err)
		}
	}
	client, err := smooth.V22().Manifest(p, said)
	if err != nil {
		return nil, refusal(err)
	}
	text := client.Body
	if protection != nil {
		// What is in static files is not chosen by a URL.
		text = bytes.ReplaceAll(text, []byte(said.Encryption()), nil)
	}
	m := &meter{ctx: ctx, report: progress}
	for _, t := range p.Tracks {
		for _, r := range t.Renditions {
			m.total += len(r.Fragments)
		}
	}
	manifest := &ism.Manifest{ClientManifest: s.name + ".ismc"}
	taken := names{}
	var list []string
	for _, t := range p.Tracks {
		kind, ext := ism.Video, ".ismv"
		if t.Kind == mp4.Audio {
			kind, ext = ism.Audio, ".isma"
		}
		for _, r := range t.Renditions {
			name := taken.take(call(r), ext)
			if err := create(dir, name, func(w io.Writer) error { return s.writeTrack(m, w, p, r, format) }); err != nil {
				return nil, refusal(err)
			}
			stream := ism.Stream{
				Kind: kind, Src: name, Bitrate: r.Bitrate, Language: t.Language, TrackID: fmp4.TrackID(r.Media),
				TrackName: t.Name, Role: t.Role, Accessibility: t.Accessibility,
			}
			list = append(list, name)
			if protection == nil {
				stream.TrackIndex = name + ".mpi"
				if err := writeIndex(dir, name, stream.TrackIndex); err != nil {
					return nil, err
				}
				list = append(list, stream.TrackIndex)
			}
			manifest.Streams = append(manifest.Streams, stream)
		}
	}
	if err := createText(dir, manifest.ClientManifest, text); err != nil {
		return nil, err
	}
	if err := createText(dir, s.name+".ism", manifest.Encode()); err != nil {
		return nil, err
	}
	return append(list, manifest.ClientManifest, s.name+".ism"), nil
}

// writeTrack writes the file of a rendition: its fragments between an init
// segment and an index of where they are (mfra, ISO/IEC 14496-12 8.8.9).
func (s *Set) writeTrack(m *meter, w io.Writer, p *packager.Presentation, r *packager.Rendition, f *packager.Format) error {
	var at int64
	write := func(seg *packager.Segment, err error) error {
		if err != nil {
			return err
		}
		n, err := seg.WriteTo(w, s.reader)
		at += n
		return err
	}
	if err := write(f.Init(p, r)); err != nil {
		return err
	}
	entries := make([]byte, 0, 19*len(r.Fragments))
	for i := range r.Fragments {
		seg, err := f.Fragment(p, r, r.Fragments[i].Start)
		if err != nil {
			return err
		}
		moof := at
		if string(seg.Header[4:8]) == "styp" {
			moof += int64(binary.BigEndian.Uint32(seg.Header))
		}
		entries = binary.BigEndian.AppendUint64(entries, uint64(r.Fragments[i].Decode))
		entries = binary.BigEndian.AppendUint64(entries, uint64(moof))
		entries = append(entries, 1, 1, 1) // the first sample of the first trun of the first traf
		if err := write(seg, nil); err != nil {
			return err
		}
		if err := m.step(); err != nil {
			return err
		}
	}
	_, err := w.Write(mfra(fmp4.TrackID(r.Media), len(r.Fragments), entries))
	return err
}

func mfra(track uint32, count int, entries []byte) []byte {
	const tfraHead, mfro = 24, 16
	size := 8 + tfraHead + len(entries) + mfro
	b := binary.BigEndian.AppendUint32(nil, uint32(size))
	b = append(b, "mfra"...)
	b = binary.BigEndian.AppendUint32(b, uint32(tfraHead+len(entries)))
	b = append(b, "tfra"...)
	b = append(b, 1, 0, 0, 0) // version 1: 64 bits
	b = binary.BigEndian.AppendUint32(b, track)
	b = append(b, 0, 0, 0, 0) // numbers of one byte
	b = binary.BigEndian.AppendUint32(b, uint32(count))
	b = append(b, entries...)
	b = binary.BigEndian.AppendUint32(b, mfro)
	b = append(b, "mfro\x00\x00\x00\x00"...)
	return binary.BigEndian.AppendUint32(b, uint32(size))
}

// writeIndex writes the packager's index of a file in dir beside it.
func writeIndex(dir, name, as string) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	index, err := mp4.BuildIndex(f, info.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b, err := index.AppendBinary(nil)
	if err != nil {
		return err
	}
	return createText(dir, as, b)
}

// smoothCodecs are those of which a client manifest can tell.
var smoothCodecs = map[string]bool{"avc1": true, "avc3": true, "hvc1": true, "hev1": true, "mp4a": true, "ec-3": true}

// checkSmooth returns an error unless Smooth Streaming can carry all of p.
func checkSmooth(p *packager.Presentation) error {
	if _, err := smooth.V22().Manifest(p, packager.Options{}); err != nil {
		return refusal(err)
	}
	for _, t := range p.Tracks {
		for _, r := range t.Renditions {
			if !smoothCodecs[r.Media.Codec] {
				return jobErrorf(ams.ContentUnsupported, "%q: Smooth Streaming cannot carry its track %d: it is %s.", r.File, r.Media.ID, r.Codec)
			}
		}
	}
	return nil
}
