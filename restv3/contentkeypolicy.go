package restv3

import (
	"net/http"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

var contentKeyPolicyNoun = noun{"/contentKeyPolicies/", "/contentKeyPolicies"}

type contentKeyPolicyProperties struct {
	PolicyID     string                       `json:"policyId"`
	Created      date                         `json:"created"`
	LastModified date                         `json:"lastModified"`
	Description  string                       `json:"description,omitempty"`
	Options      []ams.ContentKeyPolicyOption `json:"options"`
}

func contentKeyPolicyOf(p *ams.ContentKeyPolicy) contentKeyPolicyProperties {
	options := append([]ams.ContentKeyPolicyOption{}, p.Options...)
	for i := range options {
		if options[i].Restricts() == ams.AddressRestriction { // v3 had no such: it says that there is one
			options[i].Restriction = []byte(`{"@odata.type":"#Microsoft.Media.ContentKeyPolicyUnknownRestriction"}`)
		}
	}
	return contentKeyPolicyProperties{p.ID, date(p.Created), date(p.LastModified), p.Description, options}
}

func contentKeyPolicyBody(acc *account.Account, p *ams.ContentKeyPolicy) *arm.Resource {
	return entity(acc, contentKeyPolicyNoun, p.Name, contentKeyPolicyOf(p), stamps{p.CreatedBy, p.LastModifiedBy, p.Created, p.LastModified})
}

// readContentKeyPolicy reads the body of a PUT or PATCH by read.
func readContentKeyPolicy(r *http.Request, read func(*http.Request, string, any) error) (in account.ContentKeyPolicyInput, err error) {
	var body struct {
		Properties struct {
			Description optional[string]             `json:"description"`
			Options     []ams.ContentKeyPolicyOption `json:"options"`
		} `json:"properties"`
	}
	if err := read(r, "ContentKeyPolicy", &body); err != nil {
		return in, err
	}
	in.Description, in.Options = body.Properties.Description.pointer(), body.Properties.Options
	return in, nil
}

func putContentKeyPolicy(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	in, err := readContentKeyPolicy(r, readModel)
	if err != nil {
		return err
	}
	p, made, err := acc.CreateOrUpdateContentKeyPolicy(r.Context(), r.PathValue("contentKeyPolicyName"), in)
	if err != nil {
		return err
	}
	return created(w, r, made, contentKeyPolicyBody(acc, p))
}

func patchContentKeyPolicy(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	in, err := readContentKeyPolicy(r, readPatch)
	if err != nil {
		return err
	}
	p, err := acc.UpdateContentKeyPolicy(r.Context(), r.PathValue("contentKeyPolicyName"), in)
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, contentKeyPolicyBody(acc, p))
}

func getContentKeyPolicy(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	p, err := acc.ContentKeyPolicy(r.Context(), r.PathValue("contentKeyPolicyName"))
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, contentKeyPolicyBody(acc, p))
}

// getContentKeyPolicySecrets answers the properties alone, without an
// envelope.
func getContentKeyPolicySecrets(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	p, err := acc.ContentKeyPolicySecrets(r.Context(), r.PathValue("contentKeyPolicyName"))
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, contentKeyPolicyOf(p))
}

func deleteContentKeyPolicy(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	existed, err := acc.DeleteContentKeyPolicy(r.Context(), r.PathValue("contentKeyPolicyName"))
	return deleted(w, existed, err)
}

func listContentKeyPolicies(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	ps, next, err := acc.ContentKeyPolicies(r.Context(), p.Query)
	if err != nil {
		return err
	}
	return writeList(w, r, p, ps, next, func(p *ams.ContentKeyPolicy) *arm.Resource { return contentKeyPolicyBody(acc, p) })
}
