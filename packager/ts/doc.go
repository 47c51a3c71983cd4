// Package ts writes fragments as MPEG-2 transport streams (ISO/IEC 13818-1) for
// HLS: H.264 and HEVC in Annex B form, AAC in ADTS, AC-3 and E-AC-3.
//
// A fragment starts with a PAT and a PMT, and its first video packet is a random
// access point, so that any fragment plays alone and fragments of one track
// simply join: the continuity counters and the clock of fragment n follow from
// the index. A TS segment of several fragments is their concatenation.
//
// The size of a fragment follows from the index too. What is put in front of an
// access unit is always the same, and a start code takes the place of each NAL
// unit length; an access unit delimiter that the source has already becomes
// zero bytes, which Annex B allows before any start code.
//
// Samples can be encrypted on the way (METHOD=SAMPLE-AES of HLS): H.264 and audio,
// each with stream types of its own. A slice that looks like a start code after
// encryption is escaped, which the index cannot know. If that takes another packet,
// the fragment ends in zeros until the continuity counters are what it says.
//
// Time stamps are presentation times on the common clock of all tracks plus
// Base, in 90 kHz, modulo 2^33. The package reads no files, knows no keys, and
// does not segment.
package ts
