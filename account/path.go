package account

import (
	"context"
	"net/url"
	"path"
	"strings"

	"github.com/openams/openams/ams"
)

// Paths are where a locator's asset is served, to be appended to
// https://{endpoint's host name}.
type Paths struct {
	Streaming []StreamingPath
	Download  []string // of files
}

// A StreamingPath is where one protocol is served.
type StreamingPath struct {
	Protocol ams.Protocol
	Scheme   ams.Scheme
	Paths    []string
}

// manifests are the forms of manifest paths, in the order AMS listed them.
var manifests = []struct {
	protocol ams.Protocol
	formats  []string
}{
	{ams.HLS, []string{"format=m3u8-aapl", "format=m3u8-cmaf"}},
	{ams.DASH, []string{"format=mpd-time-csf", "format=mpd-time-cmaf"}},
	{ams.SmoothStreaming, []string{""}},
}

// encryptions are how manifest paths name the schemes (documented).
var encryptions = map[ams.Scheme]string{
	ams.NoEncryption: "", ams.Envelope: "encryption=cbc", ams.CENC: "encryption=cenc", ams.CBCS: "encryption=cbcs-aapl",
}

// manifest is the last segment of a manifest path.
func manifest(format, encryption string) string {
	switch {
	case format == "" && encryption == "":
		return "manifest"
	case format == "" || encryption == "":
		return "manifest(" + format + encryption + ")"
	}
	return "manifest(" + format + "," + encryption + ")"
}

// Paths lists the paths of a locator. Both lists are empty while the asset
// holds nothing to serve (recorded).
func (a *Account) Paths(ctx context.Context, locator string) (*Paths, error) {
	l, err := a.Locator(ctx, locator)
	if err != nil {
		return nil, err
	}
	policy, err := a.Policy(ctx, l.Policy)
	if err != nil {
		return nil, err
	}
	asset, err := a.Asset(ctx, l.Asset)
	if err != nil {
		return nil, err
	}
	files, err := a.s.files(ctx, asset)
	if err != nil {
		return nil, err
	}
	paths := new(Paths)
	root := "/" + l.ID + "/"
	if ism := serverManifest(files); ism != "" {
		for _, m := range manifests {
			for _, scheme := range ams.Schemes() {
				if !policy.Allows(scheme, m.protocol) {
					continue
				}
				p := StreamingPath{Protocol: m.protocol, Scheme: scheme}
				for _, format := range m.formats {
					if scheme == ams.CENC && format == "format=m3u8-aapl" {
						continue // there is no cenc of transport streams
					}
					p.Paths = append(p.Paths, root+url.PathEscape(ism)+"/"+manifest(format, encryptions[scheme]))
				}
				paths.Streaming = append(paths.Streaming, p)
			}
		}
	}
	if policy.Allows(ams.NoEncryption, ams.Download) {
		for _, f := range files {
			if downloadable(f) {
				paths.Download = append(paths.Download, root+url.PathEscape(f))
			}
		}
	}
	return paths, nil
}

// serverManifest is the asset's .ism file: what makes it streamable.
func serverManifest(files []string) string {
	for _, f := range files {
		if strings.EqualFold(path.Ext(f), ".ism") {
			return f
		}
	}
	return ""
}

// downloadable reports whether listPaths shows the file: media and metadata,
// not what only the streaming server reads.
func downloadable(file string) bool {
	switch strings.ToLower(path.Ext(file)) {
	case ".ism", ".ismc", ".mpi":
		return false
	}
	return true
}

// files are the names of the asset's files in order.
func (s *Server) files(ctx context.Context, asset *ams.Asset) (names []string, err error) {
	blobs, err := s.blobsOf(ctx, asset)
	for _, b := range blobs {
		names = append(names, b.Name)
	}
	return names, err
}
