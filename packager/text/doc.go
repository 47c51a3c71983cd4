// Package text reads caption files and cuts them into what players ask for:
// WebVTT for HLS, wvtt and stpp samples for DASH, TTML for Smooth Streaming.
//
// A source is a WebVTT or a TTML (IMSC 1 text) file, or an MP4 of either
// (.cmft). What it is decides its form in fragments: WebVTT becomes wvtt, TTML
// stays TTML and becomes stpp. For HLS every source becomes WebVTT, for Smooth
// every source becomes TTML; what the other form cannot say, such as regions and
// colours, is lost there and there only.
//
// A cue that lies in several segments is in each of them: in WebVTT with its own
// times, by which players know it again, elsewhere cut at the edges.
//
// Sources come from anyone who may write to a container: bytes, cues, nodes and
// depth are bounded, and document type declarations refused. Times of a manifest
// and tracks are the packager's business.
package text
