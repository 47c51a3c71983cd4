package identity

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// An Audience is a service of openams that takes bearer tokens.
type Audience int

const (
	Management Audience = iota // Resource Manager: the v3 API
	Media                      // the v2 API
	Storage                    // blobs
)

// known lists the audiences that a service has in Azure, without an ending
// slash: code written against it asks for these whatever the host.
func (aud Audience) known() []string {
	switch aud {
	case Management:
		return []string{"https://management.azure.com", "https://management.core.windows.net"}
	case Media:
		return []string{"https://rest.media.azure.net", "https://rest.media.chinacloudapi.cn",
			"https://rest.media.usgovcloudapi.net", "https://rest.media.cloudapi.de"}
	case Storage:
		return []string{"https://storage.azure.com"}
	}
	return nil
}

const (
	skew      = 5 * time.Minute // between two clocks, as Azure AD allows
	maxBearer = 16 << 10        // bytes
)

// A Reason says what is wrong with a token.
type Reason int

const (
	Malformed     Reason = iota // no JWT, or one without a claim that it must have
	BadSignature                // not signed by this authority, or the provider that it names
	Expired                     // or not valid yet
	WrongAudience               // for another service
	WrongIssuer                 // for another tenant
	Unknown                     // its principal is gone
)

// A TokenError is the refusal of a bearer token.
type TokenError struct {
	Reason   Reason
	Msg      string // for the client: says nothing that the token does not
	Audience string // of the token, if it could be read and is at fault
	Issuer   string
}

func (e *TokenError) Error() string { return "identity: " + e.Msg }

// A RateError is the refusal of a principal that calls too often.
type RateError struct {
	After time.Duration // when the next call is welcome
}

func (e *RateError) Error() string { return "identity: too many calls; next in " + e.After.String() }

// Check finds the principal that bearer, a token without the word Bearer,
// stands for, if the token is for aud. A refusal is a *TokenError or a
// *RateError; any other error is the directory's or a provider's.
func (a *Authority) Check(ctx context.Context, aud Audience, bearer string) (*Principal, error) {
	p, err := a.find(ctx, aud, "", bearer)
	if err != nil || aud == Storage { // bytes come in many small requests
		return p, err
	}
	if wait := a.calls.Take(p.ID); wait > 0 {
		return nil, &RateError{wait}
	}
	return p, nil
}

// CheckStorage is Check for the blobs of one storage account: a token may be
// for it alone.
func (a *Authority) CheckStorage(ctx context.Context, account, bearer string) (*Principal, error) {
	return a.find(ctx, Storage, account, bearer)
}

