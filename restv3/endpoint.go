package restv3

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

// endpointProperties has explicit nulls and empty arrays, unlike the other
// resources (recorded).
type endpointProperties struct {
	Description             *string             `json:"description"`
	ScaleUnits              int                 `json:"scaleUnits"`
	AvailabilitySetName     *string             `json:"availabilitySetName"`
	AccessControl           *ams.EndpointAccess `json:"accessControl"`
	MaxCacheAge             *int64              `json:"maxCacheAge"`
	CustomHostNames         []string            `json:"customHostNames"`
	HostName                string              `json:"hostName"`
	CDNEnabled              bool                `json:"cdnEnabled"`
	CDNProvider             *string             `json:"cdnProvider"`
	CDNProfile              *string             `json:"cdnProfile"`
	ProvisioningState       string              `json:"provisioningState"`
	ResourceState           string              `json:"resourceState"`
	CrossSiteAccessPolicies *ams.CrossSite      `json:"crossSiteAccessPolicies"`
	FreeTrialEndTime        date                `json:"freeTrialEndTime"` // year 1: none
	Created                 date                `json:"created"`
	LastModified            date                `json:"lastModified"`
}

// endpointBody is an endpoint; op is the operation that the answer announces,
// nil for none.
func endpointBody(r *http.Request, acc *account.Account, e *ams.StreamingEndpoint, op *ams.Operation) *arm.Resource {
	s, version := e.Settings, arm.Version(r)
	p := endpointProperties{
		ScaleUnits: e.ScaleUnits, AvailabilitySetName: s.AvailabilitySet, AccessControl: accessFor(r, acc, s.Access),
		MaxCacheAge: s.MaxCacheAge, CustomHostNames: s.CustomHosts, HostName: e.HostName,
		CDNEnabled: s.CDNEnabled, CDNProvider: s.CDNProvider, CDNProfile: s.CDNProfile,
		ProvisioningState: arm.Succeeded, ResourceState: string(e.State), CrossSiteAccessPolicies: s.CrossSite,
		Created: date(e.Created), LastModified: date(e.LastModified),
	}
	if op != nil && op.Status == ams.OperationInProgress || !e.State.Settled() {
		p.ProvisioningState = arm.InProgress
	}
	if p.CustomHostNames == nil {
		p.CustomHostNames = []string{}
	}
	if e.Description != "" {
		p.Description = &e.Description
	}
	res := entity(acc, endpointNoun, e.Name, p, stamps{e.CreatedBy, e.LastModifiedBy, e.Created, e.LastModified})
	res.Location, res.Tags = e.Location, e.Tags
	if arm.AtLeast(version, "2021-11-01") {
		sku := struct {
			Name     string `json:"name"`
			Capacity int    `json:"capacity"`
		}{"Standard", e.ScaleUnits}
		if e.ScaleUnits > 0 {
			sku.Name = "Premium"
		}
		res.SKU = sku
	}
	return res
}

// accessFor is a as the caller may see it: the keys shared with Akamai are for
// those who may change them. (AMS showed them to every Reader.)
func accessFor(r *http.Request, acc *account.Account, a *ams.EndpointAccess) *ams.EndpointAccess {
	if a == nil || a.Akamai == nil || arm.Authorize(r.Context(), "Microsoft.Media/mediaServices/streamingEndpoints/write", idOf(acc)) == nil {
		return a
	}
	shown := ams.EndpointAccess{IP: a.IP, Akamai: &ams.AkamaiAccess{Keys: []ams.AkamaiKey{}}}
	for _, k := range a.Akamai.Keys {
		k.Key = ""
		shown.Akamai.Keys = append(shown.Akamai.Keys, k)
	}
	return &shown
}

