package arm

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// Facts are what there is around the media services accounts of a server: one
// subscription of one tenant, with one resource group in one region.
type Facts struct {
	TenantID         string // GUID
	TenantName       string // shown to people
	SubscriptionID   string // GUID
	SubscriptionName string
	ResourceGroup    string
	Location         string // such as "local"
	LocationName     string // such as "Local"

	// StorageAccounts lists the storage accounts now.
	StorageAccounts func(context.Context) ([]StorageAccount, error)
}

// A StorageAccount as Microsoft.Storage shows it.
type StorageAccount struct {
	Name         string
	BlobEndpoint string    // URL, ending in a slash
	Keys         [2]string // base64; shown to who may list them, and if there are any
}

// ID returns the id of something in the resource group.
func (f *Facts) ID(namespace, typ, name string) ID {
	return ID{Subscription: f.SubscriptionID, ResourceGroup: f.ResourceGroup, Namespace: namespace,
		Types: []string{typ}, Names: []string{name}}
}

// Register adds the routes of f to rt, and makes rt answer 404 for other
// subscriptions and groups, on all of its routes.
func (f *Facts) Register(rt *Router) {
	rt.facts = f
	const subscription = "/subscriptions/{subscriptionId}"
	const group = subscription + "/resourceGroups/{resourceGroupName}"
	const storage = "/providers/Microsoft.Storage/storageAccounts"

	rt.Handle("GET", "/subscriptions", f.one(f.subscription))
	rt.Handle("GET", subscription, f.only(f.subscription))
	rt.Handle("GET", subscription+"/locations", f.one(f.location))
	rt.Handle("GET", "/tenants", f.one(f.tenant))
	rt.Handle("GET", subscription+"/resourceGroups", f.one(f.group))
	rt.Handle("GET", group, f.only(f.group))
	// `az group exists` asks so. That it exists is known by now.
	rt.Handle("HEAD", group, func(w http.ResponseWriter, _ *http.Request) error {
		return WriteEmpty(w, http.StatusNoContent)
	})
	rt.Handle("GET", subscription+"/providers", func(w http.ResponseWriter, r *http.Request) error {
		return WriteARMList(w, []any{f.provider(rt, Media), f.provider(rt, microsoftStorage)})
	})
	for method, pattern := range map[string]string{
		"GET":  subscription + "/providers/{resourceProviderNamespace}",
		"POST": subscription + "/providers/{resourceProviderNamespace}/register", // done already
	} {
		rt.Handle(method, pattern, func(w http.ResponseWriter, r *http.Request) error {
			asked := r.PathValue("resourceProviderNamespace")
			for _, ns := range []string{Media, microsoftStorage} {
				if strings.EqualFold(asked, ns) {
					return WriteJSON(w, http.StatusOK, f.provider(rt, ns))
				}
			}
			return Errorf(http.StatusNotFound, "InvalidResourceNamespace", "The resource namespace '%s' is invalid.", clip(asked))
		})
	}
	rt.Handle("GET", subscription+storage, f.storageAccounts)
	rt.Handle("GET", group+storage, f.storageAccounts)
	rt.Handle("GET", group+storage+"/{accountName}", f.WriteStorageAccount)
	rt.Handle("POST", group+storage+"/{accountName}/listKeys", f.WriteStorageKeys)
	rt.Handle("GET", "/providers/Microsoft.Media/operations", func(w http.ResponseWriter, _ *http.Request) error {
		return WriteARMList(w, operations(rt.Actions(Media)))
	})
}

const microsoftStorage = "Microsoft.Storage"

// check refuses another subscription or group than those of f.
func (f *Facts) check(r *http.Request) error {
	if s := r.PathValue("subscriptionId"); s != "" && !strings.EqualFold(s, f.SubscriptionID) {
		return SubscriptionNotFound(s)
	}
	if g := r.PathValue("resourceGroupName"); g != "" && !strings.EqualFold(g, f.ResourceGroup) {
		return ResourceGroupNotFound(g)
	}
	return nil
}

// WriteARMList answers with a list that is Resource Manager's own, not AMS's:
// all of it at once.
func WriteARMList[T any](w http.ResponseWriter, items []T) error {
	if items == nil {
		items = []T{}
	}
	return WriteJSON(w, http.StatusOK, struct {
		Value []T `json:"value"`
	}{items})
}

func (f *Facts) one(body func() any) Handler {
	return func(w http.ResponseWriter, _ *http.Request) error { return WriteARMList(w, []any{body()}) }
}

func (f *Facts) only(body func() any) Handler {
	return func(w http.ResponseWriter, _ *http.Request) error { return WriteJSON(w, http.StatusOK, body()) }
}

type object = map[string]any

