// Package fmp4 writes init segments and the part of a fragment that comes before
// its media: styp, moof and the head of mdat. Everything is made from the index;
// sample data is neither read nor changed.
//
// Three styles differ in little: CMAF and DASH (CSF) carry styp and tfdt and count
// in the timescale of the track, Smooth has neither and counts in 1/10,000,000 s,
// because its clients make the init segment themselves ([MS-SSTR] 2.2.4), and
// only it carries sdtp.
//
// The edit list of an init segment has one entry, which skips codec priming and
// the composition offset of the first picture: both tracks start at 0 then. As
// Smooth has no edit list, the offsets of its pictures are made relative to the
// first one (trun version 1); its audio plays the priming too, as AMS's did, so
// that it is late by a frame.
//
// Protection boxes (senc, saiz, saio, sinf, pssh) are not written here yet.
package fmp4