// endpointWrite is the body of a PUT or PATCH.
type endpointWrite struct {
	Location string                      `json:"location"`
	Tags     optional[map[string]string] `json:"tags"`
	SKU      struct {
		Capacity int `json:"capacity"`
	} `json:"sku"`
	Properties struct {
		Description  optional[string]              `json:"description"`
		ScaleUnits   *int                          `json:"scaleUnits"`
		Availability optional[*string]             `json:"availabilitySetName"`
		Access       optional[*ams.EndpointAccess] `json:"accessControl"`
		MaxCacheAge  optional[*int64]              `json:"maxCacheAge"`
		CustomHosts  optional[[]string]            `json:"customHostNames"`
		CDNEnabled   optional[bool]                `json:"cdnEnabled"`
		CDNProvider  optional[*string]             `json:"cdnProvider"`
		CDNProfile   optional[*string]             `json:"cdnProfile"`
		CrossSite    optional[*ams.CrossSite]      `json:"crossSiteAccessPolicies"`
	} `json:"properties"`
}

// apply writes what the body gives into e.
func (b *endpointWrite) apply(e *ams.StreamingEndpoint) error {
	p, s := &b.Properties, &e.Settings
	if b.Location != "" {
		e.Location = b.Location
	}
	b.Tags.into(&e.Tags)
	p.Description.into(&e.Description)
	if p.ScaleUnits != nil {
		e.ScaleUnits = *p.ScaleUnits
	}
	p.Availability.into(&s.AvailabilitySet)
	p.Access.into(&s.Access)
	p.MaxCacheAge.into(&s.MaxCacheAge)
	p.CustomHosts.into(&s.CustomHosts)
	p.CDNEnabled.into(&s.CDNEnabled)
	p.CDNProvider.into(&s.CDNProvider)
	p.CDNProfile.into(&s.CDNProfile)
	p.CrossSite.into(&s.CrossSite)
	return nil
}

func putEndpoint(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body endpointWrite
	if err := readModel(r, "StreamingEndpoint", &body); err != nil {
		return err
	}
	e := ams.StreamingEndpoint{Name: r.PathValue("streamingEndpointName")}
	// Capacity was also shown in megabits: only what can be scale units is.
	if n := body.SKU.Capacity; body.Properties.ScaleUnits == nil && n > 0 && n <= 10 {
		e.ScaleUnits = n
	}
	if err := body.apply(&e); err != nil {
		return err
	}
	made, op, isNew, err := acc.CreateEndpoint(r.Context(), e, strings.EqualFold(arm.Query(r, "autoStart"), "true"))
	if err != nil {
		return err
	}
	endpointOperation(acc, made.Name, op, r).SetHeaders(w.Header(), r)
	return created(w, r, isNew, endpointBody(r, acc, made, op))
}

func patchEndpoint(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body endpointWrite
	if err := readPatch(r, "StreamingEndpoint", &body); err != nil {
		return err
	}
	e, op, err := acc.UpdateEndpoint(r.Context(), r.PathValue("streamingEndpointName"), body.apply)
	if err != nil {
		return err
	}
	endpointOperation(acc, e.Name, op, r).SetHeaders(w.Header(), r)
	return arm.WriteResource(w, r, http.StatusAccepted, endpointBody(r, acc, e, op))
}

func deleteEndpoint(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	op, err := acc.DeleteEndpoint(r.Context(), r.PathValue("streamingEndpointName"))
	return endpointAccepted(acc, w, r, op, err)
}

func startEndpoint(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	op, err := acc.StartEndpoint(r.Context(), r.PathValue("streamingEndpointName"))
	return endpointAccepted(acc, w, r, op, err)
}

func stopEndpoint(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	op, err := acc.StopEndpoint(r.Context(), r.PathValue("streamingEndpointName"))
	return endpointAccepted(acc, w, r, op, err)
}

func scaleEndpoint(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		ScaleUnit *int `json:"scaleUnit"`
	}
	if err := readModel(r, "StreamingEntityScaleUnit", &body); err != nil {
		return err
	}
	if body.ScaleUnit == nil {
		return ams.Invalidf("scaleUnit", "scaleUnit is missing.")
	}
	op, err := acc.ScaleEndpoint(r.Context(), r.PathValue("streamingEndpointName"), *body.ScaleUnit)
	return endpointAccepted(acc, w, r, op, err)
}

