// Package restv3 is the Resource Manager face of the server: the operations
// of the Microsoft.Media provider, api-versions 2018-03-30-preview to
// 2023-01-01, spelled over package account.
//
// One table (table.go) lists every operation of the API with its method, path
// and handler. It drives routing and permissions; docs/coverage.md and
// operations.json, the list of operations that AMS had, are compared with it
// by a test. An operation without a handler answers 501 after authentication
// and permission.
//
// models.json lists the models of what clients write, with types, enums,
// ranges and discriminators. readModel and readPatch check bodies against it,
// so that handlers decode what is right and spelled in one way; showModel
// spells for old api-versions.
//
// Resource Manager itself (paths, api-version, envelope, errors, paging) is
// arm beneath this package. What an operation does is account's business;
// tokens are identity's.
//
// Invariants: bodies are as AMS recorded them, unknown members are ignored,
// a body of the wrong shape is a 400 that names the member, and no secret is
// in an answer except by the operations that exist for it.
package restv3
