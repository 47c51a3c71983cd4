// Package dash writes MPDs (ISO/IEC 23009-1, static) over the presentation
// model, in the two flavours that AMS had: mpd-time-csf and mpd-time-cmaf. They
// differ in the profile named and in brands of the media.
//
// Elements, attributes and URL templates are those of AMS's MPDs; what AMS left
// out and players want is added: Role, AudioChannelConfiguration, frameRate, sar.
// One timeline is shared by all representations of a set.
//
// Live MPDs are not written yet.
package dash
