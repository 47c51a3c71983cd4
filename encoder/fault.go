package encoder

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/ffmpeg"
	"github.com/openams/openams/packager/mp4"
)

// maxDiagnosis bounds how long a failed task spends on finding out where its
// source is damaged.
const maxDiagnosis = 5 * time.Minute

func jobErrorf(code ams.JobErrorCode, format string, args ...any) *ams.JobError {
	return &ams.JobError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// serviceError is a failure that is not the user's. What went wrong inside is
// not theirs to read either: it is joined to the job error, for the log.
func serviceError(err error) error {
	if _, ok := errors.AsType[*ams.JobError](err); ok {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) {
		return errors.Join(jobErrorf(ams.ServiceTransientError, "The encoder ran out of disk space."), err)
	}
	if stall, ok := errors.AsType[*ffmpeg.StallError](err); ok {
		return errors.Join(jobErrorf(ams.ServiceTransientError, "ffmpeg made no progress for %v and was stopped.", stall.After), err)
	}
	return errors.Join(jobErrorf(ams.ServiceError, "The encoder failed; the log of the server says why."), err)
}

// whole returns an error if the source is an MP4 that ends before its samples
// do: no need to encode up to there to find out.
func whole(src Source) error {
	if !strings.HasPrefix(src.Info.Format, "mov,") {
		return nil
	}
	_, err := indexFile(src.Path)
	if e, ok := errors.AsType[*mp4.Error](err); ok && e.Fault == mp4.Truncated {
		return jobErrorf(ams.ContentMalformed, "%q is cut short: %s.", src.Name, e.Msg)
	}
	return nil // ffmpeg reads more kinds of MP4 than the index
}

// faultError tells where a source is damaged.
func faultError(src Source, f *ffmpeg.Fault) error {
	what := fmt.Sprintf("stream %d", f.Stream)
	for i := range src.Info.Streams {
		if s := &src.Info.Streams[i]; s.Index == f.Stream {
			what = fmt.Sprintf("its %s stream %d (%s)", s.Kind, s.Index, s.Codec)
		}
	}
	length := ""
	if src.Info.Duration > 0 {
		length = fmt.Sprintf(" of %.2f s", src.Info.Duration.Seconds())
	}
	cause := f.Cause
	if cause == "" {
		cause = "damaged data"
	}
	return jobErrorf(ams.ContentMalformed, "%q: %s cannot be decoded from second %.2f%s on: %s.", src.Name, what, f.At.Seconds(), length, cause)
}

// probeError tells why ffprobe made nothing of a file: it is empty, it is a
// media file that is damaged, or it is something else.
func probeError(name, path string, err error) error {
	fail, ok := errors.AsType[*ffmpeg.Error](err)
	if !ok {
		return err
	}
	head := make([]byte, 512)
	f, err := os.Open(path)
	if err != nil {
		return serviceError(err)
	}
	defer f.Close()
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return serviceError(err)
	}
	switch head = head[:n]; {
	case n == 0:
		return jobErrorf(ams.ContentMalformed, "%q is empty: it has 0 bytes.", name)
	case isMP4(head) && fail.Cause() == "moov atom not found":
		return jobErrorf(ams.ContentMalformed, "%q is an MP4 file without its index (moov box): most likely it was cut off while it was written or uploaded.", name)
	case isMP4(head) || hasMagic(head):
		return jobErrorf(ams.ContentMalformed, "%q is damaged: %s.", name, fail.Cause())
	case isText(head):
		return jobErrorf(ams.ContentUnsupported, "%q is not a media file: it holds text.", name)
	}
	return jobErrorf(ams.ContentUnsupported, "%q is not a media file of a known format.", name)
}

// isMP4 reports whether a file starts with a box that MP4 and QuickTime files
// start with.
func isMP4(head []byte) bool {
	if len(head) < 8 {
		return false
	}
	switch string(head[4:8]) {
	case "ftyp", "moov", "mdat", "wide", "free", "skip", "styp", "pnot":
		return true
	}
	return false
}

// hasMagic reports whether a file starts as Matroska, ASF, AVI or WAV, FLV, MXF,
// Ogg or FLAC files do.
func hasMagic(head []byte) bool {
	for _, magic := range []string{"\x1aE\xdf\xa3", "0&\xb2u\x8ef\xcf\x11", "RIFF", "FLV\x01", "\x06\x0e+4", "OggS", "fLaC"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

func isText(head []byte) bool {
	for _, c := range head {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return true
}
