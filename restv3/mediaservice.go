package restv3

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

type mediaServiceProperties struct {
	ID              string           `json:"mediaServiceId"`
	StorageAccounts []storageAccount `json:"storageAccounts"`

	// From 2020-05-01.
	StorageAuthentication string          `json:"storageAuthentication,omitempty"`
	Encryption            json.RawMessage `json:"encryption,omitempty"`
	// From 2021-05-01.
	KeyDelivery         json.RawMessage `json:"keyDelivery,omitempty"`
	PublicNetworkAccess string          `json:"publicNetworkAccess,omitempty"`
	// From 2021-11-01.
	ProvisioningState          string           `json:"provisioningState,omitempty"`
	PrivateEndpointConnections *[]*arm.Resource `json:"privateEndpointConnections,omitempty"`
	// From 2023-01-01.
	MinimumTLSVersion string `json:"minimumTlsVersion,omitempty"`
}

type storageAccount struct {
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Identity json.RawMessage `json:"identity,omitempty"`
}

// What an account has that nobody said otherwise about.
var (
	systemKey = json.RawMessage(`{"type":"SystemKey"}`)
	allowAll  = json.RawMessage(`{"accessControl":{"defaultAction":"Allow","ipAllowList":[]}}`)
)

// mediaServiceBody is an account as the api-version has it: properties came
// with the versions. op is the operation that the answer announces.
func mediaServiceBody(a *ams.Account, op *ams.Operation, version string) *arm.Resource {
	p, set := mediaServiceProperties{ID: a.ID}, &a.Settings
	for _, s := range a.Storage {
		typ := "Secondary"
		if s.Primary {
			typ = "Primary"
		}
		p.StorageAccounts = append(p.StorageAccounts, storageAccount{
			ID:   storageID(a, s.Name),
			Type: typ, Identity: s.Identity,
		})
	}
	res := &arm.Resource{
		Name: a.Name, ID: accountID(a.SubscriptionID, a.ResourceGroup, a.Name), Type: "Microsoft.Media/mediaservices",
		Location: a.Location, Tags: a.Tags,
		SystemData: stamps{a.CreatedBy, a.LastModifiedBy, a.Created, a.LastModified}.systemData(),
	}
	otherwise := func(said, usual json.RawMessage) json.RawMessage {
		if len(said) == 0 {
			return usual
		}
		return said
	}
	if arm.AtLeast(version, "2020-05-01") {
		p.StorageAuthentication, p.Encryption = cmp.Or(set.StorageAuthentication, "System"), otherwise(set.Encryption, systemKey)
		if len(set.Identity) > 0 {
			res.Identity = set.Identity
		}
	}
	if arm.AtLeast(version, "2021-05-01") {
		p.PublicNetworkAccess, p.KeyDelivery = cmp.Or(set.PublicNetworkAccess, "Enabled"), otherwise(set.KeyDelivery, allowAll)
	}
	if arm.AtLeast(version, "2021-11-01") {
		links := make([]*arm.Resource, len(a.PrivateLinks))
		for i := range a.PrivateLinks {
			links[i] = privateLinkBody(a, &a.PrivateLinks[i])
		}
		p.ProvisioningState, p.PrivateEndpointConnections = arm.Succeeded, &links
		if op != nil && op.Status == ams.OperationInProgress {
			p.ProvisioningState = arm.InProgress
		}
	}
	if arm.AtLeast(version, "2023-01-01") {
		p.MinimumTLSVersion = cmp.Or(set.MinimumTLSVersion, "Unspecified")
	}
	res.Properties = p
	return res
}

// storageID is the resource id of a storage account of a's.
func storageID(a *ams.Account, name string) string {
	return "/subscriptions/" + a.SubscriptionID + "/resourceGroups/" + a.ResourceGroup + "/providers/Microsoft.Storage/storageAccounts/" + name
}

// mediaServiceWrite is the body of a PUT or PATCH.
type mediaServiceWrite struct {
	Location   string                      `json:"location"`
	Tags       optional[map[string]string] `json:"tags"`
	Identity   optional[json.RawMessage]   `json:"identity"`
	Properties struct {
		StorageAccounts       optional[[]storageAccount] `json:"storageAccounts"`
		StorageAuthentication optional[string]           `json:"storageAuthentication"`
		Encryption            optional[json.RawMessage]  `json:"encryption"`
		KeyDelivery           optional[json.RawMessage]  `json:"keyDelivery"`
		PublicNetworkAccess   optional[string]           `json:"publicNetworkAccess"`
		MinimumTLSVersion     optional[string]           `json:"minimumTlsVersion"`
	} `json:"properties"`
}

// apply writes what the body gives into a.
func (b *mediaServiceWrite) apply(a *ams.Account) error {
	p, s := &b.Properties, &a.Settings
	if b.Location != "" {
		a.Location = b.Location
	}
	b.Tags.into(&a.Tags)
	b.Identity.into(&s.Identity)
	p.StorageAuthentication.into(&s.StorageAuthentication)
	p.Encryption.into(&s.Encryption)
	p.KeyDelivery.into(&s.KeyDelivery)
	p.PublicNetworkAccess.into(&s.PublicNetworkAccess)
	p.MinimumTLSVersion.into(&s.MinimumTLSVersion)
	for _, raw := range []*json.RawMessage{&s.Identity, &s.Encryption, &s.KeyDelivery} {
		*raw = compact(*raw)
	}
	if !p.StorageAccounts.given {
		return nil
	}
	a.Storage = nil
	for i, in := range p.StorageAccounts.value {
		at := fmt.Sprintf("properties.storageAccounts[%d].id", i)
		id, err := arm.ParseID(in.ID)
		if err != nil || !strings.EqualFold(id.Type(), "Microsoft.Storage/storageAccounts") {
			return ams.Invalidf(at, "'%s' is not the resource id of a storage account.", in.ID)
		}
		if !strings.EqualFold(id.Subscription, a.SubscriptionID) || !strings.EqualFold(id.ResourceGroup, a.ResourceGroup) {
			return ams.Invalidf(at, "The storage account '%s' was not found.", in.ID)
		}
		a.Storage = append(a.Storage, ams.AccountStorage{Name: id.Name(), Primary: in.Type == "Primary", Identity: compact(in.Identity)})
	}
	return nil
}

