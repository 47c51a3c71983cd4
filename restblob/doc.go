// Package restblob is the Azure Blob storage face: it speaks headers, XML,
// block lists and signatures to unmodified Azure storage clients, over
// package blob for what is kept and package sas for what a URL may do.
//
// Not its business: how bytes and records are kept (blob), who owns an account
// or issues tokens (cmd hands in Keys and Bearer), and assets.
//
// It is a raw handler on the escaped path: a router that cleans paths would
// change blob names. Both spellings of an address are served, path-style
// (/account/container/blob) and host-style (account.blob.host/container/blob).
//
// Invariants: every answer has x-ms-request-id and x-ms-version; every failure
// is one fault of errors.go; no answer reveals a signature that would have
// been right; a body is streamed, never held whole.
package restblob
