package identity

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/openams/openams/middleware"
)

// maxForm bounds a token request in bytes.
const maxForm = 64 << 10

// An award is what a grant earns a program.
type award struct {
	who    *Principal // AppID is the program's
	person *Person    // whom it acts for; nil: for itself
	want   want
	nonce  string // of the sign-in, for its ID token
	signed bool   // the program showed an assertion, not a secret
}

// A grantType checks a token request of one grant_type.
type grantType func(a *Authority, p place, r *http.Request, form url.Values) (*award, *fault)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

func grantOfType(name string) grantType {
	switch name {
	case "client_credentials":
		return (*Authority).clientCredentials
	case "password":
		return (*Authority).password
	case "authorization_code":
		return (*Authority).authorizationCode
	case "refresh_token":
		return (*Authority).refreshToken
	case deviceGrant, "device_code": // v1 clients use the short name
		return (*Authority).deviceCode
	}
	return nil
}

// token serves the token endpoint. Unknown form fields are ignored; the SDKs
// send many.
func (a *Authority) token(p place, w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		a.onlyPost(w, r)
		return
	}
	form, f := readForm(w, r)
	if f == nil {
		f = a.checkTenant(p)
	}
	var won *award
	if f == nil {
		name := form.Get("grant_type")
		switch g := grantOfType(name); {
		case g != nil:
			won, f = g(a, p, r, form)
		case name == "":
			f = missing("grant_type")
		default:
			f = &fault{status: http.StatusBadRequest, oauth: "unsupported_grant_type", code: 70003,
				text: fmt.Sprintf("The app requested an unsupported grant type '%s'.", clip(name))}
		}
	}
	var body map[string]any
	if f == nil {
		body, f = a.answer(won, p, middleware.Origin(r), form.Get("client_info") == "1")
	}
	if f != nil {
		a.fail(w, r, f)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// answer makes the tokens of won.
func (a *Authority) answer(won *award, p place, origin string, clientInfo bool) (map[string]any, *fault) {
	now := a.c.Now()
	signed, err := a.issue(won, p.flavour, origin, now)
	if err != nil {
		return nil, transient()
	}
	// One second less than the token's own time, as Azure AD does: a client
	// that counts from the answer's arrival never holds an expired token.
	seconds := int64(a.c.Lifetime/time.Second) - 1
	audience := won.want.Audience
	body := map[string]any{
		"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": signed,
	}
	if p.flavour != v2 {
		text := func(n int64) string { return strconv.FormatInt(n, 10) }
		if p.flavour == v1 { // spells numbers as strings; az 2.45 adds to AD FS's
			body["expires_in"], body["ext_expires_in"] = text(seconds), text(seconds)
		}
		body["expires_on"], body["not_before"] = text(now.Add(a.c.Lifetime).Unix()), text(now.Unix())
		body["resource"] = audience
	}
	if won.person == nil {
		return body, nil
	}
	body["scope"] = audience + "/user_impersonation " + audience + "/.default"
	if p.flavour == v1 {
		body["scope"] = "user_impersonation"
	}
	if p.flavour != v2 || won.want.has("offline_access") {
		body["refresh_token"], err = a.sealer.seal("refresh", ticket{
			Person: won.person.ID, Stamp: won.person.Stamp, Program: won.who.AppID, Want: won.want,
		}, now.Add(refreshLifetime))
		if err != nil {
			return nil, transient()
		}
	}
	if p.flavour != v2 || won.want.has("openid") {
		if body["id_token"], err = a.issueID(won, p.flavour, origin, now); err != nil {
			return nil, transient()
		}
	}
	if clientInfo {
		// msal names its cache by this.
		b, err := json.Marshal(map[string]string{"uid": won.person.ID, "utid": a.c.TenantID})
		if err != nil {
			return nil, transient()
		}
		body["client_info"] = base64.RawURLEncoding.EncodeToString(b)
	}
	return body, nil
}

func transient() *fault {
	return &fault{status: http.StatusServiceUnavailable, oauth: "temporarily_unavailable", code: 90033, text: "A transient error has occurred. Please try again."}
}

func (a *Authority) onlyPost(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "POST")
	a.fail(w, r, &fault{status: http.StatusMethodNotAllowed, oauth: "invalid_request", code: 900561,
		text: fmt.Sprintf("The endpoint only accepts POST requests. Received a %s request.", clip(r.Method))})
}

