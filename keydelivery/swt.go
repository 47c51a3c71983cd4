package keydelivery

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ams"
)

// swtSignature stands before the signature at the end of a simple web token.
const swtSignature = "&HMACSHA256="

// maxSWTClaims bounds the pairs of a token.
const maxSWTClaims = 256

// checkSWT proves a simple web token: a form of claims, and the HMAC of its text.
func (t *tokens) checkSWT(rules *ams.TokenRules, text string) (*token, error) {
	signed, claims, mac, err := parseSWT(text)
	if err != nil {
		return nil, err
	}
	good := false
	for _, k := range policyKeys(rules) {
		if k.Type != ams.SymmetricTokenKey || len(k.Symmetric) == 0 {
			continue
		}
		h := hmac.New(sha256.New, k.Symmetric)
		h.Write([]byte(signed))
		good = good || hmac.Equal(h.Sum(nil), mac)
	}
	if !good {
		return nil, unauthorized("The signature of the token is not valid.")
	}
	text = func(name string) string { s, _ := claims[name].(string); return s }("ExpiresOn")
	seconds, err := strconv.ParseInt(text, 10, 64)
	expires := time.Unix(seconds, 0)
	now := t.now()
	switch {
	case err != nil || seconds < 0 || seconds > 1<<40:
		return nil, unauthorized("The token has no ExpiresOn in seconds since 1970.")
	case !expires.Add(skew).After(now):
		return nil, unauthorized("The token has expired.")
	case rules.Issuer != "" && claims["Issuer"] != rules.Issuer:
		return nil, unauthorized("The issuer of the token is not that of the content key policy.")
	case rules.Audience != "" && claims["Audience"] != rules.Audience:
		return nil, unauthorized("The audience of the token is not that of the content key policy.")
	}
	return &token{claims: claims, expires: expires, id: sha256.Sum256([]byte(signed))}, nil
}

// parseSWT takes a token apart: the text that is signed, its claims, and the
// signature. A claim that occurs twice would mean two things, and is refused.
func parseSWT(text string) (signed string, claims map[string]any, mac []byte, err error) {
	i := strings.LastIndex(text, swtSignature)
	if i < 0 {
		return "", nil, nil, unauthorized("The token is not a simple web token.")
	}
	signed = text[:i]
	value := text[i+len(swtSignature):]
	if u, err := url.PathUnescape(value); err == nil {
		value = u
	}
	// A plus that somebody took for a blank.
	if mac, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(value, " ", "+")); err != nil || len(mac) != sha256.Size {
		return "", nil, nil, unauthorized("The signature of the token is not valid.")
	}
	claims = map[string]any{}
	for pair := range strings.SplitSeq(signed, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || name == "" || claims[name] != nil || len(claims) >= maxSWTClaims {
			return "", nil, nil, unauthorized("The token is not a simple web token.")
		}
		claims[name] = value
	}
	return signed, claims, mac, nil
}
