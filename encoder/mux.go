package encoder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/packager/mp4"
)

// A made file is one output file with media on its way to the asset.
type made struct {
	file  File
	parts []*part
	name  string     // in the asset
	path  string     // where it is now
	index *mp4.Index // of the file at path; nil for a transport stream
}

// finish makes the plan's files of the parts, and lays the MP4s out for
// streaming. Afterwards they and their indexes lie in dir under their final
// names. taken are the names that other outputs have.
func finish(ctx context.Context, tools ffmpeg.Tools, plan *Plan, parts map[string]*part, tmp, dir string, taken namer, progress func(part float64)) ([]*made, error) {
	var all []*made
	for _, f := range plan.Files {
		m := &made{file: f}
		for _, name := range f.Parts {
			m.parts = append(m.parts, parts[name])
		}
		all = append(all, m)
	}
	plan.name(all, taken)
	if err := mux(ctx, tools, plan, all, tmp, dir); err != nil {
		return nil, err
	}
	for i, m := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		switch m.file.Format {
		case "mp4":
			err := m.relayout(filepath.Join(dir, m.name))
			if err != nil {
				return nil, fmt.Errorf("lay out %s: %w", m.name, err)
			}
		case "ismv":
			if err := m.writeIndex(); err != nil {
				return nil, err
			}
		}
		progress(float64(i+1) / float64(len(all)))
	}
	return all, nil
}

// mux puts the parts of each file together that has more than one, or that is no
// MP4. A sound is encoded once, and ffmpeg cannot write one encode into files of
// different pictures.
func mux(ctx context.Context, tools ffmpeg.Tools, plan *Plan, all []*made, tmp, dir string) error {
	args := []string{"-y", "-xerror"}
	if plan.Copies != nil {
		args = append(args, "-copyts") // each part starts where the source has it
	}
	inputs := map[*part]int{}
	var outputs []string
	var muxed []*made
	for i, m := range all {
		if len(m.parts) == 1 && m.file.Format == "mp4" {
			m.path, m.index = m.parts[0].path, m.parts[0].index
			continue
		}
		muxed = append(muxed, m)
		for _, t := range m.parts {
			n, ok := inputs[t]
			if !ok {
				n = len(inputs)
				inputs[t] = n
				args = append(args, ffmpeg.Input(t.path)...)
			}
			outputs = append(outputs, "-map", fmt.Sprint(n))
		}
		outputs = append(outputs, "-c", "copy")
		if m.file.Format == "ts" {
			m.path = filepath.Join(dir, m.name)
			outputs = append(outputs, "-f", "mpegts", ffmpeg.File(m.path))
			continue
		}
		if m.path = filepath.Join(tmp, fmt.Sprintf("muxed-%d.mp4", i)); m.file.Format == "ismv" {
			// Not ffmpeg's ismv: it has no edit lists, without which readers do not
			// keep the sound where it belongs.
			m.path = filepath.Join(dir, m.name)
			outputs = append(outputs, "-movflags", "frag_keyframe+delay_moov")
		}
		outputs = append(outputs, "-f", "mp4", ffmpeg.File(m.path))
	}
	if muxed == nil {
		return nil
	}
	if err := tools.Run(ctx, append(args, outputs...), nil); err != nil {
		return err
	}
	for _, m := range muxed {
		for _, t := range m.parts {
			if t.uses--; t.uses == 0 {
				if err := os.Remove(t.path); err != nil {
					return err
				}
			}
		}
		if m.file.Format == "ts" {
			continue
		}
		index, err := indexFile(m.path)
		if err != nil {
			return err
		}
		m.index = index
		if len(index.Tracks) != len(m.parts) {
			return fmt.Errorf("%s lost tracks when it was muxed", m.name)
		}
		for i, t := range m.parts {
			if index.Tracks[i].NumSamples() != t.track().NumSamples() {
				return fmt.Errorf("%s lost samples when it was muxed", m.name)
			}
		}
	}
	return nil
}

// relayout writes the file at path anew with every fragment as one extent, and
// its index beside it. What it was made of goes, unless another file needs it.
func (m *made) relayout(path string) (err error) {
	from, err := os.Open(m.path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if err := mp4.Relayout(to, from, m.index.Size, mp4.DefaultFragment); err != nil {
		return err
	}
	info, err := to.Stat()
	if err != nil {
		return err
	}
	index, err := mp4.BuildIndex(to, info.Size())
	if err != nil {
		return err
	}
	if len(m.parts) > 1 {
		err = os.Remove(m.path)
	} else if t := m.parts[0]; true {
		if t.uses--; t.uses == 0 {
			err = os.Remove(t.path)
		}
	}
	if err != nil {
		return err
	}
	m.path, m.index = path, index
	return m.writeIndex()
}

// writeIndex writes the packager's index beside the file.
func (m *made) writeIndex() error {
	b, err := m.index.AppendBinary(nil)
	if err != nil {
		return err
	}
	return os.WriteFile(indexName(m.path), b, 0o600)
}

// indexName is the name of the packager's index of an MP4. AMS named its own
// fragment index so; the content is ours.
func indexName(mp4Name string) string {
	return strings.TrimSuffix(mp4Name, filepath.Ext(mp4Name)) + ".mpi"
}
