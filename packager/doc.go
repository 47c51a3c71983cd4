// Package packager turns indexed MP4 files into what players ask for:
// manifests, init segments and media segments. A Presentation is the neutral
// model of one streamable asset: tracks, each in one or more renditions, each
// cut into the same fragments for every protocol. The packages below it make
// something of it:
//
//	mp4     the index of a file, and the one rule by which tracks are cut
//	ism     the server manifest (.ism), the source of truth of a Presentation
//	fmp4    init segments and fragment headers
//	ts      MPEG-2 transport stream fragments
//	text    caption files, cut into what each protocol wants
//	smooth, dash, hls   a Format each protocol: a small table over the model
//	protect a Format with encrypted segments, and what manifests say of them
//	formats the list of all of them, by the names that URLs use
//
// The packages know no HTTP, URL, disk or policy, and but for protect no key.
// Media is touched through an io.ReaderAt only when a Segment is written; planning
// one needs the index alone. A filter is a Cut: the Presentation with fewer tracks
// and fragments, of which manifests are made; segments are always made of the
// whole. Live input is not its business yet.
//
// # Times
//
// Manifests and URLs count in Timescale (10,000,000 a second, as AMS did for
// everything made of MP4 files); media counts in the timescale of its track.
// A fragment that starts at media time m is named trunc(m * 1e7 / timescale),
// and lasts, for the manifest, until the name of the next one: rounding never
// adds up and no two fragments leave a gap or overlap by a tick. In the media
// tfdt is exact, and is the sum of all sample durations before it. The media
// time of a track starts at 0 with codec priming included; presentation time is
// media time less Track.Lead, which fMP4 tells players by an edit list of one
// entry in the init segment and TS by its time stamps. See packages mp4 and fmp4.
//
// # Invariants
//
//   - A Presentation is never changed once built and is safe for concurrent use.
//   - A Segment is a function of the files, the rendition, the fragment and the
//     format only: the same bytes every time, whatever else the asset holds.
//   - Within a Track a bitrate names one Rendition; within a Presentation a name
//     names one Track.
package packager
