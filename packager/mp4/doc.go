// Package mp4 turns an MP4 or QuickTime file into a compact index of its
// samples, cuts tracks into fragments, and lays a file out so that a fragment
// is one extent of it. The packager builds manifests and segments from an
// Index alone and touches the media file only to copy bytes that the index
// points at.
//
// # Times
//
// Every time is a number of ticks of the track's Timescale. For a sample:
//
//   - DTS is its decode time as the file says: 0 for the first sample of a
//     progressive file, tfdt in a fragmented one;
//   - the presentation time is DTS + CTO - EditStart: the time on the common
//     clock of all tracks, where 0 is the start of the presentation. It is
//     negative for what a player decodes but does not show, as AAC priming;
//   - the media time is the presentation time plus Lead, the length of what is
//     decoded before presentation time 0 (nearly always 0 for video, 1024 or
//     2112 for AAC). It is never negative for a sample that starts a fragment.
//
// A fragment is known by the media time of its first sample, Fragment.Time.
// An fMP4 track therefore carries tfdt = Fragment.Decode, composition offsets
// Sample.CTO - FirstCTO, and, when Lead is not 0, an edit list whose media_time
// is Lead. Fragments of equal length have equal distances that way, as AMS
// printed them (d="60160000" r="11" for 282 AAC frames of 48 kHz).
//
// # Invariants
//
//   - An Index is never changed once built, and is safe for concurrent use.
//   - Every sample of an Index built by BuildIndex lies inside the file.
//   - Nothing is allocated by a count that a file merely claims: tables must
//     fit in their box, boxes in the file, the moov box in 256 MiB.
//   - An index read by ParseIndex may be forged, but then tells wrong numbers at
//     worst; it cannot make a method panic or allocate without bound.
//
// The package does no I/O but through the io.ReaderAt and io.Writer it is given,
// writes no segments and knows no protocol: that is the packager's business.
package mp4
