package middleware

import (
	"net/url"
	"strings"
)

// maxLogged bounds the URL in a log line, in bytes.
const maxLogged = 2048

// secret holds, in lower case, the query parameters whose values open
// something: the signature of a shared access signature, tokens of content key
// policies and of the token service, and credentials that a client put in the
// wrong place.
func secret(name string) bool {
	switch strings.ToLower(name) {
	case "sig", "token", "access_token", "accesstoken", "id_token", "refresh_token",
		"client_secret", "client_assertion", "password", "code", "authorization", "key":
		return true
	}
	return false
}

// RedactURL returns the path and query of u for a log: values of secret
// parameters are replaced by REDACTED, and what is long is cut. Anything after
// the path that does not read as name=value pairs is treated as secret too.
func RedactURL(u *url.URL) string {
	var b strings.Builder
	b.WriteString(clip(u.EscapedPath(), maxLogged))
	if u.RawQuery == "" {
		return b.String()
	}
	sep := byte('?')
	for part := range strings.SplitSeq(clip(u.RawQuery, maxLogged), "&") {
		b.WriteByte(sep)
		sep = '&'
		name, _, found := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		switch {
		case err != nil:
			b.WriteString("REDACTED")
		case found && secret(strings.TrimSpace(plain)), strings.Contains(part, ";"):
			// A semicolon separated pairs once, and may hide a name here.
			b.WriteString(name[:min(len(name), 64)])
			b.WriteString("=REDACTED")
		default:
			b.WriteString(part)
		}
	}
	return b.String()
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}
