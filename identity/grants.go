package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/middleware"
)

// How long what the authority hands out for people lives. Azure AD's numbers.
const (
	refreshLifetime = 90 * 24 * time.Hour
	codeLifetime    = 10 * time.Minute
	deviceLifetime  = 15 * time.Minute
)

// A ticket is what stands in a refresh token or an authorization code.
type ticket struct {
	Person  string `json:"p"` // object id
	Stamp   string `json:"s"` // Person.Stamp when they signed in
	Program string `json:"c"`
	Want    want   `json:"w"`

	// Of a code alone.
	ID        string `json:"i,omitempty"`
	Redirect  string `json:"r,omitempty"`
	Challenge string `json:"x,omitempty"` // PKCE, S256
	Nonce     string `json:"n,omitempty"`
}

// signIn checks a name and a password. Guessing is slowed down by address, and
// by name and address; whoever signs in is not counted.
func (a *Authority) signIn(r *http.Request, name, password string) (*Person, *fault) {
	address := middleware.Address(r)
	pair := strings.ToLower(clip(name)) + " " + address
	for _, l := range []struct {
		limit *middleware.Limiter
		key   string
	}{{a.byAddress, address}, {a.byName, pair}} {
		if wait := l.limit.Take(l.key); wait > 0 {
			return nil, &fault{status: http.StatusTooManyRequests, oauth: "temporarily_unavailable", code: 50196, after: wait,
				text: "There were too many attempts to sign in. Try again later."}
		}
	}
	p, err := a.c.Directory.SignIn(r.Context(), name, password)
	switch {
	case err == nil:
		a.byAddress.Return(address)
		a.byName.Return(pair)
		return p, nil
	case errors.Is(err, ErrSecret):
		return nil, &fault{status: http.StatusBadRequest, oauth: "invalid_grant", code: 50126,
			text: "Error validating credentials due to invalid username or password."}
	}
	return nil, transient()
}

// password is the grant of old v2 clients (RFC 6749 4.3).
func (a *Authority) password(p place, r *http.Request, form url.Values) (*award, *fault) {
	program, f := a.program(r, form)
	if f != nil {
		return nil, f
	}
	q, f := a.wanted(p, r, form, true)
	if f != nil {
		return nil, f
	}
	for _, field := range []string{"username", "password"} {
		if form.Get(field) == "" {
			return nil, missing(field)
		}
	}
	person, f := a.signIn(r, form.Get("username"), form.Get("password"))
	if f != nil {
		return nil, f
	}
	return person.award(program, q), nil
}

func (p *Person) award(program string, q want) *award {
	who := p.Principal
	who.AppID = program
	return &award{who: &who, person: p, want: q}
}