func (a *api) putMediaService(w http.ResponseWriter, r *http.Request) error {
	var body mediaServiceWrite
	if err := readModel(r, "MediaService", &body); err != nil {
		return err
	}
	want := ams.Account{
		Name: r.PathValue("accountName"), SubscriptionID: r.PathValue("subscriptionId"), ResourceGroup: r.PathValue("resourceGroupName"),
	}
	if err := body.apply(&want); err != nil {
		return err
	}
	acc, op, isNew, err := a.accounts.CreateOrUpdateAccount(r.Context(), want)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if isNew {
		status = http.StatusCreated
	}
	return mediaServiceAccepted(acc, w, r, op, status)
}

func patchMediaService(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body mediaServiceWrite
	if err := readPatch(r, "MediaServiceUpdate", &body); err != nil {
		return err
	}
	op, err := acc.Update(r.Context(), body.apply)
	if err != nil {
		return err
	}
	return mediaServiceAccepted(acc, w, r, op, http.StatusOK)
}

// mediaServiceAccepted answers a PUT or PATCH of an account: a long-running
// operation since api-version 2021-11-01, done before that.
func mediaServiceAccepted(acc *account.Account, w http.ResponseWriter, r *http.Request, op *ams.Operation, status int) error {
	if !arm.AtLeast(arm.Version(r), "2021-11-01") {
		op = nil
	} else {
		mediaServiceOperation(acc, op, r).SetHeaders(w.Header(), r)
		if r.Method == http.MethodPatch { // the SDKs take nothing else for it
			status = http.StatusAccepted
		}
	}
	return arm.WriteResource(w, r, status, mediaServiceBody(&acc.Account, op, arm.Version(r)))
}

// mediaServiceOperation is where clients poll an operation of an account.
func mediaServiceOperation(acc *account.Account, op *ams.Operation, r *http.Request) arm.Operation {
	location := "/subscriptions/" + acc.SubscriptionID + "/providers/Microsoft.Media/locations/" +
		url.PathEscape(strings.ToLower(strings.ReplaceAll(acc.Location, " ", "")))
	query := "/" + op.ID + "?api-version=" + url.QueryEscape(arm.Version(r))
	return arm.Operation{
		Status:   location + "/mediaServicesOperationStatuses" + query,
		Location: location + "/mediaServicesOperationResults" + query,
	}
}

// ownsOperation reports whether the caller, who may not read the operations of
// the subscription, may read the account that this one is on.
func (a *api) ownsOperation(r *http.Request) bool {
	_, acc, err := a.accounts.AccountOperation(r.Context(), r.PathValue("subscriptionId"), r.PathValue("operationId"))
	return err == nil && arm.Authorize(r.Context(), "Microsoft.Media/mediaservices/read", idOf(acc)) == nil
}

func (a *api) getMediaServiceOperation(w http.ResponseWriter, r *http.Request) error {
	op, _, err := a.accounts.AccountOperation(r.Context(), r.PathValue("subscriptionId"), r.PathValue("operationId"))
	if err != nil {
		return err
	}
	return writeOperation(w, op, r.URL.Path)
}

func (a *api) getMediaServiceResult(w http.ResponseWriter, r *http.Request) error {
	op, acc, err := a.accounts.AccountOperation(r.Context(), r.PathValue("subscriptionId"), r.PathValue("operationId"))
	if err != nil {
		return err
	}
	if op.Status == ams.OperationInProgress {
		mediaServiceOperation(acc, op, r).SetHeaders(w.Header(), r)
		return arm.WriteEmpty(w, http.StatusAccepted)
	}
	return getMediaService(acc, w, r)
}

func (a *api) deleteMediaService(w http.ResponseWriter, r *http.Request) error {
	existed, err := a.accounts.DeleteAccount(r.Context(), r.PathValue("subscriptionId"), r.PathValue("resourceGroupName"), r.PathValue("accountName"))
	return deleted(w, existed, err)
}

func getMediaService(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	return arm.WriteResource(w, r, http.StatusOK, mediaServiceBody(&acc.Account, nil, arm.Version(r)))
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
		out[i] = mediaServiceBody(acc, nil, arm.Version(r))
	}
	return arm.WriteResources(w, r, out, "")
}

func syncStorageKeys(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		ID string `json:"id"`
	}
	if err := readModel(r, "SyncStorageKeysInput", &body); err != nil {
		return err
	}
	if body.ID == "" {
		return ams.Invalidf("id", "The id of a storage account is missing.")
	}
	if err := acc.SyncStorageKeys(body.ID); err != nil {
		return err
	}
	return arm.WriteEmpty(w, http.StatusOK)
}

// listEdgePolicies answers that there are none: they told devices of Azure's
// edge where to report their usage to, and nothing is reported here.
func listEdgePolicies(_ *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		DeviceID string `json:"deviceId"`
	}
	if err := arm.ReadOptionalJSON(r, &body); err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, struct{}{})
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
