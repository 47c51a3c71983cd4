// Package hls writes HTTP Live Streaming playlists (RFC 8216) over the
// presentation model, in the flavours that AMS had: m3u8-cmaf (version 7,
// fragmented MP4), m3u8-aapl (version 4, transport streams with audio apart) and
// m3u8-aapl-v3 (version 3, transport streams with video and audio).
// Child URIs are relative and spelled as AMS spelled them.
//
// Where AMS computed BANDWIDTH from nominal bit rates, the true peak is
// published, with AVERAGE-BANDWIDTH beside it. m3u8-aapl keeps AMS's
// EXT-X-ALLOW-CACHE and its constant EXT-X-PROGRAM-DATE-TIME of 1970;
// m3u8-cmaf leaves out both, as the one is deprecated and the other not true.
//
// The playlists of a presentation that grows are of type EVENT and tell players to
// start at its beginning. Live playlists with a window are not written yet.
package hls