// authorizationCode is the grant of programs that sent a person to authorize.
func (a *Authority) authorizationCode(p place, r *http.Request, form url.Values) (*award, *fault) {
	program, f := a.program(r, form)
	if f != nil {
		return nil, f
	}
	if form.Get("code") == "" {
		return nil, missing("code")
	}
	now := a.c.Now()
	bad := func(code int, format string, args ...any) (*award, *fault) {
		return nil, &fault{status: http.StatusBadRequest, oauth: "invalid_grant", code: code, text: fmt.Sprintf(format, args...)}
	}
	var t ticket
	if a.sealer.open("code", form.Get("code"), &t, now) != nil {
		return bad(70008, "The provided authorization code is not valid or has expired.")
	}
	// RFC 7636 4.6; a verifier has 43 to 128 characters.
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	proof := base64.RawURLEncoding.EncodeToString(sum[:])
	switch n := len(form.Get("code_verifier")); {
	case t.Program != program:
		return bad(70000, "The provided authorization code was issued to another application.")
	case t.Redirect != form.Get("redirect_uri"):
		return bad(50011, "The redirect URI is not the one of the authorization request.")
	case n < 43 || n > 128 || subtle.ConstantTimeCompare([]byte(proof), []byte(t.Challenge)) != 1:
		return bad(50148, "The code_verifier does not match the code_challenge supplied in the authorization request for PKCE.")
	case !a.codes.use(t.ID, now.Add(codeLifetime), now):
		return bad(54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.")
	}
	won, f := a.redeem(p, r, form, &t)
	if f == nil {
		won.nonce = t.Nonce
	}
	return won, f
}

// refreshToken is the grant of programs that hold a refresh token. One for one
// resource is good for all, as with Azure AD.
func (a *Authority) refreshToken(p place, r *http.Request, form url.Values) (*award, *fault) {
	program, f := a.program(r, form)
	if f != nil {
		return nil, f
	}
	if form.Get("refresh_token") == "" {
		return nil, missing("refresh_token")
	}
	var t ticket
	if a.sealer.open("refresh", form.Get("refresh_token"), &t, a.c.Now()) != nil || t.Program != program {
		return nil, &fault{status: http.StatusBadRequest, oauth: "invalid_grant", code: 700082,
			text: "The refresh token is not valid, has expired or was issued to another application."}
	}
	won, f := a.redeem(p, r, form, &t)
	if f == nil && !won.want.has("offline_access") {
		won.want.OpenID = append(won.want.OpenID, "offline_access") // the next one replaces this one
	}
	return won, f
}

// redeem finds the person of t, if nothing changed since they signed in. What
// the form asks for wins over what t was for.
func (a *Authority) redeem(p place, r *http.Request, form url.Values, t *ticket) (*award, *fault) {
	person, err := a.c.Directory.Person(r.Context(), t.Person)
	switch {
	case errors.Is(err, ErrNoPrincipal) || err == nil && person.Stamp != t.Stamp:
		return nil, &fault{status: http.StatusBadRequest, oauth: "invalid_grant", code: 50173,
			text: "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password."}
	case err != nil:
		return nil, transient()
	}
	q := t.Want
	if form.Get("resource") != "" || form.Get("scope") != "" {
		asked, f := a.wanted(p, r, form, true)
		if f != nil {
			return nil, f
		}
		q = asked
		if form.Get("resource") == "" && !namesResource(form.Get("scope")) {
			q.Audience = t.Want.Audience
		}
	}
	return person.award(t.Program, q), nil
}

// namesResource reports whether scope has more than the scopes of OpenID
// Connect.
func namesResource(scope string) bool { return strings.Contains(scope, "/") }

// realm answers the question of ADAL and msal before a password grant: where
// does this person sign in? Here; it does not say whether there is one.
func (a *Authority) realm(p place, w http.ResponseWriter, r *http.Request) {
	if !readOnly(w, r) {
		return
	}
	if f := a.checkTenant(p); f != nil {
		a.fail(w, r, f)
		return
	}
	origin, err := url.Parse(middleware.Origin(r))
	if err != nil {
		a.fail(w, r, transient())
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{
		"ver": "1.0", "account_type": "Managed", "domain_name": origin.Hostname(),
		"cloud_instance_name": origin.Host, "cloud_audience_urn": "urn:federation:MicrosoftOnline",
	})
}

// managed serves the token URL of managed identities in the shape of Azure App
// Service: a program on this machine finds the URL in IDENTITY_ENDPOINT and
// the secret, which stands for its identity, in IDENTITY_HEADER.
func (a *Authority) managed(p place, w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, text string) {
		writeJSON(w, status, map[string]any{"statusCode": status, "message": text})
	}
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET")
		refuse(http.StatusMethodNotAllowed, "Only GET is supported.")
		return
	}
	query := r.URL.Query()
	secret := r.Header.Get("X-Identity-Header")
	switch {
	case query.Get("api-version") != "2019-08-01":
		refuse(http.StatusBadRequest, "The api-version must be 2019-08-01.")
		return
	case secret == "":
		refuse(http.StatusBadRequest, "The header X-IDENTITY-HEADER is missing.")
		return
	}
	who, err := a.c.Directory.Identity(r.Context(), secret)
	switch {
	case errors.Is(err, ErrSecret):
		refuse(http.StatusUnauthorized, "The header X-IDENTITY-HEADER is not that of a managed identity.")
		return
	case err != nil:
		refuse(http.StatusInternalServerError, "A transient error has occurred. Please try again.")
		return
	}
	for name, value := range map[string]string{"client_id": who.AppID, "principal_id": who.ID, "object_id": who.ID} {
		if got := query.Get(name); got != "" && !strings.EqualFold(got, value) {
			refuse(http.StatusBadRequest, "No managed identity was found for the given "+name+".")
			return
		}
	}
	q, f := a.wanted(p, r, url.Values{"resource": {query.Get("resource")}}, false)
	if f != nil {
		refuse(f.status, f.text)
		return
	}
	now := a.c.Now()
	signed, err := a.issue(&award{who: who, want: q}, v1, middleware.Origin(r), now)
	if err != nil {
		refuse(http.StatusInternalServerError, "A transient error has occurred. Please try again.")
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{
		"access_token": signed, "token_type": "Bearer", "resource": q.Audience, "client_id": who.AppID,
		"expires_on": strconv.FormatInt(now.Add(a.c.Lifetime).Unix(), 10),
	})
}
