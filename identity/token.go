package identity

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/openams/openams/middleware"
)

// maxForm bounds a token request in bytes.
const maxForm = 64 << 10

// token serves the token endpoint: the client-credentials grant of OAuth 2.0
// with a client secret. Unknown form fields are ignored; the SDKs send many.
func (a *Authority) token(p place, w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		a.fail(w, r, &fault{http.StatusMethodNotAllowed, "invalid_request", 900561,
			fmt.Sprintf("The endpoint only accepts POST requests. Received a %s request.", clip(r.Method))})
		return
	}
	form, f := readForm(w, r)
	if f == nil {
		f = a.checkGrant(p, form)
	}
	var caller *Principal
	if f == nil {
		caller, f = a.client(r, form)
	}
	var audience string
	if f == nil {
		audience, f = a.resource(p, r, form)
	}
	if f != nil {
		a.fail(w, r, f)
		return
	}
	now := a.c.Now()
	signed, err := a.issue(caller, p.flavour, middleware.Origin(r), audience, now)
	if err != nil {
		a.fail(w, r, &fault{http.StatusInternalServerError, "server_error", 90033, "A transient error has occurred. Please try again."})
		return
	}
	// One second less than the token's own time, as Azure AD does: a client
	// that counts from the answer's arrival never holds an expired token.
	seconds := int64(a.c.Lifetime/time.Second) - 1
	if p.flavour == v2 {
		writeJSON(w, http.StatusOK, map[string]any{
			"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": signed,
		})
		return
	}
	text := func(n int64) string { return strconv.FormatInt(n, 10) }
	writeJSON(w, http.StatusOK, map[string]any{
		// v1 spells numbers as strings.
		"token_type": "Bearer", "expires_in": text(seconds), "ext_expires_in": text(seconds),
		"expires_on": text(now.Add(a.c.Lifetime).Unix()), "not_before": text(now.Unix()),
		"resource": audience, "access_token": signed,
	})
}

func readForm(w http.ResponseWriter, r *http.Request) (url.Values, *fault) {
	bad := func(text string) (url.Values, *fault) {
		return nil, &fault{http.StatusBadRequest, "invalid_request", 90019, text}
	}
	// Some old clients leave out the type; another type is not a form.
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && t != "application/x-www-form-urlencoded" {
		return bad("The request body must be application/x-www-form-urlencoded.")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return bad("The request body is not a form, or is too large.")
	}
	return r.PostForm, nil
}

func (a *Authority) checkGrant(p place, form url.Values) *fault {
	if !a.isTenant(p.tenant) {
		return &fault{http.StatusBadRequest, "invalid_request", 90002, tenantMissing(p.tenant)}
	}
	switch grant := form.Get("grant_type"); grant {
	case "client_credentials":
		return nil
	case "":
		return missing("grant_type")
	default:
		return &fault{http.StatusBadRequest, "unsupported_grant_type", 70003,
			fmt.Sprintf("The app requested an unsupported grant type '%s'.", clip(grant))}
	}
}

func missing(field string) *fault {
	return &fault{http.StatusBadRequest, "invalid_request", 900144,
		fmt.Sprintf("The request body must contain the following parameter: '%s'.", field)}
}

// client finds who asks, by the form or by HTTP Basic.
func (a *Authority) client(r *http.Request, form url.Values) (*Principal, *fault) {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok && secret == "" {
		// RFC 6749 2.3.1: both parts are form-encoded first.
		if u, err := url.QueryUnescape(user); err == nil {
			user = u
		}
		if p, err := url.QueryUnescape(password); err == nil {
			password = p
		}
		id, secret = user, password
	}
	switch {
	case id == "":
		return nil, missing("client_id")
	case secret == "" && form.Get("client_assertion") != "":
		return nil, &fault{http.StatusUnauthorized, "invalid_client", 700027,
			fmt.Sprintf("No certificate is registered on application '%s'. Use a client secret.", clip(id))}
	case secret == "":
		return nil, &fault{http.StatusUnauthorized, "invalid_client", 7000218,
			"The request body must contain the following parameter: 'client_assertion' or 'client_secret'."}
	}
	p, err := a.c.Directory.Authenticate(r.Context(), id, secret)
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, ErrNoPrincipal):
		return nil, &fault{http.StatusBadRequest, "unauthorized_client", 700016,
			fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", clip(id), a.c.TenantID)}
	case errors.Is(err, ErrSecret):
		return nil, &fault{http.StatusUnauthorized, "invalid_client", 7000215,
			fmt.Sprintf("Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.", clip(id))}
	}
	return nil, &fault{http.StatusServiceUnavailable, "temporarily_unavailable", 90033,
		"A transient error has occurred. Please try again."}
}