func (a *Authority) find(ctx context.Context, aud Audience, account, bearer string) (*Principal, error) {
	if bearer == "" || len(bearer) > maxBearer {
		return nil, &TokenError{Reason: Malformed, Msg: "The access token is invalid."}
	}
	if aud == Media && isSWT(bearer) {
		return a.checkACS(bearer)
	}
	if p := a.provider(bearer); p != nil {
		return p.check(ctx, bearer)
	}
	var c claims
	_, err := jwt.ParseWithClaims(bearer, &c, func(t *jwt.Token) (any, error) {
		if kid, _ := t.Header["kid"].(string); kid != a.keyID {
			return nil, errors.New("another key")
		}
		return &a.c.Key.PublicKey, nil
	},
		jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
		jwt.WithLeeway(skew), jwt.WithTimeFunc(a.c.Now),
		jwt.WithExpirationRequired(), jwt.WithNotBeforeRequired(), jwt.WithIssuedAt())
	switch {
	case err == nil:
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, expired(c.ExpiresAt.Time, a.c.Now())
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return nil, &TokenError{Reason: Expired, Msg: "The access token is not yet valid."}
	case errors.Is(err, jwt.ErrTokenMalformed), errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return nil, &TokenError{Reason: Malformed, Msg: "The access token is invalid."}
	default:
		return nil, &TokenError{Reason: BadSignature, Msg: "The access token validation failure: the signature is invalid."}
	}
	origin, ok := a.parseIssuer(c.Issuer)
	if !ok || !strings.EqualFold(c.TenantID, a.c.TenantID) {
		return nil, &TokenError{Reason: WrongIssuer, Issuer: c.Issuer, Msg: fmt.Sprintf(
			"The access token is from the wrong issuer '%s'. It must match the tenant '%s' associated with this subscription.", clip(c.Issuer), a.c.TenantID)}
	}
	if len(c.Audience) != 1 || !a.accepts(aud, c.Audience[0], origin) || account != "" && !forStorage(account, c.Audience[0]) {
		got := strings.Join(c.Audience, ", ")
		return nil, &TokenError{Reason: WrongAudience, Audience: got, Msg: fmt.Sprintf(
			"The access token has been obtained for wrong audience or resource '%s'. It should exactly match with one of the allowed audiences %s.", clip(got), a.allowed(aud))}
	}
	var p *Principal
	switch c.IDType {
	case typeApp:
		p, err = a.c.Directory.Principal(ctx, c.AppID)
	case typeUser:
		var person *Person
		if person, err = a.c.Directory.Person(ctx, c.ObjectID); err == nil {
			p = person.award(c.AppID, want{}).who
		}
	default: // an ID token
		return nil, &TokenError{Reason: Malformed, Msg: "The access token is invalid."}
	}
	if errors.Is(err, ErrNoPrincipal) || err == nil && p.ID != c.ObjectID {
		return nil, &TokenError{Reason: Unknown, Msg: "The access token's principal does not exist any more."}
	}
	return p, err
}

func expired(at, now time.Time) *TokenError {
	return &TokenError{Reason: Expired, Msg: fmt.Sprintf("The access token expiry UTC time '%s' is earlier than current UTC time '%s'.",
		timeText(at), timeText(now))}
}

// parseIssuer returns the origin of an issuer of our tenant.
func (a *Authority) parseIssuer(iss string) (origin string, ok bool) {
	u, err := url.Parse(iss)
	if err != nil || u.Host == "" {
		return "", false
	}
	origin = u.Scheme + "://" + u.Host
	for _, f := range []flavour{v1, v2, adfs} {
		if iss == a.issuer(origin, f) {
			return origin, true
		}
	}
	return "", false
}

// accepts reports whether audience, as a client wrote it, means the service
// aud for a token issued under origin. An ending slash, or two, is nothing.
func (a *Authority) accepts(aud Audience, audience, origin string) bool {
	name := strings.ToLower(strings.TrimRight(audience, "/"))
	if slices.Contains(aud.known(), name) || aud == Management && slices.ContainsFunc(a.c.Audiences,
		func(s string) bool { return strings.EqualFold(strings.TrimRight(s, "/"), name) }) {
		return true
	}
	u, err := url.Parse(name)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return false
	}
	switch aud {
	case Management:
		return a.hosts[u.Host] || a.hosts[u.Hostname()] || strings.HasSuffix(origin, "://"+u.Host)
	case Storage:
		// One account's own audience: https://{account}.blob.core.windows.net
		return strings.HasSuffix(u.Host, ".blob.core.windows.net")
	}
	return false
}

// forStorage reports whether an audience that accepts took for Storage covers
// the account.
func forStorage(account, audience string) bool {
	name := strings.ToLower(strings.TrimRight(audience, "/"))
	u, err := url.Parse(name)
	return slices.Contains(Storage.known(), name) || err == nil && u.Host == account+".blob.core.windows.net"
}

func (a *Authority) allowed(aud Audience) string {
	var quoted []string
	for _, s := range aud.known() {
		quoted = append(quoted, "'"+s+"/'")
	}
	if aud == Management {
		for _, h := range a.c.Hosts {
			quoted = append(quoted, "'https://"+h+"/'")
		}
	}
	return strings.Join(quoted, ",")
}
