// Package ams holds the nouns of a media services account and the rules that
// make them valid: Account, Asset, Transform, Job, StreamingLocator, ContentKey,
// StreamingPolicy, ContentKeyPolicy, StreamingEndpoint, and the storage nouns
// under an asset.
//
// REST v2 (OData) and REST v3 (Resource Manager) are two views of these
// values: a rule both obey belongs here, a spelling only one uses belongs in
// restv2 or restv3. The package does no I/O and imports none of ours.
//
// Invariants kept by the rules of this package:
//
//   - Names are unique in their parent without regard to case and keep the
//     casing of whoever created them.
//   - An asset's name, id, storage account and container never change.
//   - A job's inputs and outputs never change; its state moves only along
//     next (state.go), and a final state is never left.
//   - Locators and streaming policies are immutable.
package ams
