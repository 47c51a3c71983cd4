package identity

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/openams/openams/middleware"
)

// Config says what an Authority is.
type Config struct {
	TenantID  string   // GUID
	Aliases   []string // other names of the tenant, such as "contoso.onmicrosoft.com"
	Hosts     []string // "host:port" (or "host") that this server answers as: audiences that tokens may have
	Audiences []string // further audiences of the management API
	Directory Directory
	Key       *rsa.PrivateKey
	Lifetime  time.Duration    // of a token; 0: one hour, as in Azure
	Now       func() time.Time // nil: time.Now

	// Redirects are the URLs, besides those of http://localhost and
	// http://127.0.0.1, that a sign-in page may send people back to. They are
	// compared as they are.
	Redirects []string
	// Providers are other authorities whose tokens are taken too.
	Providers []Provider

	// KeyAccounts sign in to Media alone.
	KeyAccounts []KeyAccount

	// Rate bounds how often one principal may call Management and Media.
	// Zero: a thousand times a second, ten thousand at once; below: no bound.
	Rate middleware.Rate
}

// An Authority issues and checks bearer tokens.
type Authority struct {
	c     Config
	keyID string
	hosts map[string]bool // Config.Hosts in lower case

	sealer    *sealer
	codes     spent // authorization codes
	devices   devices
	interval  time.Duration       // between two polls of a device
	byAddress *middleware.Limiter // attempts to sign in
	byName    *middleware.Limiter // the same, by name and address
	calls     *middleware.Limiter // of Management and Media, by principal
	pages     *template.Template
	providers []*provider
}

// New returns an Authority.
func New(c Config) (*Authority, error) {
	if uuid.Validate(c.TenantID) != nil {
		return nil, fmt.Errorf("identity: tenant %q is not a GUID", c.TenantID)
	}
	if c.Key == nil || c.Directory == nil {
		return nil, errors.New("identity: an authority needs a key and a directory")
	}
	if c.Lifetime == 0 {
		c.Lifetime = time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	a := &Authority{c: c, keyID: thumbprint(&c.Key.PublicKey), hosts: make(map[string]bool)}
	for _, h := range c.Hosts {
		a.hosts[strings.ToLower(h)] = true
	}
	a.interval = 5 * time.Second
	a.byAddress = middleware.NewLimiter(middleware.Rate{PerSecond: 0.5, Burst: 60}, 20_000, c.Now)
	a.byName = middleware.NewLimiter(middleware.Rate{PerSecond: 1. / 60, Burst: 10}, 20_000, c.Now)
	if c.Rate.PerSecond == 0 {
		c.Rate = middleware.Rate{PerSecond: 1000, Burst: 10_000}
	}
	a.calls = middleware.NewLimiter(c.Rate, 10_000, c.Now)
	var err error
	if a.sealer, err = newSealer(c.Key); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if a.pages, err = parsePage(); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	for _, p := range c.Providers {
		if _, ours := a.parseIssuer(p.Issuer); ours || slices.ContainsFunc(a.providers, func(o *provider) bool { return o.Issuer == p.Issuer }) {
			return nil, fmt.Errorf("identity: provider %q: the issuer is this authority, or another provider", p.Issuer)
		}
		external, err := newProvider(p, c.Now)
		if err != nil {
			return nil, err
		}
		a.providers = append(a.providers, external)
	}
	return a, nil
}

// thumbprint names a key by itself (RFC 7638).
func thumbprint(k *rsa.PublicKey) string {
	sum := sha256.Sum256(fmt.Appendf(nil, `{"e":"%s","kty":"RSA","n":"%s"}`, exponent(k), modulus(k)))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func exponent(k *rsa.PublicKey) string {
	return base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.E)).Bytes())
}

func modulus(k *rsa.PublicKey) string {
	return base64.RawURLEncoding.EncodeToString(k.N.Bytes())
}

// A flavour is one of the three spellings of the service.
type flavour int

const (
	v1   flavour = iota // /{tenant}/oauth2/token with resource=
	v2                  // /{tenant}/oauth2/v2.0/token with scope=
	adfs                // /adfs/oauth2/token: azure-cli up to 2.45 can leave out login.microsoftonline.com only here
)

// place is what a path means to the authority.
type place struct {
	tenant  string // as the client wrote it
	flavour flavour
	serve   func(*Authority, place, http.ResponseWriter, *http.Request)
}

// tails lists what follows the tenant in a path, in lower case.
var tails = map[string]place{
	"oauth2/token":                          {flavour: v1, serve: (*Authority).token},
	"oauth2/v2.0/token":                     {flavour: v2, serve: (*Authority).token},
	"oauth2/authorize":                      {flavour: v1, serve: (*Authority).authorize},
	"oauth2/v2.0/authorize":                 {flavour: v2, serve: (*Authority).authorize},
	".well-known/openid-configuration":      {flavour: v1, serve: (*Authority).configuration},
	"v2.0/.well-known/openid-configuration": {flavour: v2, serve: (*Authority).configuration},
	"oauth2/devicecode":                     {flavour: v1, serve: (*Authority).device},
	"oauth2/v2.0/devicecode":                {flavour: v2, serve: (*Authority).device},
	"login":                                 {serve: (*Authority).login},
	"discovery/keys":                        {flavour: v1, serve: (*Authority).keys},
	"discovery/v2.0/keys":                   {flavour: v2, serve: (*Authority).keys},
}

// find tells what path means, if it is the authority's.
func find(path string) (place, bool) {
	path = strings.TrimLeft(path, "/")
	switch strings.ToLower(path) {
	case devicePage[1:]:
		return place{serve: (*Authority).typed}, true
	case "msi/token":
		return place{flavour: v1, serve: (*Authority).managed}, true
	case acsPath:
		return place{serve: (*Authority).acs}, true
	}
	tenant, rest, ok := strings.Cut(path, "/")
	if !ok {
		return place{}, false
	}
	isADFS := strings.EqualFold(tenant, "adfs")
	p, ok := tails[strings.ToLower(rest)]
	if !ok && isADFS {
		// With a tenant below /adfs, and /adfs/adfs/… of `az login --tenant adfs`.
		if tenant, rest, ok = strings.Cut(rest, "/"); ok {
			p, ok = tails[strings.ToLower(rest)]
		}
	}
	if before, who, found := strings.Cut(rest, "/"); !ok && found && who != "" && strings.EqualFold(before, "userrealm") {
		p, ok = place{flavour: v1, serve: (*Authority).realm}, true
	}
	if !ok {
		return place{}, false
	}
	if p.tenant = tenant; isADFS {
		p.flavour = adfs
	}
	return p, true
}

// Serves reports whether a URL path is one of the token service.
func (a *Authority) Serves(path string) bool {
	_, ok := find(path)
	return ok
}

// Handler serves the token service.
func (a *Authority) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := find(r.URL.Path)
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store, no-cache")
		h.Set("Pragma", "no-cache")
		h.Set("Expires", "-1")
		h.Set("X-Content-Type-Options", "nosniff")
		p.serve(a, p, w, r)
	})
}

// isTenant reports whether name, as a client wrote it, means our tenant.
func (a *Authority) isTenant(name string) bool {
	is := func(other string) bool { return strings.EqualFold(name, other) }
	switch {
	case is(a.c.TenantID), is("common"), is("organizations"), is("adfs"):
		return true
	}
	return slices.ContainsFunc(a.c.Aliases, is)
}
