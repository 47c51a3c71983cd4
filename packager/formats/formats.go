// Package formats lists every format that a manifest URL can ask for, under the
// names that URLs use. It adds nothing to the packages that make them.
package formats

import (
	"strings"

	"github.com/openams/openams/packager"
	"github.com/openams/openams/packager/dash"
	"github.com/openams/openams/packager/hls"
	"github.com/openams/openams/packager/smooth"
)

// Lookup returns the format with the given name, in any case; "" is Smooth
// Streaming 2.2. The error is OutputFormatNotSupported.
func Lookup(name string) (*packager.Format, error) {
	switch strings.ToLower(name) {
	case "":
		return smooth.V22(), nil
	case "fmp4-v20":
		return smooth.V20(), nil
	case "m3u8-cmaf":
		return hls.CMAF(), nil
	case "m3u8-aapl", "m3u8-aapl-v4":
		return hls.TS(), nil
	case "m3u8-aapl-v3":
		return hls.Muxed(""), nil
	case "mpd-time-csf":
		return dash.CSF(), nil
	case "mpd-time-cmaf":
		return dash.CMAF(), nil
	}
	return nil, packager.Errorf(packager.OutputFormatNotSupported, "format %q is not one of m3u8-cmaf, m3u8-aapl, m3u8-aapl-v3, mpd-time-csf, mpd-time-cmaf, fmp4-v20, or none for Smooth Streaming", name)
}
