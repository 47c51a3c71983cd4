// Package origin is the streaming endpoints: players ask them for manifests,
// playlists, segments and files under the URL of a streaming locator, in the
// URL grammar of Azure Media Services, and get what the packager makes of the
// asset's files.
//
// One Handler serves all endpoints of a server: the host name of a request says
// which one it is for, and so which settings (who may read, how long caches
// keep, cross-site policies) apply and whether it runs.
//
// What a streaming policy protects is encrypted on the way out, with the keys of
// the locator: how is package packager/protect's business, who may have the keys
// key delivery's.
//
// It owns the URLs, the resolution of a locator to files, the caches, and HTTP
// as players and CDNs know it: entity tags, ranges, CORS, cache lifetimes and
// MPE_ error codes. How a manifest or a segment looks is the packager's
// business, which locators exist is the account's, and where bytes lie is
// blob's.
//
// # Invariants
//
//   - A locator that was deleted or ran out, and an endpoint that was stopped,
//     serve nothing from the next request on.
//   - What a policy protects is never served in the clear: not under a URL that
//     names no encryption, and not where the locator has no key for a track.
//   - One answer is made of one version of an asset: manifests and segments
//     carry an entity tag of the versions of all files that they are made of,
//     and a file that changed meanwhile is never mixed with the index of its
//     predecessor.
//   - Segments depend on nothing but the asset's files, the keys of the locator
//     and the path, so that a CDN may keep them.
//   - Memory is bounded: presentations, texts, segments that are encrypted whole
//     and those that are made in memory by bytes, open files by count, URLs by
//     length. Clear fMP4 segments and files never enter it: they go from the file
//     to the connection.
//   - What lies in a container comes from anyone who may write to it. An index
//     found there is believed only as far as it fits its file.
package origin
