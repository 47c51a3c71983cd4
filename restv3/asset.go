package restv3

import (
	"net/http"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

type assetProperties struct {
	AssetID                 string `json:"assetId"`
	Created                 date   `json:"created"`
	LastModified            date   `json:"lastModified"`
	AlternateID             string `json:"alternateId,omitempty"`
	Description             string `json:"description,omitempty"`
	Container               string `json:"container"`
	StorageAccountName      string `json:"storageAccountName"`
	StorageEncryptionFormat string `json:"storageEncryptionFormat"`
}

func assetBody(acc *account.Account, a *ams.Asset) *arm.Resource {
	return entity(acc, assetNoun, a.Name, assetProperties{
		AssetID: a.ID, Created: date(a.Created), LastModified: date(a.LastModified),
		AlternateID: a.AlternateID, Description: a.Description,
		Container: a.Container, StorageAccountName: a.StorageAccount, StorageEncryptionFormat: string(a.Format),
	}, stamps{a.CreatedBy, a.LastModifiedBy, a.Created, a.LastModified})
}

// readAsset reads the body of a PUT or PATCH by readModel or readPatch.
func readAsset(r *http.Request, read func(*http.Request, string, any) error) (account.AssetInput, error) {
	var body struct {
		Properties struct {
			AlternateID        optional[string] `json:"alternateId"`
			Description        optional[string] `json:"description"`
			Container          string           `json:"container"`
			StorageAccountName string           `json:"storageAccountName"`
		} `json:"properties"`
	}
	if err := read(r, "Asset", &body); err != nil {
		return account.AssetInput{}, err
	}
	p := body.Properties
	return account.AssetInput{
		AlternateID: p.AlternateID.pointer(), Description: p.Description.pointer(),
		Container: p.Container, StorageAccount: p.StorageAccountName,
	}, nil
}

func putAsset(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	in, err := readAsset(r, readModel)
	if err != nil {
		return err
	}
	a, made, err := acc.CreateOrUpdateAsset(r.Context(), r.PathValue("assetName"), in)
	if err != nil {
		return err
	}
	return created(w, r, made, assetBody(acc, a))
}

func getAsset(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	a, err := acc.Asset(r.Context(), r.PathValue("assetName"))
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, assetBody(acc, a))
}

func patchAsset(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	in, err := readAsset(r, readPatch)
	if err != nil {
		return err
	}
	a, err := acc.UpdateAsset(r.Context(), r.PathValue("assetName"), in)
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, assetBody(acc, a))
}

func deleteAsset(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	existed, err := acc.DeleteAsset(r.Context(), r.PathValue("assetName"))
	return deleted(w, existed, err)
}

func listAssets(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	assets, next, err := acc.Assets(r.Context(), p.Query)
	if err != nil {
		return err
	}
	return writeList(w, r, p, assets, next, func(a *ams.Asset) *arm.Resource { return assetBody(acc, a) })
}

func listContainerSas(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Permissions account.ContainerPermission `json:"permissions"`
		ExpiryTime  date                        `json:"expiryTime"`
	}
	if err := readModel(r, "ListContainerSasInput", &body); err != nil {
		return err
	}
	urls, err := acc.ContainerSAS(r.Context(), r.PathValue("assetName"), body.Permissions, body.ExpiryTime.time())
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, map[string][]string{"assetContainerSasUrls": urls})
}

func getEncryptionKey(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	key, files, err := acc.EncryptionKey(r.Context(), r.PathValue("assetName"))
	if err != nil {
		return err
	}
	type file struct {
		IV   string `json:"initializationVector"`
		Name string `json:"assetFileName"`
		ID   string `json:"assetFileId"`
	}
	body := struct {
		Key   []byte `json:"key"`
		Files []file `json:"assetFileEncryptionMetadata"`
	}{key, []file{}}
	for _, f := range files {
		body.Files = append(body.Files, file{f.InitializationVector, f.Name, f.ID})
	}
	return arm.WriteJSON(w, http.StatusOK, body)
}

// assetLocator is a locator as listStreamingLocators shows it.
type assetLocator struct {
	Name             string `json:"name"`
	AssetName        string `json:"assetName"`
	Created          date   `json:"created"`
	StartTime        date   `json:"startTime,omitzero"`
	EndTime          date   `json:"endTime"`
	ID               string `json:"streamingLocatorId"`
	Policy           string `json:"streamingPolicyName"`
	ContentKeyPolicy string `json:"defaultContentKeyPolicyName,omitempty"`
}

func listAssetLocators(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	locators, err := acc.AssetLocators(r.Context(), r.PathValue("assetName"))
	if err != nil {
		return err
	}
	out := make([]assetLocator, len(locators))
	for i, l := range locators {
		out[i] = assetLocator{
			Name: l.Name, AssetName: l.Asset, Created: date(l.Created), StartTime: date(l.Start), EndTime: date(l.End),
			ID: l.ID, Policy: l.Policy, ContentKeyPolicy: l.ContentKeyPolicy,
		}
	}
	return arm.WriteJSON(w, http.StatusOK, map[string][]assetLocator{"streamingLocators": out})
}
