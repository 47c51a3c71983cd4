package restv3

import (
	"net/http"

	"github.com/openams/openams/account"
	"github.com/openams/openams/restv3/arm"
)

// discoveryVersion is the api-version by which clients of the v2 API find its
// root. It describes accounts in words of its own.
const discoveryVersion = "2015-10-01"

type discovered struct {
	Endpoints []apiEndpoint   `json:"apiEndpoints"`
	Storage   []oldStorageRef `json:"storageAccounts"`
}

type apiEndpoint struct {
	Endpoint     string `json:"endpoint"`
	MajorVersion string `json:"majorVersion"`
}

type oldStorageRef struct {
	ID        string `json:"id"`
	IsPrimary bool   `json:"isPrimary"`
}

// getMediaService serves GET of an account.
func (a *api) getMediaService(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	if arm.Version(r) != discoveryVersion {
		return getMediaService(acc, w, r)
	}
	p := discovered{Endpoints: []apiEndpoint{}}
	if a.v2 != nil {
		if root := a.v2(r, &acc.Account); root != "" {
			p.Endpoints = append(p.Endpoints, apiEndpoint{root, "2"})
		}
	}
	for _, s := range acc.Storage {
		p.Storage = append(p.Storage, oldStorageRef{storageID(&acc.Account, s.Name), s.Primary})
	}
	res := mediaServiceBody(&acc.Account, nil, discoveryVersion)
	res.Properties = p
	return arm.WriteResource(w, r, http.StatusOK, res)
}
