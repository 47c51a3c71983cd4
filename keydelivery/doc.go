// Package keydelivery hands content keys and licences to players that a content
// key policy allows: AES-128 keys as they are, W3C ClearKey licences, and, by way
// of a licence server of the operator's, those of PlayReady, Widevine and
// FairPlay. It is what Azure Media Services called key delivery.
//
//	GET|POST /?kid={guid}            16 bytes
//	POST     /ClearKey/[?kid={guid}] W3C ClearKey licence (EME)
//	POST     /PlayReady/             forwarded
//	POST     /Widevine/?kid={guid}   forwarded
//	POST     /FairPlay/?kid={guid}   forwarded
//
// All of it may stand below /keys. A key id leads to the keys of every locator
// that uses it, each with its policy; of keys that differ under one id the oldest
// counts, whatever account has the others. The options of a policy are tried in
// order, and the first whose restriction the request passes serves it.
//
// The package makes no keys, knows no streams and needs no streaming endpoint
// beside it. It does not speak the protocols of DRM systems: of a PlayReady
// challenge it reads the key ids, the others must name one in the URL. So a
// licence server must give licences for the key that it is told of, and for no
// other that a client may have put into its challenge.
//
// # Invariants
//
//   - A key leaves only when an option of its policy delivers it in the form
//     that was asked for, and the restriction of that option is met.
//   - What cannot be read (a restriction, an access list, a token) allows nothing.
//   - Each request leaves one record for the audit log; keys and tokens are in
//     no log.
//   - Uses of tokens with a limit are counted by all servers of a catalog
//     together, until the token ends. A request that fails counts as none.
package keydelivery
