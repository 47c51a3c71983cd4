// Package identity knows who is calling. Its Authority is a token service
// shaped like Azure AD: service principals exchange a client secret for a
// signed bearer token (OAuth 2.0 client credentials; the v1, v2 and AD FS
// spellings), and every face of openams has its bearers checked here. Its
// roles are those of Azure that matter to a media services account.
//
// How a refusal looks in an API is the business of that face (restv3/arm for
// Resource Manager), shared access signatures are sas, content keys and their
// player tokens are keydelivery.
//
// Invariants:
//   - URLs in answers name the host that the client used, so one server works
//     under any name. What makes a token ours is the signature: the key exists
//     in one data folder only and no other algorithm than RS256 is accepted.
//     The issuer must name our tenant; its host is not a secret and proves
//     nothing. The audience must be a well-known name of the service asked, or
//     a host that this server is configured to answer as, or the very host
//     that issued the token.
//   - Roles are read when a token is used, not when it was issued, so taking a
//     principal away ends its tokens.
//   - Secrets are compared in constant time and never logged. At rest they are
//     digests, except those made by Folder.Ensure.
package identity