// resource finds what the token is for: resource= as it is, or scope= without
// its ending "/.default". Each is taken at every endpoint.
func (a *Authority) resource(p place, r *http.Request, form url.Values) (string, *fault) {
	audience := form.Get("resource")
	if audience == "" {
		for _, s := range strings.Fields(form.Get("scope")) {
			switch s {
			case "openid", "profile", "email", "offline_access":
				continue // msal sends them along
			}
			base, ok := strings.CutSuffix(s, "/.default")
			if !ok {
				return "", &fault{http.StatusBadRequest, "invalid_scope", 1002012,
					fmt.Sprintf("The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", clip(s))}
			}
			if audience != "" {
				return "", &fault{http.StatusBadRequest, "invalid_scope", 28000,
					"Provided value for the input parameter scope is not valid because it contains more than one resource."}
			}
			audience = base
		}
	}
	if audience == "" {
		if p.flavour == v1 {
			return "", missing("resource")
		}
		return "", missing("scope")
	}
	origin := middleware.Origin(r)
	for _, aud := range []Audience{Management, Media, Storage} {
		if a.accepts(aud, audience, origin) {
			return audience, nil
		}
	}
	return "", &fault{http.StatusBadRequest, "invalid_resource", 500011,
		fmt.Sprintf("The resource principal named %s was not found in the tenant named %s. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.", clip(audience), a.c.TenantID)}
}

// claims are those of an Azure AD access token that clients and samples read.
type claims struct {
	jwt.RegisteredClaims
	TenantID string   `json:"tid"`
	ObjectID string   `json:"oid"`
	AppID    string   `json:"appid"`
	AppACR   string   `json:"appidacr,omitempty"` // "1": by secret
	AZP      string   `json:"azp,omitempty"`      // appid in version 2.0
	AZPACR   string   `json:"azpacr,omitempty"`
	IdP      string   `json:"idp,omitempty"`
	Name     string   `json:"app_displayname,omitempty"`
	IDType   string   `json:"idtyp,omitempty"`
	Roles    []string `json:"roles,omitempty"` // for people who look; Check asks the directory
	Version  string   `json:"ver"`
	UTI      string   `json:"uti"` // unique token identifier
}

func (a *Authority) issue(p *Principal, f flavour, origin, audience string, now time.Time) (string, error) {
	issuer := a.issuer(origin, f)
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: p.ID,
			IssuedAt:  jwt.NewNumericDate(now),
			NotBefore: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(a.c.Lifetime)),
		},
		TenantID: a.c.TenantID, ObjectID: p.ID, AppID: p.AppID, AppACR: "1", IdP: issuer,
		Name: p.Name, Roles: p.Roles(), Version: "1.0", UTI: uuid.NewString(),
	}
	if p.Kind == Application {
		c.IDType = "app"
	}
	if f == v2 {
		c.AZP, c.AZPACR, c.Version = p.AppID, "1", "2.0"
	}
	// One audience is a string in Azure AD's tokens, and decoders count on it.
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, &single{claims: c, Audience: audience})
	t.Header["kid"] = a.keyID
	return t.SignedString(a.c.Key)
}

// single is claims with the audience as a plain string.
type single struct {
	claims
	Audience string `json:"aud"`
}
