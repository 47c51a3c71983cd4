package restv3

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

// Private links connected an account to a customer's network inside Azure.
// Here connections are kept for the clients that make them; nothing follows
// from them.

type privateLinkProperties struct {
	State             json.RawMessage `json:"privateLinkServiceConnectionState,omitempty"`
	ProvisioningState string          `json:"provisioningState"`
}

func privateLinkBody(a *ams.Account, l *ams.PrivateLink) *arm.Resource {
	return &arm.Resource{
		Name: l.Name, ID: accountID(a.SubscriptionID, a.ResourceGroup, a.Name) + "/privateEndpointConnections/" + l.Name,
		Type:       "Microsoft.Media/mediaservices/privateEndpointConnections",
		Properties: privateLinkProperties{l.State, arm.Succeeded},
	}
}

func putPrivateLink(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Properties struct {
			State json.RawMessage `json:"privateLinkServiceConnectionState"`
		} `json:"properties"`
	}
	if err := readModel(r, "PrivateEndpointConnection", &body); err != nil {
		return err
	}
	l := ams.PrivateLink{Name: r.PathValue("name"), State: compact(body.Properties.State)}
	if err := acc.SetPrivateLink(r.Context(), l); err != nil {
		return err
	}
	return getPrivateLink(acc, w, r)
}

func getPrivateLink(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	for i := range acc.PrivateLinks {
		if l := &acc.PrivateLinks[i]; strings.EqualFold(l.Name, r.PathValue("name")) {
			return arm.WriteJSON(w, http.StatusOK, privateLinkBody(&acc.Account, l))
		}
	}
	return arm.NotFound()
}

func listPrivateLinks(acc *account.Account, w http.ResponseWriter, _ *http.Request) error {
	var all []*arm.Resource
	for i := range acc.PrivateLinks {
		all = append(all, privateLinkBody(&acc.Account, &acc.PrivateLinks[i]))
	}
	return arm.WriteARMList(w, all)
}

func deletePrivateLink(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	existed, err := acc.DeletePrivateLink(r.Context(), r.PathValue("name"))
	return deleted(w, existed, err)
}

// privateLinkResources are the parts of an account that a private endpoint
// could lead to (documented: private link for media services).
var privateLinkResources = []string{"keydelivery", "liveevent", "streamingendpoint"}

func privateLinkResource(acc *account.Account, name string) *arm.Resource {
	return &arm.Resource{
		Name: name, ID: idOf(acc) + "/privateLinkResources/" + name, Type: "Microsoft.Media/mediaservices/privateLinkResources",
		Properties: map[string]any{
			"groupId": name, "requiredMembers": []string{name}, "requiredZoneNames": []string{"privatelink.media.azure.net"},
		},
	}
}

func listPrivateLinkResources(acc *account.Account, w http.ResponseWriter, _ *http.Request) error {
	var all []*arm.Resource
	for _, name := range privateLinkResources {
		all = append(all, privateLinkResource(acc, name))
	}
	return arm.WriteARMList(w, all)
}

func getPrivateLinkResource(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	for _, name := range privateLinkResources {
		if strings.EqualFold(name, r.PathValue("name")) {
			return arm.WriteJSON(w, http.StatusOK, privateLinkResource(acc, name))
		}
	}
	return arm.NotFound()
}
