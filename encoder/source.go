package encoder

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
)

// notMedia are the extensions of files that lie beside media in an asset: what
// earlier encodes and indexing left there. They are never looked into.
var notMedia = map[string]bool{
	".ism": true, ".ismc": true, ".mpi": true, ".json": true, ".xml": true, ".txt": true, ".md": true, ".log": true,
	".m3u8": true, ".mpd": true, ".vtt": true, ".ttml": true, ".srt": true, ".smi": true, ".ass": true, ".cmft": true,
	".jpg": true, ".jpeg": true, ".png": true, ".bmp": true, ".gif": true, ".webp": true, ".svg": true, ".tif": true, ".tiff": true,
	".workflow": true, ".info": true, ".aib": true,
}

// MayBeMedia reports whether a file of that name can be a source.
func MayBeMedia(name string) bool { return !notMedia[strings.ToLower(path.Ext(name))] }

// isPicture reports whether a file of that name can be the picture of an overlay.
func isPicture(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff":
		return true
	}
	return false
}

// Choose picks the file to encode from the files of a job's input: the one with the largest picture, of those the one with the
// highest bitrate, of those the first. So an asset that already holds an MP4 set
// gives its best rendition. Files that are no media are passed over if another
// one is.
//
// AMS said no more than that an asset with several files is taken as a whole;
// which of them it then encoded is not documented.
//
// Pictures that stand still are passed over too, but count among the files: an
// overlay may be one.
//
// media are the files that can be read, chosen is the one to encode.
//
// The error is ctx's or has an *ams.JobError in its chain that names the file.
func Choose(ctx context.Context, tools ffmpeg.Tools, files []Source) (media []Source, chosen int, err error) {
	chosen = -1
	var first error
	for _, f := range files {
		if f.Path == "" || !wanted(f.Name, true) {
			continue
		}
		info, err := probe(ctx, tools, &f)
		if ctx.Err() != nil {
			return nil, 0, ctx.Err()
		}
		if err != nil {
			if first == nil && !isPicture(f.Name) {
				first = err
			}
			continue
		}
		f.Info = info
		media = append(media, f)
		if n := len(media) - 1; chosen < 0 || better(info, media[chosen].Info) {
			chosen = n
		}
	}
	switch {
	case chosen >= 0:
		return media, chosen, nil
	case first != nil:
		return nil, 0, serviceError(first)
	case len(files) == 0:
		return nil, 0, jobErrorf(ams.ContentUnsupported, "The input has no files.")
	}
	var names []string
	for _, f := range files[:min(len(files), 5)] {
		names = append(names, f.Name)
	}
	return nil, 0, jobErrorf(ams.ContentUnsupported, "The input has no media file, only %s.", strings.Join(names, ", "))
}

// maxProbe bounds how long ffprobe may look at one file.
const maxProbe = 2 * time.Minute

func probe(ctx context.Context, tools ffmpeg.Tools, f *Source) (*ffmpeg.Info, error) {
	limited, stop := context.WithTimeout(ctx, maxProbe)
	defer stop()
	look := tools.Probe
	if isPicture(f.Name) {
		look = tools.ProbePicture
	}
	info, err := look(limited, f.Path)
	switch {
	case err == nil:
		return info, nil
	case limited.Err() != nil:
		return nil, jobErrorf(ams.ContentMalformed, "%q: ffprobe did not find out within %v what it holds.", f.Name, maxProbe)
	}
	return nil, probeError(f.Name, f.Path, err)
}

// better reports whether a is strictly the better source.
func better(a, b *ffmpeg.Info) bool {
	area := func(i *ffmpeg.Info) (pixels int, bitrate int64) {
		if i.Still() {
			return -2, 0
		}
		if v := pickVideo(i); v != nil {
			return v.Width * v.Height, videoBitrate(i, v)
		}
		if pickAudio(i) != nil {
			return 0, i.BitRate
		}
		return -1, 0
	}
	pa, ba := area(a)
	pb, bb := area(b)
	return pa > pb || pa == pb && ba > bb
}
