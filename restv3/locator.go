package restv3

import (
	"net/http"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

type locatorProperties struct {
	AssetName          string       `json:"assetName"`
	Created            date         `json:"created"`
	StartTime          date         `json:"startTime,omitzero"`
	EndTime            date         `json:"endTime"`
	ID                 string       `json:"streamingLocatorId"`
	Policy             string       `json:"streamingPolicyName"`
	ContentKeyPolicy   string       `json:"defaultContentKeyPolicyName,omitempty"`
	ContentKeys        []contentKey `json:"contentKeys"` // without their values
	AlternativeMediaID string       `json:"alternativeMediaId,omitempty"`
	Filters            []string     `json:"filters"`
}

type contentKey struct {
	ID     string          `json:"id"`
	Type   ams.Scheme      `json:"type"`
	Label  string          `json:"labelReferenceInStreamingPolicy,omitempty"`
	Value  []byte          `json:"value,omitempty"`
	Policy string          `json:"policyName,omitempty"`
	Tracks []ams.KeyTracks `json:"tracks"`
}

func contentKeysBody(keys []*ams.ContentKey) []contentKey {
	out := []contentKey{}
	for _, k := range keys {
		out = append(out, contentKey{k.ID, k.Scheme, k.Label, k.Value, k.Policy, append([]ams.KeyTracks{}, k.Tracks...)})
	}
	return out
}

func locatorBody(acc *account.Account, l *ams.StreamingLocator, keys []*ams.ContentKey) *arm.Resource {
	p := locatorProperties{
		AssetName: l.Asset, Created: date(l.Created), StartTime: date(l.Start), EndTime: date(l.End),
		ID: l.ID, Policy: l.Policy, ContentKeyPolicy: l.ContentKeyPolicy, ContentKeys: contentKeysBody(keys),
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
			AssetName        string `json:"assetName"`
			StartTime        date   `json:"startTime"`
			EndTime          date   `json:"endTime"`
			ID               string `json:"streamingLocatorId"`
			Policy           string `json:"streamingPolicyName"`
			ContentKeyPolicy string `json:"defaultContentKeyPolicyName"`
			ContentKeys      []struct {
				ID    string `json:"id"`
				Label string `json:"labelReferenceInStreamingPolicy"`
				Value []byte `json:"value"`
			} `json:"contentKeys"`
			AlternativeMediaID string   `json:"alternativeMediaId"`
			Filters            []string `json:"filters"`
		} `json:"properties"`
	}
	if err := readModel(r, "StreamingLocator", &body); err != nil {
		return err
	}
	p := body.Properties
	var keys []account.KeyRequest
	for _, k := range p.ContentKeys {
		keys = append(keys, account.KeyRequest(k))
	}
	l, err := acc.CreateLocator(r.Context(), r.PathValue("streamingLocatorName"), account.LocatorRequest{
		ID: p.ID, Asset: p.AssetName, Policy: p.Policy, Start: p.StartTime.time(), End: p.EndTime.time(),
		AlternativeMedia: p.AlternativeMediaID, ContentKeyPolicy: p.ContentKeyPolicy,
		ContentKeys: keys, Filters: p.Filters,
	})
	if err != nil {
		return err
	}
	return writeLocator(acc, w, r, http.StatusCreated, l)
}

func writeLocator(acc *account.Account, w http.ResponseWriter, r *http.Request, status int, l *ams.StreamingLocator) error {
	keys, err := acc.KeyIDs(r.Context(), l)
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, status, locatorBody(acc, l, keys[l.ID]))
}

func getLocator(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	l, err := acc.Locator(r.Context(), r.PathValue("streamingLocatorName"))
	if err != nil {
		return err
	}
	return writeLocator(acc, w, r, http.StatusOK, l)
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
	keys, err := acc.KeyIDs(r.Context(), ls...)
	if err != nil {
		return err
	}
	return writeList(w, r, p, ls, next, func(l *ams.StreamingLocator) *arm.Resource { return locatorBody(acc, l, keys[l.ID]) })
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

func listContentKeys(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	keys, err := acc.ContentKeys(r.Context(), r.PathValue("streamingLocatorName"))
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, map[string][]contentKey{"contentKeys": contentKeysBody(keys)})
}
