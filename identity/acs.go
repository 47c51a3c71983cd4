package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/openams/openams/middleware"
)

// A KeyAccount is a media services account that signs in by its name and its
// key, as v2 clients did at Azure's Access Control Service (ACS).
type KeyAccount struct {
	Name         string
	Key          []byte // clients send it in base64
	Subscription string
	Scope        string // what it may do everything with but give rights: a Resource Manager id
}

const (
	acsPath     = "v2/oauth2-13" // in lower case
	acsAudience = "urn:WindowsAzureMediaServices"
	acsLifetime = 6 * time.Hour
	swtProfile  = "http://schemas.xmlsoap.org/ws/2009/11/swt-token-profile-1.0"
	nameClaim   = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
	idpClaim    = "http://schemas.microsoft.com/accesscontrolservice/2010/07/claims/identityprovider"
	macField    = "&HMACSHA256="
)

// acs serves the token endpoint of ACS: an account's name and key for a simple
// web token, which clients send back as it is.
func (a *Authority) acs(_ place, w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		a.onlyPost(w, r)
		return
	}
	form, f := readForm(w, r)
	if f != nil {
		a.fail(w, r, f)
		return
	}
	refuse := func(status int, oauth, text string) {
		writeJSON(w, status, map[string]string{"error": oauth, "error_description": fmt.Sprintf("%s Trace ID: %s", text, middleware.RequestID(r.Context()))})
	}
	// Clients leave blanks around what they send. (Observed: amspy.)
	field := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	account := a.keyAccount(field("client_id"))
	// A plus that was not escaped arrives as a blank, at the front too.
	secret := strings.ReplaceAll(strings.TrimRight(form.Get("client_secret"), " "), " ", "+")
	switch {
	case field("grant_type") != "client_credentials":
		refuse(http.StatusBadRequest, "unsupported_grant_type", "ACS50005: The grant_type must be client_credentials.")
	case field("scope") != "" && !strings.EqualFold(strings.TrimSuffix(field("scope"), "/"), acsAudience):
		refuse(http.StatusBadRequest, "invalid_scope", "ACS50001: The scope must be "+acsAudience+".")
	case account == nil || !account.is(secret) && !account.is(field("client_secret")):
		refuse(http.StatusUnauthorized, "invalid_client", "ACS50012: Authentication failed: the account name or the account key is wrong.")
	default:
		expires := a.c.Now().Add(acsLifetime)
		writeJSON(w, http.StatusOK, map[string]string{
			"token_type": swtProfile, "access_token": account.token(middleware.Origin(r)+"/", expires),
			"expires_in": strconv.Itoa(int(acsLifetime / time.Second)), "scope": acsAudience,
		})
	}
}

func (a *Authority) keyAccount(name string) *KeyAccount {
	for i := range a.c.KeyAccounts {
		if k := &a.c.KeyAccounts[i]; strings.EqualFold(k.Name, name) {
			return k
		}
	}
	return nil
}

// is compares the key with one that a client sent.
func (k *KeyAccount) is(sent string) bool {
	want := sha256.Sum256([]byte(base64.StdEncoding.EncodeToString(k.Key)))
	got := sha256.Sum256([]byte(sent))
	return len(k.Key) > 0 && subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// mac signs the text of a token. It dies with the account key.
func (k *KeyAccount) mac(text string) string {
	purpose := hmac.New(sha256.New, k.Key)
	purpose.Write([]byte("openams simple web token"))
	m := hmac.New(sha256.New, purpose.Sum(nil))
	m.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// token spells a simple web token as ACS did.
func (k *KeyAccount) token(issuer string, expires time.Time) string {
	var b strings.Builder
	for _, c := range [][2]string{{nameClaim, k.Name}, {"urn:SubscriptionId", k.Subscription}, {idpClaim, issuer},
		{"Audience", acsAudience}, {"ExpiresOn", strconv.FormatInt(expires.Unix(), 10)}, {"Issuer", issuer}} {
		b.WriteString("&" + lowerEscape(c[0]) + "=" + lowerEscape(c[1]))
	}
	text := b.String()[1:]
	return text + macField + lowerEscape(k.mac(text))
}

var escaped = regexp.MustCompile(`%[0-9A-F]{2}`)

func lowerEscape(s string) string {
	return escaped.ReplaceAllStringFunc(url.QueryEscape(s), strings.ToLower)
}

// checkACS finds whom a simple web token stands for. Some clients escape the
// token once more before they send it.
func (a *Authority) checkACS(bearer string) (*Principal, error) {
	p, err := a.checkSWT(bearer)
	if err == nil {
		return p, nil
	}
	if once, uerr := url.PathUnescape(bearer); uerr == nil {
		if p, err2 := a.checkSWT(once); err2 == nil || !strings.Contains(bearer, macField) {
			return p, err2
		}
	}
	return nil, err
}

func (a *Authority) checkSWT(token string) (*Principal, error) {
	text, mac, ok := strings.Cut(token, macField)
	claims, err1 := url.ParseQuery(text)
	mac, err2 := url.QueryUnescape(mac)
	if !ok || err1 != nil || err2 != nil {
		return nil, &TokenError{Reason: Malformed, Msg: "The access token is invalid."}
	}
	account := a.keyAccount(claims.Get(nameClaim))
	if account == nil || !hmac.Equal([]byte(mac), []byte(account.mac(text))) {
		return nil, &TokenError{Reason: BadSignature, Msg: "The access token validation failure: the signature is invalid."}
	}
	seconds, err := strconv.ParseInt(claims.Get("ExpiresOn"), 10, 64)
	if now := a.c.Now(); err != nil || !now.Before(time.Unix(seconds, 0).Add(skew)) {
		return nil, expired(time.Unix(seconds, 0), now)
	}
	// The account itself is who calls; it has an id as everybody.
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte(acsAudience+":"+strings.ToLower(account.Name))).String()
	return &Principal{ID: id, AppID: id, TenantID: a.c.TenantID, Name: account.Name, Kind: Application,
		Assignments: []Assignment{{Role: Contributor, Scope: account.Scope}}}, nil
}

// isSWT tells a simple web token from a JWT, which has no such letters.
func isSWT(bearer string) bool {
	return strings.Contains(bearer, "HMACSHA256") && strings.Contains(bearer, "%")
}
