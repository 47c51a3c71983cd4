package restv3

import (
	"net/http"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

type mediaServiceProperties struct {
	ID              string           `json:"mediaServiceId"`
	StorageAccounts []storageAccount `json:"storageAccounts"`

	// From 2020-05-01.
	StorageAuthentication string `json:"storageAuthentication,omitempty"`
	Encryption            *typed `json:"encryption,omitempty"`
	// From 2021-05-01.
	KeyDelivery         *keyDelivery `json:"keyDelivery,omitempty"`
	PublicNetworkAccess string       `json:"publicNetworkAccess,omitempty"`
	// From 2021-11-01.
	ProvisioningState          string `json:"provisioningState,omitempty"`
	PrivateEndpointConnections *[]any `json:"privateEndpointConnections,omitempty"`
	// From 2023-01-01.
	MinimumTLSVersion string `json:"minimumTlsVersion,omitempty"`
}

type storageAccount struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

type typed struct {
	Type string `json:"type"`
}

type keyDelivery struct {
	AccessControl struct {
		DefaultAction string   `json:"defaultAction"`
		IPAllowList   []string `json:"ipAllowList"`
	} `json:"accessControl"`
}

// mediaServiceBody is an account as the api-version has it: properties came
// with the versions.
func mediaServiceBody(a *ams.Account, version string) *arm.Resource {
	p := mediaServiceProperties{ID: a.ID}
	for _, s := range a.Storage {
		typ := "Secondary"
		if s.Primary {
			typ = "Primary"
		}
		p.StorageAccounts = append(p.StorageAccounts, storageAccount{
			ID:   "/subscriptions/" + a.SubscriptionID + "/resourceGroups/" + a.ResourceGroup + "/providers/Microsoft.Storage/storageAccounts/" + s.Name,
			Type: typ,
		})
	}
	if arm.AtLeast(version, "2020-05-01") {
		p.StorageAuthentication, p.Encryption = "System", &typed{"SystemKey"}
	}
	if arm.AtLeast(version, "2021-05-01") {
		p.PublicNetworkAccess, p.KeyDelivery = "Enabled", new(keyDelivery)
		p.KeyDelivery.AccessControl.DefaultAction, p.KeyDelivery.AccessControl.IPAllowList = "Allow", []string{}
	}
	if arm.AtLeast(version, "2021-11-01") {
		p.ProvisioningState, p.PrivateEndpointConnections = "Succeeded", &[]any{}
	}
	if arm.AtLeast(version, "2023-01-01") {
		p.MinimumTLSVersion = "Unspecified"
	}
	return &arm.Resource{
		Name: a.Name, ID: accountID(a.SubscriptionID, a.ResourceGroup, a.Name), Type: "Microsoft.Media/mediaservices",
		Location: a.Location, Tags: a.Tags, Properties: p,
		SystemData: stamps{a.CreatedBy, a.LastModifiedBy, a.Created, a.LastModified}.systemData(),
	}
}

func getMediaService(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	return arm.WriteResource(w, r, http.StatusOK, mediaServiceBody(&acc.Account, arm.Version(r)))
}

// listMediaServices lists the accounts of a resource group, or of the whole
// subscription where the path names no group.
func (a *api) listMediaServices(w http.ResponseWriter, r *http.Request) error {
	accounts, err := a.accounts.Accounts(r.Context(), r.PathValue("subscriptionId"), r.PathValue("resourceGroupName"))
	if err != nil {
		return err
	}
	out := make([]*arm.Resource, len(accounts))
	for i, acc := range accounts {
		out[i] = mediaServiceBody(acc, arm.Version(r))
	}
	return arm.WriteResources(w, r, out, "")
}

// checkNameAvailability is always 200. Clients send the resource type in any
// case (recorded).
func (a *api) checkNameAvailability(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	if err := arm.ReadJSON(r, &body); err != nil {
		return err
	}
	answer := struct {
		Available bool   `json:"nameAvailable"`
		Reason    string `json:"reason,omitempty"`
		Message   string `json:"message,omitempty"`
	}{}
	var err error
	answer.Available, answer.Reason, answer.Message, err = a.accounts.NameAvailable(r.Context(), body.Name)
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, answer)
}