// endpointAccepted answers that a long-running operation has begun: 202
// without a body, and where to ask how it goes. Without one there was nothing
// to delete.
func endpointAccepted(acc *account.Account, w http.ResponseWriter, r *http.Request, op *ams.Operation, err error) error {
	if err != nil {
		return err
	}
	if op == nil {
		return arm.WriteEmpty(w, http.StatusNoContent)
	}
	endpointOperation(acc, r.PathValue("streamingEndpointName"), op, r).SetHeaders(w.Header(), r)
	return arm.WriteEmpty(w, http.StatusAccepted)
}

func getEndpoint(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	e, err := acc.Endpoint(r.Context(), r.PathValue("streamingEndpointName"))
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, endpointBody(r, acc, e, nil))
}

func listEndpoints(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	es, next, err := acc.Endpoints(r.Context(), p.Query)
	if err != nil {
		return err
	}
	return writeList(w, r, p, es, next, func(e *ams.StreamingEndpoint) *arm.Resource {
		return endpointBody(r, acc, e, nil)
	})
}

// listEndpointSKUs says what an endpoint may be scaled to (inferred from the
// examples of the specification).
func (a *api) listEndpointSKUs(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	if _, err := acc.Endpoint(r.Context(), r.PathValue("streamingEndpointName")); err != nil {
		return err
	}
	type named struct {
		Name string `json:"name"`
	}
	type capacity struct {
		ScaleType string `json:"scaleType"`
		Default   int    `json:"default"`
		Minimum   int    `json:"minimum"`
		Maximum   int    `json:"maximum"`
	}
	type sku struct {
		ResourceType string   `json:"resourceType"`
		Capacity     capacity `json:"capacity"`
		SKU          named    `json:"sku"`
	}
	const typ = "Microsoft.Media/mediaservices/streamingEndpoints"
	return arm.WriteARMList(w, []sku{
		{typ, capacity{"None", 0, 0, 0}, named{"Standard"}},
		{typ, capacity{"Manual", 1, 1, a.accounts.Limits.ScaleUnits}, named{"Premium"}},
	})
}

// endpointOperation is where clients poll an operation of an endpoint.
func endpointOperation(acc *account.Account, endpoint string, op *ams.Operation, r *http.Request) arm.Operation {
	query := "?api-version=" + url.QueryEscape(arm.Version(r))
	o := arm.Operation{Status: idOf(acc) + "/" + op.Kind + "/" + op.ID + query}
	if endpoint != "" {
		o.Location = idOf(acc) + "/streamingendpoints/" + url.PathEscape(endpoint) + "/operationlocations/" + op.ID + query
	}
	return o
}

// getEndpointOperation is the poll of Azure-AsyncOperation. The error of code
// None is what AMS answered while there was no error (recorded).
func getEndpointOperation(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	op, err := acc.Operation(r.Context(), account.EndpointOperations, r.PathValue("operationId"))
	if err != nil {
		return err
	}
	type fault struct {
		Code    string  `json:"code"`
		Message *string `json:"message"`
		Target  string  `json:"target"`
	}
	body := struct {
		Name   string              `json:"name"`
		Status ams.OperationStatus `json:"status"`
		Error  fault               `json:"error"`
	}{op.ID, op.Status, fault{Code: "None", Target: idOf(acc)}}
	if op.Status == ams.OperationFailed {
		body.Error.Code, body.Error.Message = op.Code, &op.Message
	}
	endpointOperation(acc, "", op, r).SetHeaders(w.Header(), r)
	return arm.WriteJSON(w, http.StatusOK, body)
}

// getEndpointResult is the poll of Location: 202 until the operation ends,
// then the endpoint, or 204 when it was deleted.
func getEndpointResult(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	op, err := acc.Operation(r.Context(), account.EndpointOperations, r.PathValue("operationId"))
	if err != nil {
		return err
	}
	if op.Status == ams.OperationInProgress {
		endpointOperation(acc, r.PathValue("streamingEndpointName"), op, r).SetHeaders(w.Header(), r)
		return arm.WriteEmpty(w, http.StatusAccepted)
	}
	if op.Goal == ams.OperationDeletes {
		return arm.WriteEmpty(w, http.StatusNoContent)
	}
	return getEndpoint(acc, w, r)
}
