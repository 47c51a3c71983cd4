// Package disk keeps blobs as files of a local folder, where people, ffmpeg
// and sendfile can use them:
//
//	<account>/<container>/<name>        whole blobs, under readable names (name.go)
//	.blocks/<account>/<container>/<n>   staged blocks
//	.tmp/<n>                            whole blobs while they are written
//	.orphans/<day>/…                    whole files that no record named at a start
//
// Which file is which blob is the records' business; the names are for people
// alone. The folder belongs to one process.
//
// Invariants: a file is never written again after Commit; it is on stable
// storage, and so is its directory entry, before Commit returns; no name that
// a client chose leads outside the folder.
package disk
