package restv3

import (
	"encoding/json"
	"net/http"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

type locatorProperties struct {
	AssetName          string   `json:"assetName"`
	Created            date     `json:"created"`
	StartTime          date     `json:"startTime,omitzero"`
	EndTime            date     `json:"endTime"`
	ID                 string   `json:"streamingLocatorId"`
	Policy             string   `json:"streamingPolicyName"`
	ContentKeyPolicy   string   `json:"defaultContentKeyPolicyName,omitempty"`
	ContentKeys        []string `json:"contentKeys"` // always empty: see account.CreateLocator
	AlternativeMediaID string   `json:"alternativeMediaId,omitempty"`
	Filters            []string `json:"filters"`
}

func locatorBody(acc *account.Account, l *ams.StreamingLocator) *arm.Resource {
	p := locatorProperties{
		AssetName: l.Asset, Created: date(l.Created), StartTime: date(l.Start), EndTime: date(l.End),
		ID: l.ID, Policy: l.Policy, ContentKeyPolicy: l.ContentKeyPolicy, ContentKeys: []string{},
		AlternativeMediaID: l.AlternativeMedia, Filters: l.Filters,
	}
	if p.Filters == nil {
		p.Filters = []string{}
	}
	return entity(acc, locatorNoun, l.Name, p, stamps{l.CreatedBy, l.CreatedBy, l.Created, l.Created})
}

func putLocator(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Properties struct {
			AssetName          string            `json:"assetName"`
			StartTime          date              `json:"startTime"`
			EndTime            date              `json:"endTime"`
			ID                 string            `json:"streamingLocatorId"`
			Policy             string            `json:"streamingPolicyName"`
			ContentKeyPolicy   string            `json:"defaultContentKeyPolicyName"`
			ContentKeys        []json.RawMessage `json:"contentKeys"`
			AlternativeMediaID string            `json:"alternativeMediaId"`
			Filters            []string          `json:"filters"`
		} `json:"properties"`
	}
	if err := arm.ReadJSON(r, &body); err != nil {
		return err
	}
	p := body.Properties
	l, err := acc.CreateLocator(r.Context(), r.PathValue("streamingLocatorName"), account.LocatorRequest{
		ID: p.ID, Asset: p.AssetName, Policy: p.Policy, Start: p.StartTime.time(), End: p.EndTime.time(),
		AlternativeMedia: p.AlternativeMediaID, ContentKeyPolicy: p.ContentKeyPolicy,
		ContentKeys: len(p.ContentKeys), Filters: p.Filters,
	})
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusCreated, locatorBody(acc, l))
}

func getLocator(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	l, err := acc.Locator(r.Context(), r.PathValue("streamingLocatorName"))
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, locatorBody(acc, l))
}

func deleteLocator(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	existed, err := acc.DeleteLocator(r.Context(), r.PathValue("streamingLocatorName"))
	return deleted(w, existed, err)
}

func listLocators(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	ls, next, err := acc.Locators(r.Context(), p.Query)
	if err != nil {
		return err
	}
	return writeList(w, r, p, ls, next, func(l *ams.StreamingLocator) *arm.Resource { return locatorBody(acc, l) })
}

type streamingPath struct {
	Protocol ams.Protocol `json:"streamingProtocol"`
	Scheme   ams.Scheme   `json:"encryptionScheme"`
	Paths    []string     `json:"paths"`
}

func listPaths(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	paths, err := acc.Paths(r.Context(), r.PathValue("streamingLocatorName"))
	if err != nil {
		return err
	}
	body := struct {
		StreamingPaths []streamingPath `json:"streamingPaths"`
		DownloadPaths  []string        `json:"downloadPaths"`
	}{[]streamingPath{}, append([]string{}, paths.Download...)}
	for _, p := range paths.Streaming {
		body.StreamingPaths = append(body.StreamingPaths, streamingPath(p))
	}
	return arm.WriteJSON(w, http.StatusOK, body)
}

// listContentKeys answers for locators that have none.
func listContentKeys(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	if _, err := acc.Locator(r.Context(), r.PathValue("streamingLocatorName")); err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, map[string][]string{"contentKeys": {}})
}
