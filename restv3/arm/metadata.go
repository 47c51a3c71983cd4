package arm

import (
	"net"
	"net/http"
	"net/url"

	"github.com/openams/openams/middleware"
)

// Metadata serves GET /metadata/endpoints, by which azure-cli and SDKs learn
// all about a cloud from its Resource Manager. It needs no token.
//
// The login endpoint ends in /adfs: only there does azure-cli 2.45 sign in
// without asking login.microsoftonline.com about the host. (Observed.) Both
// shapes name services that openams is not; clients fail if a name is missing.
func (f *Facts) Metadata() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			e := Errorf(http.StatusMethodNotAllowed, "MethodNotAllowed", "The requested resource does not support http method '%s'.", clip(r.Method))
			e.Header = http.Header{"Allow": {"GET, HEAD"}}
			WriteError(w, e)
			return
		}
		if err := checkVersion(r, "", "", nil); err != nil {
			WriteError(w, err.(*Error))
			return
		}
		origin := middleware.Origin(r)
		login := object{"loginEndpoint": origin + "/adfs", "audiences": []string{origin}}
		if !AtLeast(Version(r), "2019-05-01") {
			_ = WriteJSON(w, http.StatusOK, object{
				"galleryEndpoint": origin + "/", "graphEndpoint": origin + "/", "portalEndpoint": origin + "/",
				"authentication": login,
			})
			return
		}
		login["tenant"] = "common"
		login["identityProvider"] = "AAD"
		host := hostname(origin)
		_ = WriteJSON(w, http.StatusOK, []any{object{
			"name": "openams", "resourceManager": origin + "/", "portal": origin + "/",
			"media": "https://rest.media.azure.net", // an audience, the same in every cloud that v2 clients know
			"graph": origin + "/", "graphAudience": origin + "/", "gallery": origin + "/",
			"sqlManagement": origin + "/", "batch": origin + "/", "vmImageAliasDoc": origin + "/",
			"activeDirectoryDataLake": origin + "/",
			"authentication":          login,
			"suffixes": object{
				"storage": host, "keyVaultDns": "vault." + host, "sqlServerHostname": "database." + host, "acrLoginServer": "acr." + host,
			},
		}})
	})
}

func hostname(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return origin
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil {
		return "localhost" // an address has no subdomains
	}
	return u.Hostname()
}
