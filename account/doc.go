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
// or not begun; bytes that no record names any more go after it, or at the next
// start. There are two exceptions, where time is involved:
//
//   - A long-running operation (on a streaming endpoint, a track, an account):
//     what it begins and the Operation are one transaction, its end another.
//     Recover, called at start, ends what a kill left in progress. While one is
//     pending, another on the same resource is a Conflict.
//   - Bulk ingest moves a file in three steps; see RunIngest.
//
// # Streaming endpoints
//
// Every endpoint has a host name: the first account's default one the server's
// own, the others {account}.{domain} and {endpoint}-{account}.{domain}, where
// domain is localhost unless configured. The host name of a request selects the
// endpoint, and with it the account: a locator plays at the endpoints of its own
// account alone. A name that nobody has, such as the address of the machine or
// of a proxy, stands for the default endpoint of the locator's account.
//
// # Invariants
//
//   - A container belongs to at most one asset of the whole server.
//   - A job's tasks carry the presets they were submitted with: changing or
//     deleting the transform later does not change them.
//   - No secret leaves except by the operations that AMS documents for it.
package account
