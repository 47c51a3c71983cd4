package origin

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/middleware"
	"github.com/openams/openams/packager"
)

// An endpoint is the settings of a streaming endpoint, ready to be applied.
type endpoint struct {
	*ams.StreamingEndpoint
	caching []string // Cache-Control of manifests and segments; nil: the usual
	allowed []netip.Prefix
	broken  bool // its access list cannot be read: nobody passes
}

func newEndpoint(e *ams.StreamingEndpoint) *endpoint {
	out := &endpoint{StreamingEndpoint: e}
	if age := e.Settings.MaxCacheAge; age != nil {
		out.caching = []string{"public, max-age=" + strconv.FormatInt(*age, 10)}
	}
	if a := e.Settings.Access; a != nil && a.IP != nil {
		for _, r := range a.IP.Allow {
			p, err := r.Prefix()
			out.allowed, out.broken = append(out.allowed, p), out.broken || err != nil
		}
	}
	return out
}

// Why a request may not read from a streaming endpoint.
var (
	errAddress   = errorf(AccessDenied, "the streaming endpoint does not allow the address of the client")
	errSignature = errorf(AccessDenied, "the streaming endpoint asks for a valid signature of Akamai")
)

// admit says whether the settings let the request through.
func (e *endpoint) admit(r *http.Request, now time.Time) error {
	if e.Settings.Access == nil {
		return nil
	}
	if e.broken || len(e.allowed) > 0 && !contain(e.allowed, middleware.Remote(r)) {
		return errAddress
	}
	if a := e.Settings.Access.Akamai; a != nil && len(a.Keys) > 0 && !signed(r, a.Keys, now) {
		return errSignature
	}
	return nil
}

func contain(nets []netip.Prefix, addr netip.Addr) bool {
	for _, n := range nets {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// skew is how old a signature may be (documented by Akamai), or how far in the
// future.
const skew = 30 * time.Second

// signed checks the signature that Akamai's edge servers add to requests:
// X-Akamai-G2O-Auth-Data is "version, edge address, client address, time, id,
// nonce", where the nonce names the key, and X-Akamai-G2O-Auth-Sign a MAC of it
// and the path. Versions 1 and 2, which are no MACs, are refused.
func signed(r *http.Request, keys []ams.AkamaiKey, now time.Time) bool {
	data := r.Header.Get("X-Akamai-G2O-Auth-Data")
	fields := strings.Split(data, ",")
	if len(data) > 1024 || len(fields) != 6 {
		return false
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	var algorithm func() hash.Hash
	switch fields[0] {
	case "3":
		algorithm = md5.New
	case "4":
		algorithm = sha1.New
	case "5":
		algorithm = sha256.New
	default:
		return false
	}
	seconds, ok := number(fields[3])
	if !ok || now.Sub(time.Unix(seconds, 0)).Abs() > skew {
		return false
	}
	given, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Akamai-G2O-Auth-Sign"))
	if err != nil {
		return false
	}
	for _, k := range keys {
		if k.Identifier != fields[5] || !k.Expiration.IsZero() && !now.Before(k.Expiration) {
			continue
		}
		secret, err := base64.StdEncoding.DecodeString(k.Key)
		if err != nil {
			continue
		}
		mac := hmac.New(algorithm, secret)
		mac.Write([]byte(data + r.URL.RequestURI()))
		if hmac.Equal(mac.Sum(nil), given) {
			return true
		}
	}
	return false
}

// crossSite answers with one of the two files by which old players learn who
// may read: literally what the settings of the endpoint say.
func (h *Handler) crossSite(a *answer, r *http.Request) (served bool, err error) {
	var of func(*ams.CrossSite) string
	switch strings.ToLower(r.URL.Path) {
	case "/crossdomain.xml":
		of = func(c *ams.CrossSite) string { return c.CrossDomain }
	case "/clientaccesspolicy.xml":
		of = func(c *ams.CrossSite) string { return c.ClientAccess }
	default:
		return false, nil
	}
	found, err := h.c.Locators.EndpointOf(r.Context(), host(r))
	if ams.CodeOf(err) == ams.NotFound {
		return true, errorf(packager.ResourceNotFound, "there is no streaming endpoint of this name")
	}
	if err != nil {
		return true, err
	}
	if found.State != ams.EndpointRunning {
		return true, errStopped
	}
	if err := newEndpoint(found).admit(r, h.c.Now()); err != nil {
		return true, err
	}
	text := ""
	if c := found.Settings.CrossSite; c != nil {
		text = of(c)
	}
	if text == "" {
		return true, errorf(packager.ResourceNotFound, "the streaming endpoint has no such policy")
	}
	hd := a.Header()
	hd.Set("Content-Type", "text/xml; charset=utf-8")
	hd.Set("Content-Length", strconv.Itoa(len(text)))
	hd.Set("X-Content-Type-Options", "nosniff")
	hd["Cache-Control"] = textCachingHeader
	a.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, err = a.Write([]byte(text))
	}
	return true, err
}

// host is the host name that the client asked, "" for what can't be one.
func host(r *http.Request) string {
	if len(r.Host) > 255+6 { // a name, a colon and a port
		return ""
	}
	return strings.ToLower(r.Host)
}

// caching is the Cache-Control of a manifest or segment.
func (a *answer) caching(usual []string) []string {
	if a.endpoint != nil && a.endpoint.caching != nil {
		return a.endpoint.caching
	}
	return usual
}
