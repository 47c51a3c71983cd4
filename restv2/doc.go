// Package restv2 is the OData face of the server: the v2 API of AMS, spelled
// over package account. OData itself is odata beneath this package; what AMS
// had, set by set, is model.json.
//
// What an operation does is account's business; tokens are identity's. Sets
// and functions of model.json that nothing here serves answer 501.
//
// Invariants: an id "nb:type:UUID:guid" has the guid that v3 shows for the
// same thing, keys have no case in their guid, and no secret is in an answer
// to who may only read.
package restv2
