// Package sas signs and checks shared access signatures: the query strings
// that let a client use one container or blob (service SAS), a whole storage
// account (account SAS), or what a user was granted (user delegation SAS)
// without holding a key.
//
// Every string-to-sign since the first is known, so that URLs which Azure
// Media Services handed out years ago verify with the same key. The package
// signs and compares text; it knows neither HTTP nor which permission an
// operation needs, and it looks up nothing: keys and stored access policies
// come from its caller.
//
// Invariants: a field is signed exactly as it stands in the URL, never
// reformatted; signatures are compared in constant time; no error carries the
// expected signature.
package sas