func (f *Facts) subscription() any {
	return object{
		"id": "/subscriptions/" + f.SubscriptionID, "subscriptionId": f.SubscriptionID,
		"tenantId": f.TenantID, "displayName": f.SubscriptionName, "state": "Enabled",
		"authorizationSource":  "RoleBased",
		"subscriptionPolicies": object{"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"},
		"managedByTenants":     []any{},
	}
}

func (f *Facts) tenant() any {
	return object{
		"id": "/tenants/" + f.TenantID, "tenantId": f.TenantID, "displayName": f.TenantName,
		"tenantCategory": "Home", "domains": []string{},
	}
}

func (f *Facts) location() any {
	return object{
		"id":   "/subscriptions/" + f.SubscriptionID + "/locations/" + f.Location,
		"name": f.Location, "type": "Region", "displayName": f.LocationName, "regionalDisplayName": f.LocationName,
		"metadata": object{"regionType": "Physical", "regionCategory": "Recommended"},
	}
}

func (f *Facts) group() any {
	return object{
		"id":   ID{Subscription: f.SubscriptionID, ResourceGroup: f.ResourceGroup}.String(),
		"name": f.ResourceGroup, "type": "Microsoft.Resources/resourceGroups", "location": f.Location,
		"tags": object{}, "properties": object{"provisioningState": "Succeeded"},
	}
}

// provider describes a namespace by the routes that it has.
func (f *Facts) provider(rt *Router, namespace string) any {
	types := []any{}
	for _, a := range rt.Actions(namespace) {
		name, isRead := strings.CutSuffix(a[len(namespace)+1:], "/read")
		if !isRead || name == "read" {
			continue
		}
		versions := []string{"2019-06-01"}
		if namespace == Media {
			versions = slices.Clone(rt.c.Versions)
			slices.Reverse(versions)
		}
		types = append(types, object{"resourceType": name, "locations": []string{f.LocationName}, "apiVersions": versions, "capabilities": "None"})
	}
	return object{
		"id": "/subscriptions/" + f.SubscriptionID + "/providers/" + namespace, "namespace": namespace,
		"registrationPolicy": "RegistrationRequired", "registrationState": "Registered", "resourceTypes": types,
	}
}

// operations describes permissions, as role editors list them.
func operations(actions []string) []any {
	var all []any
	for _, a := range actions {
		part := strings.Split(a, "/")
		verb, noun := part[len(part)-1], part[len(part)-2]
		if verb == "action" && len(part) > 3 {
			verb, noun = part[len(part)-2], part[len(part)-3]
		}
		all = append(all, object{"name": a, "isDataAction": false, "display": object{
			"provider": "Microsoft Media Services", "resource": noun,
			"operation": verb + " " + noun, "description": verb + " " + noun}})
	}
	return all
}

func (f *Facts) storageAccounts(w http.ResponseWriter, r *http.Request) error {
	accounts, err := f.StorageAccounts(r.Context())
	if err != nil {
		return err
	}
	var all []any
	for i := range accounts {
		all = append(all, f.storageBody(&accounts[i]))
	}
	return WriteARMList(w, all)
}

// WriteStorageAccount answers with the storage account {accountName} of the path.
func (f *Facts) WriteStorageAccount(w http.ResponseWriter, r *http.Request) error {
	a, err := f.findStorage(r)
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, f.storageBody(a))
}

// WriteStorageKeys answers with the keys of the storage account {accountName} of
// the path.
func (f *Facts) WriteStorageKeys(w http.ResponseWriter, r *http.Request) error {
	a, err := f.findStorage(r)
	if err != nil {
		return err
	}
	keys := []any{}
	for i, k := range a.Keys {
		if k != "" {
			keys = append(keys, object{"keyName": [...]string{"key1", "key2"}[i], "permissions": "FULL", "value": k})
		}
	}
	return WriteJSON(w, http.StatusOK, object{"keys": keys})
}

func (f *Facts) findStorage(r *http.Request) (*StorageAccount, error) {
	accounts, err := f.StorageAccounts(r.Context())
	if err != nil {
		return nil, err
	}
	name := r.PathValue("accountName")
	for i := range accounts {
		if strings.EqualFold(accounts[i].Name, name) {
			return &accounts[i], nil
		}
	}
	return nil, ResourceNotFound("Microsoft.Storage/storageAccounts", name, f.ResourceGroup)
}

func (f *Facts) storageBody(a *StorageAccount) any {
	return object{
		"id":   f.ID(microsoftStorage, "storageAccounts", a.Name).String(),
		"name": a.Name, "type": "Microsoft.Storage/storageAccounts", "location": f.Location,
		"kind": "StorageV2", "sku": object{"name": "Standard_LRS", "tier": "Standard"}, "tags": object{},
		"properties": object{
			"provisioningState": "Succeeded", "statusOfPrimary": "available", "primaryLocation": f.Location,
			"primaryEndpoints": object{"blob": a.BlobEndpoint},
		},
	}
}
