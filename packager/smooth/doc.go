// Package smooth writes Smooth Streaming client manifests ([MS-SSTR]) over the
// presentation model: version 2.2, the default of AMS, and 2.0 (fmp4-v20) for
// old clients, which lack the attribute r. ClientManifest is also the static
// .ismc of an asset.
//
// Live manifests are not written yet.
package smooth
