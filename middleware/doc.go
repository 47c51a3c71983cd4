// Package middleware is what every listener of openams wears: request ids, one
// access-log line per request, metrics, a body limit, and a panic turned into
// an answer of status 500. Its Limiter counts for those who answer 429.
//
// It knows no API: what an error body looks like, who may call and where a
// path leads are the business of the faces. It never reads a body and never
// copies one: the ResponseWriter it hands down keeps io.ReaderFrom, so a file
// still reaches a TCP connection by sendfile.
//
// Invariants: every answer has an x-ms-request-id; nothing secret in a query
// string reaches a log; metric labels come from small fixed sets.
package middleware
