// Package dial makes HTTP requests that somebody else asked for: the source of
// a job's input, the target of an event. Whoever may name a URL must not reach
// what only this machine can reach, so every address is checked at the moment
// of connecting, after the name was resolved and again for each redirect. No
// answer of DNS and no redirect gets around that.
//
// What to do with the bytes is the caller's business. Proxies of the
// environment are not used: they would connect where this package cannot see.
package dial
