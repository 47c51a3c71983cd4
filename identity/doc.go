// Package identity knows who is calling. Its Authority is a token service
// shaped like Azure AD (the v1, v2 and AD FS spellings): service principals
// exchange a client secret, or an assertion that they sign with the key of their
// certificate (RFC 7523), for a signed bearer token; people sign in on a page
// (authorization code with PKCE, device code) or, for old clients, by password
// grant, and their programs go on with refresh tokens; managed identities ask a
// local URL; media services accounts of old v2 clients show their key (ACS).
// Tokens of configured OpenID Connect providers are taken too. Every
// face of openams has its bearers checked here. Its roles are those of Azure
// that matter to a media services account.
//
// How a refusal looks in an API is the business of that face (restv3/arm for
// Resource Manager), shared access signatures are sas, content keys and their
// player tokens are keydelivery. There are no sessions: who signs in types the
// password, and the program keeps the refresh token.
//
// Invariants:
//   - URLs in answers name the host that the client used, so one server works
//     under any name. What makes a token ours is the signature: the key exists
//     in one data folder only and no other algorithm than RS256 is accepted.
//     The issuer must name our tenant; its host is not a secret and proves
//     nothing. The audience must be a well-known name of the service asked, or
//     a host that this server is configured to answer as, or the very host
//     that issued the token. The audience of an assertion must be a host that is
//     configured: the client made it, and whoever got it could send any Host.
//   - Roles are read when a token is used, not when it was issued, so taking a
//     principal or a person away ends their tokens; a new password ends the
//     refresh tokens. (A provider's tokens carry their roles until they expire.)
//   - Secrets are compared in constant time and never logged. At rest they are
//     digests, except those made by Folder.Ensure; passwords are bcrypt hashes.
//   - An authorization code goes to the person's own machine or to a configured
//     URL, nowhere else, and only with PKCE. A page of the sign-in is good only
//     in the browser that it was sent to.
//   - What strangers can make the authority remember is bounded: waiting
//     devices, spent codes, counters of failed sign-ins.
package identity
