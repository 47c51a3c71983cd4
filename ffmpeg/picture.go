package ffmpeg

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
)

// pictures are the first bytes of files that hold one picture, and the demuxer
// that reads each.
var pictures = []struct{ magic, demuxer string }{
	{"\x89PNG\r\n\x1a\n", "png_pipe"},
	{"\xff\xd8\xff", "jpeg_pipe"},
	{"GIF8", "gif"},
	{"BM", "bmp_pipe"},
	{"RIFF", "webp_pipe"},
	{"II*\x00", "tiff_pipe"},
	{"MM\x00*", "tiff_pipe"},
}

// Still reports whether the file that info tells of holds a picture that stands
// still.
func (i *Info) Still() bool {
	for _, p := range pictures {
		if i.Format == p.demuxer {
			return true
		}
	}
	return false
}

// ProbePicture is Probe for a file with a picture that stands still, which Probe
// refuses.
func (t Tools) ProbePicture(ctx context.Context, path string) (*Info, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 16)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return nil, err
	}
	for _, p := range pictures {
		if !bytes.HasPrefix(head[:n], []byte(p.magic)) || p.magic == "RIFF" && string(head[8:12]) != "WEBP" {
			continue
		}
		return t.probe(ctx, Picture(path, p.demuxer))
	}
	return nil, &Error{Program: base(t.FFprobe), Exit: 1, Tail: fmt.Sprintf("no picture of a known format (%d bytes)", n)}
}

// Picture returns the arguments that open the local file path as the next input,
// a picture that stands still, with the demuxer that its Info names.
func Picture(path, demuxer string, options ...string) []string {
	return append(options, "-protocol_whitelist", "file,pipe", "-f", demuxer, "-i", File(path))
}
