package keydelivery

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/openams/openams/ams"
)

const (
	// maxToken bounds a token, maxTokens how many readings of it are tried.
	maxToken  = 16 << 10
	maxTokens = 8
	// skew is how far clocks may differ, as in the token handlers of .NET that
	// AMS was made of.
	skew = 5 * time.Minute
	// maxUsesClaim limits how often a token may be used (documented).
	maxUsesClaim = "urn:microsoft:azure:mediaservices:maxuses"
	// maxUsesLife is how long a token with that claim may live (documented).
	maxUsesLife = time.Hour
	// minModulus and maxModulus bound an RSA key, bytes.
	minModulus, maxModulus = 128, 2048
	// giveBackTime bounds the taking back of uses.
	giveBackTime = 5 * time.Second
)

// tokensOf returns the tokens that a request may mean, in every form in which
// players were seen to send them: Bearer with a blank or with "=", a bare token,
// once or twice escaped, in the Authorization header or the token parameter.
func tokensOf(r *http.Request) []string {
	var list []string
	add := func(s string) {
		s = strings.TrimSpace(s)
		if len(s) > len("bearer") && strings.EqualFold(s[:6], "bearer") {
			if rest := s[6:]; rest[0] == ' ' || rest[0] == '=' || rest[0] == ':' {
				s = strings.TrimSpace(rest[1:])
			}
		}
		if s != "" && len(s) <= maxToken && len(list) < maxTokens && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	both := func(s string) {
		if u, err := url.PathUnescape(s); err == nil && u != s {
			// "Bearer%3d…" in a header; a token escaped twice in the query. A SWT
			// holds escapes of its own, so the text as it came is tried too.
			if len(u) > 6 && strings.EqualFold(u[:6], "bearer") {
				add(u)
			}
			add(s)
			add(u)
			return
		}
		add(s)
	}
	for _, v := range r.Header.Values("Authorization") {
		both(v)
	}
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(name, "token") {
			continue
		}
		if v, err := url.QueryUnescape(value); err == nil {
			both(v)
		}
		add(value)
		// A SWT that was put into the query as it is goes on to its end.
		if i := strings.Index(r.URL.RawQuery, pair); strings.Contains(r.URL.RawQuery[i:], swtSignature) {
			add(r.URL.RawQuery[i+len(name)+1:])
		}
	}
	return list
}

// A token is one that was proven.
type token struct {
	claims  map[string]any
	expires time.Time
	id      usedToken // of what is signed
}

type usedToken = [sha256.Size]byte

// tokens checks tokens and counts their uses.
type tokens struct {
	now       func() time.Time
	discovery *discovery
	uses      Uses
}

func newTokens(c Config) *tokens {
	return &tokens{now: c.Now, discovery: newDiscovery(c.Fetch, c.Now, c.Log), uses: c.Uses}
}

// A proof is what came of a token under the rules of a restriction.
type proof struct {
	token *token
	err   error
}

// check proves a token against the rules, for the key with the id kid. A request
// may ask for many keys with many tokens: proofs is what is known of each under
// these rules.
func (t *tokens) check(ctx context.Context, rules *ams.TokenRules, text, kid string, proofs map[string]proof) (*token, error) {
	p, known := proofs[text]
	if !known {
		p.token, p.err = t.prove(ctx, rules, text)
		proofs[text] = p
	}
	if p.err != nil {
		return nil, p.err
	}
	for _, c := range rules.Claims {
		if err := requireClaim(p.token.claims, c, kid); err != nil {
			return nil, err
		}
	}
	return p.token, nil
}

// prove checks all of a token but its claims.
func (t *tokens) prove(ctx context.Context, rules *ams.TokenRules, text string) (*token, error) {
	switch rules.Type {
	case ams.JWT:
		return t.checkJWT(ctx, rules, text)
	case ams.SWT:
		return t.checkSWT(rules, text)
	}
	return nil, refuse(http.StatusForbidden, "The content key policy asks for tokens of an unknown type.")
}

