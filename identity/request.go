package identity

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/openams/openams/middleware"
)

// A want is what a program asks a token for.
type want struct {
	Audience string   `json:"aud"`
	OpenID   []string `json:"oid,omitempty"` // scopes of OpenID Connect, such as offline_access
}

func (q want) has(scope string) bool { return slices.Contains(q.OpenID, scope) }

// wanted reads resource= as it is, or scope= without its ending "/.default".
// Each is taken at every endpoint. For people "/user_impersonation" is the
// same, and a program that wants nothing but to know who they are gets a token
// for the management API of the host that it asked.
func (a *Authority) wanted(p place, r *http.Request, form url.Values, people bool) (want, *fault) {
	q := want{Audience: form.Get("resource")}
	for _, s := range strings.Fields(form.Get("scope")) {
		switch s {
		case "openid", "profile", "email", "offline_access": // msal sends them always
			if !q.has(s) {
				q.OpenID = append(q.OpenID, s)
			}
			continue
		}
		if form.Get("resource") != "" {
			continue
		}
		base, ok := strings.CutSuffix(s, "/.default")
		if !ok && people {
			base, ok = strings.CutSuffix(s, "/user_impersonation")
		}
		if !ok {
			return want{}, &fault{status: http.StatusBadRequest, oauth: "invalid_scope", code: 1002012,
				text: fmt.Sprintf("The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", clip(s))}
		}
		if q.Audience != "" && q.Audience != base {
			return want{}, &fault{status: http.StatusBadRequest, oauth: "invalid_scope", code: 28000,
				text: "Provided value for the input parameter scope is not valid because it contains more than one resource."}
		}
		q.Audience = base
	}
	origin := middleware.Origin(r)
	switch {
	case q.Audience != "":
	case people:
		q.Audience = origin
	case p.flavour == v1:
		return want{}, missing("resource")
	default:
		return want{}, missing("scope")
	}
	for _, aud := range []Audience{Management, Media, Storage} {
		if a.accepts(aud, q.Audience, origin) {
			return q, nil
		}
	}
	return want{}, &fault{status: http.StatusBadRequest, oauth: "invalid_resource", code: 500011,
		text: fmt.Sprintf("The resource principal named %s was not found in the tenant named %s. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.", clip(q.Audience), a.c.TenantID)}
}

// program finds the program that acts for a person. It needs no registration:
// any GUID is one, for a code goes only to the person's own machine or to a
// place that the configuration names. A secret, if it brings one, must be
// right.
func (a *Authority) program(r *http.Request, form url.Values) (string, *fault) {
	id := form.Get("client_id")
	_, _, basic := r.BasicAuth()
	switch {
	case basic || form.Get("client_secret") != "" || form.Get("client_assertion") != "":
		p, f := a.client(r, form)
		if f != nil {
			return "", f
		}
		return p.AppID, nil
	case id == "":
		return "", missing("client_id")
	case len(id) != 36 || uuid.Validate(id) != nil:
		return "", a.noApplication(id)
	}
	return strings.ToLower(id), nil
}

func (a *Authority) noApplication(id string) *fault {
	return &fault{status: http.StatusBadRequest, oauth: "unauthorized_client", code: 700016,
		text: fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", clip(id), a.c.TenantID)}
}

// mayRedirect reports whether a code may go to redirect: to a program on the
// person's own machine (RFC 8252 7.3: any port), or where Config says.
func (a *Authority) mayRedirect(redirect string) bool {
	u, err := url.Parse(redirect)
	if err != nil || u.Fragment != "" || strings.Contains(redirect, "#") || u.User != nil || len(redirect) > 2048 {
		return false
	}
	if slices.Contains(a.c.Redirects, redirect) {
		return true
	}
	return u.Scheme == "http" && isLoopback(u.Hostname())
}

func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || host == "127.0.0.1" || host == "::1"
}
