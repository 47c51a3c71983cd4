// Package arm is the protocol of Azure Resource Manager as clients of the v3
// API meet it, without any of its nouns: resource ids, routing without case,
// api-version, the JSON envelope and its headers, errors, paging links,
// long-running operations, bearer authentication and the permission check. It
// also serves the few resources around a media services account that SDKs and
// azure-cli ask for on their way: cloud metadata, subscriptions, tenants,
// locations, resource groups, providers and storage accounts.
//
// What an asset or a job looks like is restv3's business; who a token belongs
// to and what a role allows is identity's.
//
// Invariants: a request is answered in this order, the first failure winning:
// token (401), route (404, 405), permission (403), api-version (400),
// subscription and group (404), and only then the handler; so a caller without
// permission never learns what exists. Handlers return errors; the Router
// alone answers and logs them. Nothing is read from a client without a bound.
package arm