func unauthorized(format string, args ...any) error {
	return refuse(http.StatusUnauthorized, format, args...)
}

// algorithms by the kind of the key. A policy's key is good for its own kind
// alone: a public key is never the secret of an HMAC.
var (
	hmacAlgorithms = []string{"HS256", "HS384", "HS512"}
	rsaAlgorithms  = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	ecAlgorithms   = []string{"ES256", "ES384", "ES512"}
)

func (t *tokens) checkJWT(ctx context.Context, rules *ams.TokenRules, text string) (*token, error) {
	if rules.Discovery != "" && rules.Issuer == "" {
		// Providers publish the keys of many tenants in one document.
		return nil, refuse(http.StatusForbidden, "The content key policy has an OpenID Connect document and no issuer.")
	}
	keys := func(j *jwt.Token) (any, error) {
		var set jwt.VerificationKeySet
		for _, k := range policyKeys(rules) {
			if key := verificationKey(k); key != nil && suits(key, j.Method.Alg()) {
				set.Keys = append(set.Keys, key)
			}
		}
		if len(set.Keys) == 0 || rules.Discovery != "" {
			if rules.Discovery == "" {
				return nil, unauthorized("The token is signed by another algorithm than the content key policy has keys for.")
			}
			kid, _ := j.Header["kid"].(string)
			found, err := t.discovery.keys(ctx, rules.Discovery, kid)
			if err != nil && len(set.Keys) == 0 {
				return nil, err
			}
			for _, key := range found {
				if suits(key, j.Method.Alg()) {
					set.Keys = append(set.Keys, key)
				}
			}
		}
		if len(set.Keys) == 0 {
			return nil, unauthorized("The token is signed by no key that is known.")
		}
		return set, nil
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(slices.Concat(hmacAlgorithms, rsaAlgorithms, ecAlgorithms)),
		jwt.WithLeeway(skew), jwt.WithExpirationRequired(), jwt.WithTimeFunc(t.now), jwt.WithJSONNumber(),
	}
	if rules.Issuer != "" {
		options = append(options, jwt.WithIssuer(rules.Issuer))
	}
	if rules.Audience != "" {
		options = append(options, jwt.WithAudience(rules.Audience))
	}
	claims := jwt.MapClaims{}
	if _, err := jwt.NewParser(options...).ParseWithClaims(text, claims, keys); err != nil {
		if no, ok := errors.AsType[*refusal](err); ok {
			return nil, no
		}
		return nil, unauthorized("%s", jwtError(err))
	}
	exp, err := claims.GetExpirationTime()
	if err != nil || exp == nil {
		return nil, unauthorized("The token has no end.")
	}
	signed := text[:strings.LastIndexByte(text, '.')]
	return &token{claims: claims, expires: exp.Time, id: sha256.Sum256([]byte(signed))}, nil
}

// jwtError says what is wrong with a token, not what it should have been.
func jwtError(err error) string {
	for _, known := range []struct {
		err error
		msg string
	}{
		{jwt.ErrTokenMalformed, "The token is not a JSON web token."},
		{jwt.ErrTokenSignatureInvalid, "The signature of the token is not valid."},
		{jwt.ErrTokenUnverifiable, "The signature of the token can't be verified."},
		{jwt.ErrTokenExpired, "The token has expired."},
		{jwt.ErrTokenNotValidYet, "The token is not valid yet."},
		{jwt.ErrTokenInvalidIssuer, "The issuer of the token is not that of the content key policy."},
		{jwt.ErrTokenInvalidAudience, "The audience of the token is not that of the content key policy."},
		{jwt.ErrTokenRequiredClaimMissing, "The token lacks a claim: it needs iss, aud and exp."},
	} {
		if errors.Is(err, known.err) {
			return known.msg
		}
	}
	return "The token is not valid."
}

// policyKeys are the keys that a policy itself has.
func policyKeys(rules *ams.TokenRules) []ams.TokenKey {
	var list []ams.TokenKey
	if rules.Primary != nil {
		list = append(list, *rules.Primary)
	}
	return append(list, rules.Alternates...)
}

