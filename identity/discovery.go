package identity

import (
	"encoding/json"
	"net/http"

	"github.com/openams/openams/middleware"
)

// configuration serves the OpenID Connect metadata. Clients take the token
// endpoint from here; @azure/identity wants all four URLs, and the issuer on
// the very host and port that it asked.
func (a *Authority) configuration(p place, w http.ResponseWriter, r *http.Request) {
	if !readOnly(w, r) {
		return
	}
	if !a.isTenant(p.tenant) {
		a.fail(w, r, &fault{status: http.StatusBadRequest, oauth: "invalid_tenant", code: 90002, text: tenantMissing(p.tenant)})
		return
	}
	origin := middleware.Origin(r)
	base := origin + "/" + a.c.TenantID
	if p.flavour == adfs {
		base = origin + "/adfs"
	}
	version := ""
	if p.flavour == v2 {
		version = "/v2.0"
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                a.issuer(origin, p.flavour),
		"authorization_endpoint":                base + "/oauth2" + version + "/authorize",
		"token_endpoint":                        base + "/oauth2" + version + "/token",
		"device_authorization_endpoint":         base + "/oauth2" + version + "/devicecode",
		"jwks_uri":                              base + "/discovery" + version + "/keys",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic", "private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": []string{"RS256", "PS256"},
		"grant_types_supported":                            []string{"client_credentials", "authorization_code", "refresh_token", "password", deviceGrant},
		"code_challenge_methods_supported":                 []string{"S256"},
		"response_types_supported":                         []string{"code"},
		"response_modes_supported":                         []string{"query", "fragment", "form_post"},
		"subject_types_supported":                          []string{"pairwise"},
		"id_token_signing_alg_values_supported":            []string{"RS256"},
		"scopes_supported":                                 []string{"openid", "profile", "email", "offline_access"},
		"claims_supported":                                 []string{"sub", "iss", "aud", "exp", "iat", "nbf", "tid", "oid", "ver", "roles", "name", "preferred_username", "nonce"},
	})
}

// issuer returns the iss of tokens issued under origin. parseIssuer reads it.
func (a *Authority) issuer(origin string, f flavour) string {
	switch f {
	case v2:
		return origin + "/" + a.c.TenantID + "/v2.0"
	case adfs:
		return origin + "/adfs"
	}
	return origin + "/" + a.c.TenantID + "/"
}

// keys serves the public key as a JSON Web Key Set.
func (a *Authority) keys(_ place, w http.ResponseWriter, r *http.Request) {
	if !readOnly(w, r) {
		return
	}
	pub := &a.c.Key.PublicKey
	writeJSON(w, http.StatusOK, map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": a.keyID, "n": modulus(pub), "e": exponent(pub),
	}}})
}

// readOnly refuses what is not GET, HEAD or a browser's question before them.
func readOnly(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Set("Access-Control-Allow-Origin", "*") // players and portals read metadata and keys
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return true
	case http.MethodOptions:
		w.Header().Set("Access-Control-Allow-Methods", "GET, OPTIONS")
		w.WriteHeader(http.StatusNoContent)
		return false
	}
	w.Header().Set("Allow", "GET, HEAD, OPTIONS")
	w.WriteHeader(http.StatusMethodNotAllowed)
	return false
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // tokens of ACS have ampersands, and clients that cut them out of the text
	// The client that does not take it is gone.
	_ = e.Encode(body)
}