func readForm(w http.ResponseWriter, r *http.Request) (url.Values, *fault) {
	bad := func(text string) (url.Values, *fault) {
		return nil, &fault{status: http.StatusBadRequest, oauth: "invalid_request", code: 90019, text: text}
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

func (a *Authority) checkTenant(p place) *fault {
	if a.isTenant(p.tenant) {
		return nil
	}
	return &fault{status: http.StatusBadRequest, oauth: "invalid_request", code: 90002, text: tenantMissing(p.tenant)}
}

func missing(field string) *fault {
	return &fault{status: http.StatusBadRequest, oauth: "invalid_request", code: 900144,
		text: fmt.Sprintf("The request body must contain the following parameter: '%s'.", field)}
}

// clientCredentials is the grant of service principals: a client secret or an
// assertion.
func (a *Authority) clientCredentials(p place, r *http.Request, form url.Values) (*award, *fault) {
	who, f := a.client(r, form)
	if f != nil {
		return nil, f
	}
	q, f := a.wanted(p, r, form, false)
	return &award{who: who, want: q, signed: form.Get("client_assertion") != ""}, f
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
	switch assertion := form.Get("client_assertion"); {
	case assertion != "" && secret != "": // RFC 6749 2.3
		return nil, &fault{status: http.StatusBadRequest, oauth: "invalid_request", code: 90019,
			text: "The request has a 'client_secret' and a 'client_assertion': send one of them."}
	case assertion != "":
		return a.assertion(r.Context(), id, form.Get("client_assertion_type"), assertion)
	case id == "":
		return nil, missing("client_id")
	case secret == "":
		return nil, &fault{status: http.StatusUnauthorized, oauth: "invalid_client", code: 7000218,
			text: "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."}
	}
	p, err := a.c.Directory.Authenticate(r.Context(), id, secret)
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, ErrNoPrincipal):
		return nil, a.noApplication(id)
	case errors.Is(err, ErrSecret):
		return nil, &fault{status: http.StatusUnauthorized, oauth: "invalid_client", code: 7000215,
			text: fmt.Sprintf("Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.", clip(id))}
	}
	return nil, transient()
}

// claims are those of an Azure AD access token that clients and samples read.
type claims struct {
	jwt.RegisteredClaims
	TenantID string   `json:"tid"`
	ObjectID string   `json:"oid"`
	AppID    string   `json:"appid"`
	AppACR   string   `json:"appidacr,omitempty"` // "0": public, "1": by secret, "2": by certificate
	AZP      string   `json:"azp,omitempty"`      // appid in version 2.0
	AZPACR   string   `json:"azpacr,omitempty"`
	IdP      string   `json:"idp,omitempty"`
	AppName  string   `json:"app_displayname,omitempty"`
	Name     string   `json:"name,omitempty"` // of a person
	UPN      string   `json:"upn,omitempty"`
	Unique   string   `json:"unique_name,omitempty"`
	Username string   `json:"preferred_username,omitempty"`
	Scope    string   `json:"scp,omitempty"`
	IDType   string   `json:"idtyp,omitempty"` // typeApp or typeUser
	Nonce    string   `json:"nonce,omitempty"` // of an ID token
	Roles    []string `json:"roles,omitempty"` // for people who look; Check asks the directory
	Version  string   `json:"ver"`
	UTI      string   `json:"uti"` // unique token identifier
}

// Values of the claim idtyp.
const (
	typeApp  = "app"
	typeUser = "user"
)

// issue signs the access token of won.
func (a *Authority) issue(won *award, f flavour, origin string, now time.Time) (string, error) {
	p := won.who
	c := a.claims(p, f, origin, now)
	c.AppID, c.AppACR, c.IDType, c.AppName = p.AppID, "1", typeApp, p.Name
	if won.signed {
		c.AppACR = "2"
	}
	if won.person != nil {
		c.AppACR, c.IDType, c.AppName, c.Scope = "0", typeUser, "", "user_impersonation"
		c.describe(won.person)
	}
	if f == v2 {
		c.AZP, c.AZPACR = c.AppID, c.AppACR
	}
	return a.sign(c, won.want.Audience)
}

// issueID signs the ID token by which a program knows the person of won. It
// opens nothing: its audience is the program.
func (a *Authority) issueID(won *award, f flavour, origin string, now time.Time) (string, error) {
	c := a.claims(won.who, f, origin, now)
	c.describe(won.person)
	c.Nonce = won.nonce
	return a.sign(c, won.who.AppID)
}

func (a *Authority) claims(p *Principal, f flavour, origin string, now time.Time) *claims {
	issuer := a.issuer(origin, f)
	c := &claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: p.ID,
			IssuedAt:  jwt.NewNumericDate(now),
			NotBefore: jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(a.c.Lifetime)),
		},
		TenantID: a.c.TenantID, ObjectID: p.ID, IdP: issuer, Roles: p.Roles(), Version: "1.0", UTI: uuid.NewString(),
	}
	if f == v2 {
		c.Version = "2.0"
	}
	return c
}

// describe says who a person is, in the words of all versions: az 2.45 reads
// preferred_username or, of AD FS, upn.
func (c *claims) describe(p *Person) {
	c.UPN, c.Unique, c.Username, c.Name = p.Name, p.Name, p.Name, p.DisplayName
	if c.Name == "" {
		c.Name = p.Name
	}
}

func (a *Authority) sign(c *claims, audience string) (string, error) {
	// One audience is a string in Azure AD's tokens, and decoders count on it.
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, &single{claims: *c, Audience: audience})
	t.Header["kid"] = a.keyID
	return t.SignedString(a.c.Key)
}

// single is claims with the audience as a plain string.
type single struct {
	claims
	Audience string `json:"aud"`
}
