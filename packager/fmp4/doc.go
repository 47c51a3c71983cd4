// Package fmp4 writes init segments and the part of a fragment that comes before
// its media: styp, moof and the head of mdat. Everything is made from the index;
// sample data is neither read nor changed.
//
// Three styles differ in little: CMAF and DASH (CSF) carry styp and tfdt and count
// in the timescale of the track, Smooth has neither and counts in 1/10,000,000 s,
// because its clients make the init segment themselves ([MS-SSTR] 2.2.4), and
// only it carries sdtp.
//
// Composition offsets are relative to that of the track's first sample and may
// be negative (trun version 1), so that no edit list is needed to bring the
// first picture to time 0. An edit list is written for codec priming alone.
//
// Protection boxes (senc, saiz, saio, sinf, pssh) are not written here yet.
package fmp4
