// Command openams is the openams server and its tools.
//
//	openams serve --data DIR   run every role in one process
//	openams demo [FILE]        show the whole flow on a throw-away server
//	openams principals, users  keep who may call
//	openams events             see and replay what web hooks are told
//	openams jobs               tell what became of a job
//	openams doctor             check ffmpeg, and the bytes of a data folder against its records
//	openams version            print the version
//
// This package reads flags, environment and configuration files, makes the
// secrets of a data folder, opens the listeners and introduces the packages to
// each other through the interfaces that they declare. It decides nothing
// else: no rule of the API, no media, no wire format.
//
// # The data folder
//
//	DIR/lock            held while a server runs
//	DIR/openams.db      the catalog (SQLite)
//	DIR/blobs/          bytes, by storage account, container and blob name
//	DIR/secrets/        keys and client secrets, 0700
//	DIR/tls/            the generated CA and server certificate
//	DIR/cache/          what can be made again
//	DIR/scratch/        files of running work; erased at start
//	DIR/endpoints.json  where clients find the running server
package main