// verificationKey returns a key in the form of package crypto, nil if it is none.
func verificationKey(k ams.TokenKey) crypto.PublicKey {
	switch k.Type {
	case ams.SymmetricTokenKey:
		if len(k.Symmetric) > 0 {
			return k.Symmetric
		}
	case ams.RSATokenKey:
		e := new(big.Int).SetBytes(k.Exponent)
		if n := len(k.Modulus); n >= minModulus && n <= maxModulus && e.IsInt64() && e.Int64() > 1 && e.Int64() <= math.MaxInt32 {
			return &rsa.PublicKey{N: new(big.Int).SetBytes(k.Modulus), E: int(e.Int64())}
		}
	case ams.CertificateTokenKey:
		if c, err := x509.ParseCertificate(k.Certificate); err == nil {
			return c.PublicKey
		}
	}
	return nil
}

func suits(key crypto.PublicKey, alg string) bool {
	switch key.(type) {
	case []byte:
		return slices.Contains(hmacAlgorithms, alg)
	case *rsa.PublicKey:
		return slices.Contains(rsaAlgorithms, alg)
	case *ecdsa.PublicKey:
		return slices.Contains(ecAlgorithms, alg)
	}
	return false
}

// requireClaim says whether the claims have c. Values may be lists.
func requireClaim(claims map[string]any, c ams.TokenClaim, kid string) error {
	value, ok := claims[c.Type]
	if !ok || value == nil {
		return unauthorized("The token lacks a claim that the content key policy requires.")
	}
	want := ""
	if c.Value != nil {
		want = *c.Value
	}
	has := texts(value)
	switch {
	case c.Type == ams.ContentKeyIDClaim && want == "":
		if !slices.ContainsFunc(has, func(s string) bool { id, err := uuid.Parse(s); return err == nil && id.String() == kid }) {
			return unauthorized("The token is for another content key.")
		}
	case want != "" && !slices.Contains(has, want):
		return unauthorized("A claim of the token has another value than the content key policy requires.")
	}
	return nil
}

// texts are the values of a claim.
func texts(v any) []string {
	switch v := v.(type) {
	case []any:
		var list []string
		for _, e := range v {
			if _, nested := e.([]any); !nested {
				list = append(list, texts(e)...)
			}
		}
		return list
	case string:
		return []string{v}
	case json.Number:
		return []string{v.String()}
	case bool, float64:
		return []string{fmt.Sprint(v)}
	}
	return nil
}

// use counts a use of a token that limits them. A request counts once, however
// many keys it asks for.
func (t *tokens) use(ctx context.Context, tok *token, request map[usedToken]bool) error {
	value, limited := tok.claims[maxUsesClaim]
	if !limited || request[tok.id] {
		return nil
	}
	var limit json.Number
	if list := texts(value); len(list) == 1 {
		limit = json.Number(list[0])
	}
	n, err := limit.Int64()
	if err != nil || n < 1 {
		return unauthorized("The limit of uses of the token is not a positive number.")
	}
	if tok.expires.After(t.now().Add(maxUsesLife)) {
		return unauthorized("A token with a limit of uses may not live longer than %s.", maxUsesLife)
	}
	if t.uses == nil {
		return refuse(http.StatusForbidden, "This server does not count the uses of tokens, as this one needs.")
	}
	ok, err := t.uses.UseToken(ctx, tok.id, n, tok.expires.Add(skew))
	if err != nil {
		return fmt.Errorf("count the use of a token: %w", err)
	}
	if !ok {
		return unauthorized("The token was used %d times, which is its limit.", n)
	}
	request[tok.id] = true
	return nil
}

// giveBack takes back the uses that a request counted and got nothing for, also
// when its client has gone.
func (t *tokens) giveBack(ctx context.Context, request map[usedToken]bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTime)
	defer cancel()
	var errs []error
	for id := range request {
		errs = append(errs, t.uses.ReturnToken(ctx, id))
	}
	return errors.Join(errs...)
}
