// Package odata is OData version 3 as clients of the v2 API of AMS meet it,
// without any of its nouns: URLs, query options, headers, JSON light and
// verbose, Atom, the service document and $metadata, references and deep
// inserts, $batch and errors.
//
// What there is to serve is data, a Model. What serves it are the handlers of
// a Config, one per entity set and function, each of which implements as much
// of Reader, Creator, Updater, Deleter, Navigator and Linker as the set
// allows. What the Model has and no handler serves answers 501, and the
// service document and $metadata leave it out.
//
// Who is calling is not its business; nor are the rules of an asset or a job.
// A Server is to be wrapped in whatever checks tokens, which can answer in
// the format of the request by WriteError.
//
// Invariants: handlers see values of the types that the Model declares (see
// Entity), only properties that it has, and filters over these alone.
// Handlers return errors; the Server alone answers and logs them. Nothing is
// read from a client without a bound, and no answer grows without one.
package odata
