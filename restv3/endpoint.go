package restv3

import (
	"context"
	"net/http"
	"net/url"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

// endpointProperties has explicit nulls and empty arrays, unlike the other
// resources (recorded). The pointers that are always nil are settings that
// this server does not have.
type endpointProperties struct {
	Description             *string  `json:"description"`
	ScaleUnits              int      `json:"scaleUnits"`
	AvailabilitySetName     *string  `json:"availabilitySetName"`
	AccessControl           *string  `json:"accessControl"`
	MaxCacheAge             *int     `json:"maxCacheAge"`
	CustomHostNames         []string `json:"customHostNames"`
	HostName                string   `json:"hostName"`
	CDNEnabled              bool     `json:"cdnEnabled"`
	CDNProvider             *string  `json:"cdnProvider"`
	CDNProfile              *string  `json:"cdnProfile"`
	ProvisioningState       string   `json:"provisioningState"`
	ResourceState           string   `json:"resourceState"`
	CrossSiteAccessPolicies *string  `json:"crossSiteAccessPolicies"`
	FreeTrialEndTime        date     `json:"freeTrialEndTime"` // year 1: none
	Created                 date     `json:"created"`
	LastModified            date     `json:"lastModified"`
}

func endpointBody(acc *account.Account, e *ams.StreamingEndpoint, version string) *arm.Resource {
	p := endpointProperties{
		ScaleUnits: e.ScaleUnits, CustomHostNames: []string{}, HostName: e.HostName,
		ProvisioningState: "Succeeded", ResourceState: string(e.State),
		Created: date(e.Created), LastModified: date(e.LastModified),
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

func getEndpoint(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	e, err := acc.Endpoint(r.Context(), r.PathValue("streamingEndpointName"))
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, endpointBody(acc, e, arm.Version(r)))
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
		return endpointBody(acc, e, arm.Version(r))
	})
}

func startEndpoint(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	return switchEndpoint(acc, w, r, acc.StartEndpoint)
}

func stopEndpoint(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	return switchEndpoint(acc, w, r, acc.StopEndpoint)
}

// switchEndpoint begins a long-running operation: 202 without a body, and
// where to ask how it goes.
func switchEndpoint(acc *account.Account, w http.ResponseWriter, r *http.Request, begin func(context.Context, string) (*ams.Operation, error)) error {
	name := r.PathValue("streamingEndpointName")
	op, err := begin(r.Context(), name)
	if err != nil {
		return err
	}
	endpointOperation(acc, name, op, r).SetHeaders(w.Header(), r)
	return arm.WriteEmpty(w, http.StatusAccepted)
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
	op, err := acc.Operation(r.Context(), r.PathValue("operationId"))
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
	o := endpointOperation(acc, "", op, r)
	if op.Status == ams.OperationInProgress {
		o.SetHeaders(w.Header(), r)
	} else {
		w.Header().Set("Azure-AsyncOperation", o.Status)
	}
	return arm.WriteJSON(w, http.StatusOK, body)
}

// getEndpointResult is the poll of Location: 202 until the operation ends,
// then the endpoint.
func getEndpointResult(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	op, err := acc.Operation(r.Context(), r.PathValue("operationId"))
	if err != nil {
		return err
	}
	if op.Status == ams.OperationInProgress {
		endpointOperation(acc, r.PathValue("streamingEndpointName"), op, r).SetHeaders(w.Header(), r)
		return arm.WriteEmpty(w, http.StatusAccepted)
	}
	return getEndpoint(acc, w, r)
}
