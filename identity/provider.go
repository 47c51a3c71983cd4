package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"

	"github.com/openams/openams/middleware"
)

// A Provider is another OpenID Connect authority, such as Entra ID or
// Keycloak, whose access tokens are taken as they are. It knows who the caller
// is; what they may do follows from one claim.
type Provider struct {
	Issuer    string   // the iss of its tokens, exactly
	Discovery string   // URL under which /.well-known/openid-configuration is; empty: Issuer
	Audiences []string // tokens must name one of them, exactly

	// RoleClaim names the claim with roles or groups: a text or a list of
	// texts. A dot leads into an object, as in Keycloak's
	// "realm_access.roles". Empty: "roles".
	RoleClaim string
	Roles     map[string][]Assignment // what each value of the claim allows; others allow nothing

	Client *http.Client // to fetch its keys; nil: one with a timeout of ten seconds
}

// provider is a Provider in use. Its metadata is fetched when its first token
// comes, for it may start later than we do, and its keys when one is new.
type provider struct {
	Provider
	now    func() time.Time
	client *http.Client

	mu   sync.Mutex
	keys oidc.KeySet // nil: not known yet
}

// algorithms are all that use a public key.
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512,
	oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}

func newProvider(c Provider, now func() time.Time) (*provider, error) {
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "":
		return nil, fmt.Errorf("identity: provider %q: the issuer is not a URL", c.Issuer)
	case u.Scheme != "https" && !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("identity: provider %q: the issuer must be an https URL", c.Issuer)
	case len(c.Audiences) == 0:
		return nil, fmt.Errorf("identity: provider %q: which audiences may its tokens have?", c.Issuer)
	}
	for value, assignments := range c.Roles {
		if err := checkAssignments(assignments); err != nil {
			return nil, fmt.Errorf("identity: provider %q: value %q: %w", c.Issuer, value, err)
		}
	}
	if c.RoleClaim == "" {
		c.RoleClaim = "roles"
	}
	if c.Discovery == "" {
		c.Discovery = c.Issuer
	}
	client := http.Client{Timeout: 10 * time.Second}
	if c.Client != nil {
		client = *c.Client
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	// A token with an unknown key makes a fetch, and anybody can send one.
	client.Transport = &paced{next: client.Transport,
		limit: middleware.NewLimiter(middleware.Rate{PerSecond: 0.1, Burst: 6}, 8, now)}
	return &provider{Provider: c, now: now, client: &client}, nil
}

// paced sends few requests, and takes short answers.
type paced struct {
	next  http.RoundTripper
	limit *middleware.Limiter
}

const maxMetadata = 1 << 20 // bytes

var errPaced = errors.New("asked a moment ago")

func (p *paced) RoundTrip(r *http.Request) (*http.Response, error) {
	if wait := p.limit.Take(r.URL.Path); wait > 0 {
		return nil, errPaced
	}
	resp, err := p.next.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxMetadata)
	}
	return resp, err
}

// provider returns the provider that bearer says it is from, if that is one of
// ours. Nothing is proven yet.
func (a *Authority) provider(bearer string) *provider {
	if len(a.providers) == 0 {
		return nil
	}
	var c jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(bearer, &c); err != nil {
		return nil
	}
	for _, p := range a.providers {
		if p.Issuer == c.Issuer {
			return p
		}
	}
	return nil
}

// keySet returns the keys of p, and fetches its metadata the first time.
func (p *provider) keySet(ctx context.Context) (oidc.KeySet, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys != nil {
		return p.keys, nil
	}
	// The set keeps the context for its later fetches.
	found, err := oidc.NewProvider(oidc.InsecureIssuerURLContext(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.Issuer), p.Discovery)
	if err != nil {
		return nil, fmt.Errorf("identity: provider %s: %w", p.Issuer, err)
	}
	var metadata struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := found.Claims(&metadata); err != nil || metadata.Keys == "" {
		return nil, fmt.Errorf("identity: provider %s: no jwks_uri in its metadata (%v)", p.Issuer, err)
	}
	if p.Discovery == p.Issuer && metadata.Issuer != p.Issuer {
		return nil, fmt.Errorf("identity: provider %s: its metadata names the issuer %q", p.Issuer, metadata.Issuer)
	}
	p.keys = oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), p.client), metadata.Keys)
	return p.keys, nil
}

