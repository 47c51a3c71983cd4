// Package probe plays a manifest like a strict player and says what is wrong
// with it: Probe fetches an HLS playlist, a DASH MPD or a Smooth Streaming
// manifest, then every rendition and every segment that it names, decrypts them
// where it has or gets the keys, and holds what it reads against what the
// manifest claims and against the rules of the formats (RFC 8216, ISO/IEC
// 23009-1, [MS-SSTR], ISO/IEC 14496-12, ISO/IEC 13818-1).
//
// It reads manifests and media with parsers of its own and imports nothing of
// openams, so that it cannot share a mistake with the packager; and it plays
// anybody's streams. It decodes no pictures and no sound: what it decrypts and
// joins can be handed to a decoder by Config.Save.
//
// A Problem is a fault where a rule is broken or a segment does not play, and a
// warning where a player may cope: AMS's formats force some, as a bitrate in
// URLs that is also the bandwidth of an MPD.
//
// # Invariants
//
//   - Whatever a server sends, memory is bounded: by maxManifest, maxSegment and
//     the number of streams at the same time, and a report by maxProblems.
//   - Nothing that is secret (keys, tokens) is in a Report.
package probe
