// Package blob keeps containers and blobs: what an upload becomes, what
// ffmpeg reads and what origin sends. A Store joins Records (what exists: a
// database, declared here, implemented by catalog) with a Driver (the bytes:
// blob/disk).
//
// Not its business: HTTP, signatures, XML (restblob), and which blobs make an
// asset (account).
//
// How a write becomes visible. A version of a blob is a list of extents, runs
// of bytes in files that are written once and never changed. The order of a
// write is always: bytes to a new file; the file and its directory to stable
// storage; then one record that names the file, in a transaction that also
// checks the writer's conditions; then the files that the record no longer
// names are removed. So
//
//   - a reader sees the old version or the new one, whole;
//   - a write that was acknowledged survives kill -9 and power loss;
//   - a write that was not leaves at most a file that no record names, which
//     Recover finds at the next start;
//   - of many parallel create-only writes of one name exactly one wins.
//
// Staged blocks are files of their own. Committing a list only writes a
// record with their extents, whatever the blob's size; a background pass
// (Run) joins them into one ordinary file, and OpenLocal does so on demand.
//
// Readers pin the files they use, and a pinned file is removed only when its
// last reader closes.
package blob