// watched keeps the error of a key set, of which the verifier passes on the
// text alone.
type watched struct {
	oidc.KeySet
	err error
}

func (w *watched) VerifySignature(ctx context.Context, token string) (payload []byte, err error) {
	payload, w.err = w.KeySet.VerifySignature(ctx, token)
	return payload, w.err
}

// check finds the principal of a token that says it is p's.
func (p *provider) check(ctx context.Context, bearer string) (*Principal, error) {
	set, err := p.keySet(ctx)
	if err != nil {
		return nil, err
	}
	keys := &watched{KeySet: set}
	token, err := oidc.NewVerifier(p.Issuer, keys, &oidc.Config{
		SupportedSigningAlgs: algorithms,
		SkipClientIDCheck:    true, // several audiences are good
		SkipExpiryCheck:      true, // with our leeway
	}).Verify(ctx, bearer)
	// The set wraps the errors of fetches alone.
	if keys.err != nil && errors.Unwrap(keys.err) != nil && !errors.Is(keys.err, errPaced) {
		return nil, fmt.Errorf("identity: keys of provider %s: %w", p.Issuer, keys.err)
	}
	if err != nil {
		return nil, &TokenError{Reason: BadSignature, Msg: "The access token validation failure: the signature is invalid."}
	}
	var raw map[string]any
	var c struct {
		Exp, Nbf                    *jwt.NumericDate
		OID, Sub, IDTyp, AZP, AppID string
		Client                      string `json:"client_id"`
		Username                    string `json:"preferred_username"`
		UPN, Email, Name, AppName   string
	}
	if token.Claims(&raw) != nil || token.Claims(&c) != nil || c.Exp == nil || c.Sub == "" && c.OID == "" {
		return nil, &TokenError{Reason: Malformed, Msg: "The access token is invalid."}
	}
	now := p.now()
	switch {
	case now.After(c.Exp.Add(skew)):
		return nil, expired(c.Exp.Time, now)
	case c.Nbf != nil && now.Add(skew).Before(c.Nbf.Time):
		return nil, &TokenError{Reason: Expired, Msg: "The access token is not yet valid."}
	case !slices.ContainsFunc(token.Audience, func(s string) bool { return slices.Contains(p.Audiences, s) }):
		got := strings.Join(token.Audience, ", ")
		return nil, &TokenError{Reason: WrongAudience, Audience: got, Msg: fmt.Sprintf(
			"The access token has been obtained for wrong audience or resource '%s'. It should exactly match with one of the allowed audiences '%s'.", clip(got), strings.Join(p.Audiences, "','"))}
	}
	who := &Principal{
		ID: first(c.OID, c.Sub), AppID: first(c.AZP, c.AppID, c.Client), Kind: User,
		Name: first(c.Username, c.UPN, c.Email, c.Name, c.Sub),
	}
	if c.IDTyp == typeApp {
		who.Kind = Application
	}
	for _, value := range texts(raw, p.RoleClaim) {
		for _, a := range p.Roles[value] {
			if !slices.Contains(who.Assignments, a) {
				who.Assignments = append(who.Assignments, a)
			}
		}
	}
	return who, nil
}

func first(all ...string) string {
	for _, s := range all {
		if s != "" {
			return clip(s)
		}
	}
	return ""
}

// texts returns the texts of a claim, by its name or by a path with dots.
func texts(claims map[string]any, name string) []string {
	value, ok := claims[name]
	if !ok {
		outer, inner, found := strings.Cut(name, ".")
		if m, isObject := claims[outer].(map[string]any); found && isObject {
			return texts(m, inner)
		}
		return nil
	}
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, x := range v {
			if s, ok := x.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}
