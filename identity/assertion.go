package identity

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Programs that have a certificate in place of a secret show an assertion that
// they sign with its key (RFC 7523). Retries of the SDKs send one twice, so that
// one is good until it ends, which must be soon.

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	maxAssertion  = 24 * time.Hour // from now to its end
)

// checkCertificate reports why c can't be registered. AMS's clients sign by RSA
// alone.
func checkCertificate(c *x509.Certificate) error {
	if public, ok := c.PublicKey.(*rsa.PublicKey); !ok || public.N.BitLen() < 2048 || public.N.BitLen() > 16384 {
		return errors.New("identity: the certificate has no RSA key of 2048 to 16384 bits")
	}
	return nil
}

// assertion finds the principal that signed an assertion with the key of its
// certificate. id is what the form says of it, which may be nothing.
func (a *Authority) assertion(ctx context.Context, id, kind, text string) (*Principal, *fault) {
	bad := func(code int, format string, args ...any) (*Principal, *fault) {
		return nil, &fault{status: http.StatusUnauthorized, oauth: "invalid_client", code: code, text: fmt.Sprintf(format, args...)}
	}
	if kind != assertionType {
		return nil, &fault{status: http.StatusBadRequest, oauth: "invalid_request", code: 900144,
			text: "The request body must contain the following parameter: 'client_assertion_type', which must be '" + assertionType + "'."}
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256", "PS256"}), jwt.WithExpirationRequired(), jwt.WithLeeway(skew), jwt.WithTimeFunc(a.c.Now))
	var said jwt.RegisteredClaims
	if _, _, err := parser.ParseUnverified(text, &said); err != nil {
		return bad(50027, "JWT token is invalid or malformed.")
	}
	if id == "" { // RFC 7521 4.2
		id = said.Subject
	}
	p, certificate, err := a.c.Directory.Certificate(ctx, id)
	switch {
	case errors.Is(err, ErrNoPrincipal):
		return nil, a.noApplication(id)
	case errors.Is(err, ErrSecret):
		return bad(700027, "No certificate is registered on application '%s': use a client secret.", clip(id))
	case err != nil:
		return nil, transient()
	}
	var c jwt.RegisteredClaims
	_, err = parser.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return certificate.PublicKey, nil })
	now := a.c.Now()
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return bad(700027, "Client assertion contains an invalid signature. It must be by RS256 or PS256 and the key of the certificate that is registered on application '%s'.", clip(id))
	case errors.Is(err, jwt.ErrTokenExpired), errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenRequiredClaimMissing),
		err == nil && c.ExpiresAt.After(now.Add(maxAssertion+skew)):
		return bad(700024, "Client assertion is not within its valid time range. It must have an exp within %d hours.", int(maxAssertion.Hours()))
	case err != nil:
		return bad(50027, "JWT token is invalid or malformed.")
	case !strings.EqualFold(c.Subject, p.AppID) || !strings.EqualFold(c.Issuer, p.AppID):
		return bad(700021, "Client assertion application identifier doesn't match 'client_id' parameter: iss and sub must be that.")
	case !slices.ContainsFunc(c.Audience, a.isMe):
		return bad(700023, "Client assertion audience claim does not match Realm issuer: it must be the URL of the token endpoint, at a name that this server is configured to have.")
	case now.Add(skew).Before(certificate.NotBefore), now.After(certificate.NotAfter.Add(skew)):
		return bad(700027, "Client assertion contains an invalid signature. The certificate that is registered on application '%s' is expired, or not valid yet.", clip(id))
	}
	return p, nil
}

// isMe reports whether audience names this authority: by the URL of one of its
// token endpoints, or as the issuer of its tokens. The Host header does not
// count: who got an assertion for himself could write into it what he likes.
func (a *Authority) isMe(audience string) bool {
	u, err := url.Parse(audience)
	if err != nil || u.User != nil || !slices.ContainsFunc(a.c.Hosts, func(h string) bool { // a proxy may have another port
		name := url.URL{Host: h}
		return strings.EqualFold(name.Hostname(), u.Hostname())
	}) {
		return false
	}
	if _, ok := a.parseIssuer(audience); ok {
		return true
	}
	path := strings.ToLower(strings.TrimLeft(u.Path, "/"))
	for _, tail := range []string{"/oauth2/token", "/oauth2/v2.0/token"} {
		if tenant, ok := strings.CutSuffix(path, tail); ok && a.isTenant(strings.TrimPrefix(tenant, "adfs/")) {
			return true
		}
	}
	return false
}
