// Package account is what a media services account can do: each operation
// once, for every face. restv3 and restv2 spell its results, cmd/openams wires
// it to catalog and blob, origin and encoder look up what they serve and write.
//
// It leaves out how a request or an answer is spelled, who may call (the faces
// ask identity), how a task runs (encoder), and how bytes are kept (blob).
//
// # Crashes
//
// Every operation is one transaction of the catalog, so a kill leaves it done
// or not begun, with three exceptions where bytes or time are involved:
//
//   - Creating an asset makes its container first. A kill before the asset is
//     recorded leaves an empty container that belongs to nobody: a client that
//     named it adopts it when it tries again.
//   - Deleting an asset: its locators go first (nothing streams any more), then
//     the container with its blobs, then the asset itself. A kill in between
//     leaves the asset listed; deleting it again completes.
//   - Starting or stopping a streaming endpoint: the new transient state and
//     the Operation are one transaction, the end of both another. Recover,
//     called at start, ends what a kill left in progress.
//
// # Invariants
//
//   - A container belongs to at most one asset of the whole server.
//   - A job's tasks carry the presets they were submitted with: changing or
//     deleting the transform later does not change them.
//   - No secret leaves except by the operations that AMS documents for it.
package account
