package restv3

import (
	"encoding/json"
	"net/http"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

type policyProperties struct {
	Created          *date           `json:"created,omitempty"` // nil in a request
	ContentKeyPolicy string          `json:"defaultContentKeyPolicyName,omitempty"`
	Envelope         json.RawMessage `json:"envelopeEncryption,omitempty"`
	CENC             json.RawMessage `json:"commonEncryptionCenc,omitempty"`
	CBCS             json.RawMessage `json:"commonEncryptionCbcs,omitempty"`
	NoEncryption     json.RawMessage `json:"noEncryption,omitempty"`
}

func policyBody(acc *account.Account, p *ams.StreamingPolicy) (*arm.Resource, error) {
	created := date(p.Created)
	properties := policyProperties{Created: &created, ContentKeyPolicy: p.ContentKeyPolicy}
	if err := json.Unmarshal(p.Body, &properties); err != nil {
		return nil, err
	}
	return entity(acc, policyNoun, p.Name, properties, stamps{p.CreatedBy, p.CreatedBy, p.Created, p.Created}), nil
}

func putPolicy(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Properties policyProperties `json:"properties"`
	}
	if err := readModel(r, "StreamingPolicy", &body); err != nil {
		return err
	}
	p := body.Properties
	policy, err := acc.CreatePolicy(r.Context(), r.PathValue("streamingPolicyName"), p.ContentKeyPolicy, ams.PolicyBody(map[ams.Scheme]json.RawMessage{
		ams.NoEncryption: p.NoEncryption, ams.Envelope: p.Envelope, ams.CENC: p.CENC, ams.CBCS: p.CBCS,
	}))
	if err != nil {
		return err
	}
	return writePolicy(acc, w, r, http.StatusCreated, policy)
}

func writePolicy(acc *account.Account, w http.ResponseWriter, r *http.Request, status int, p *ams.StreamingPolicy) error {
	res, err := policyBody(acc, p)
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, status, res)
}

func getPolicy(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	p, err := acc.Policy(r.Context(), r.PathValue("streamingPolicyName"))
	if err != nil {
		return err
	}
	return writePolicy(acc, w, r, http.StatusOK, p)
}

func deletePolicy(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	existed, err := acc.DeletePolicy(r.Context(), r.PathValue("streamingPolicyName"))
	return deleted(w, existed, err)
}

func listPolicies(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	ps, next, err := acc.Policies(r.Context(), p.Query)
	if err != nil {
		return err
	}
	bodies := make([]*arm.Resource, len(ps))
	for i := range ps {
		if bodies[i], err = policyBody(acc, ps[i]); err != nil {
			return err
		}
	}
	return writeList(w, r, p, bodies, next, func(res *arm.Resource) *arm.Resource { return res })
}
