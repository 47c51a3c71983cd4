package restv3

import (
	"encoding/json"
	"net/http"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

type enabledProtocols struct {
	Download        bool `json:"download"`
	Dash            bool `json:"dash"`
	HLS             bool `json:"hls"`
	SmoothStreaming bool `json:"smoothStreaming"`
}

type encryption struct {
	EnabledProtocols *enabledProtocols `json:"enabledProtocols,omitempty"`
	ClearTracks      []any             `json:"clearTracks,omitempty"`
	ContentKeys      any               `json:"contentKeys,omitempty"`
	DRM              any               `json:"drm,omitempty"`
}

type policyProperties struct {
	Created          date        `json:"created"`
	ContentKeyPolicy string      `json:"defaultContentKeyPolicyName,omitempty"`
	Envelope         *encryption `json:"envelopeEncryption,omitempty"`
	CENC             *encryption `json:"commonEncryptionCenc,omitempty"`
	CBCS             *encryption `json:"commonEncryptionCbcs,omitempty"`
	NoEncryption     *encryption `json:"noEncryption,omitempty"`
}

func policyBody(acc *account.Account, p *ams.StreamingPolicy) *arm.Resource {
	of := func(s ams.Scheme, drm any) *encryption {
		if _, ok := p.Protocols[s]; !ok {
			return nil
		}
		e := &encryption{DRM: drm, EnabledProtocols: &enabledProtocols{
			Download: p.Allows(s, ams.Download), Dash: p.Allows(s, ams.DASH),
			HLS: p.Allows(s, ams.HLS), SmoothStreaming: p.Allows(s, ams.SmoothStreaming),
		}}
		if s != ams.NoEncryption {
			e.ContentKeys = map[string]any{"keyToTrackMappings": []any{}}
		}
		return e
	}
	type none struct{}
	return entity(acc, policyNoun, p.Name, policyProperties{
		Created: date(p.Created), ContentKeyPolicy: p.ContentKeyPolicy,
		NoEncryption: of(ams.NoEncryption, nil), Envelope: of(ams.Envelope, nil),
		CENC: of(ams.CENC, map[string]any{"playReady": none{}, "widevine": none{}}),
		CBCS: of(ams.CBCS, map[string]any{"fairPlay": map[string]any{"allowPersistentLicense": false}}),
	}, stamps{p.CreatedBy, p.CreatedBy, p.Created, p.Created})
}

func putPolicy(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Properties struct {
			ContentKeyPolicy string          `json:"defaultContentKeyPolicyName"`
			Envelope         json.RawMessage `json:"envelopeEncryption"`
			CENC             json.RawMessage `json:"commonEncryptionCenc"`
			CBCS             json.RawMessage `json:"commonEncryptionCbcs"`
			NoEncryption     *struct {
				EnabledProtocols *enabledProtocols `json:"enabledProtocols"`
			} `json:"noEncryption"`
		} `json:"properties"`
	}
	if err := arm.ReadJSON(r, &body); err != nil {
		return err
	}
	p := body.Properties
	for _, e := range []struct {
		name string
		raw  json.RawMessage
	}{{"envelopeEncryption", p.Envelope}, {"commonEncryptionCenc", p.CENC}, {"commonEncryptionCbcs", p.CBCS}} {
		if given(e.raw) {
			return &ams.Error{Code: ams.Unsupported, Target: "properties." + e.name,
				Msg: "Streaming policies with encryption need content keys, which are not supported yet: only noEncryption is."}
		}
	}
	if p.ContentKeyPolicy != "" {
		return &ams.Error{Code: ams.Unsupported, Target: "properties.defaultContentKeyPolicyName", Msg: "Content key policies are not supported yet."}
	}
	if p.NoEncryption == nil || p.NoEncryption.EnabledProtocols == nil {
		return ams.Invalidf("properties.noEncryption", "The streaming policy enables no protocol: noEncryption.enabledProtocols is missing.")
	}
	e := p.NoEncryption.EnabledProtocols
	protocols := []ams.Protocol{}
	for _, q := range []struct {
		on       bool
		protocol ams.Protocol
	}{{e.Download, ams.Download}, {e.Dash, ams.DASH}, {e.HLS, ams.HLS}, {e.SmoothStreaming, ams.SmoothStreaming}} {
		if q.on {
			protocols = append(protocols, q.protocol)
		}
	}
	policy, err := acc.CreatePolicy(r.Context(), r.PathValue("streamingPolicyName"), map[ams.Scheme][]ams.Protocol{ams.NoEncryption: protocols})
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusCreated, policyBody(acc, policy))
}

func getPolicy(acc *account.Account, w http.ResponseWriter, r *http.Request) error {
	p, err := acc.Policy(r.Context(), r.PathValue("streamingPolicyName"))
	if err != nil {
		return err
	}
	return arm.WriteResource(w, r, http.StatusOK, policyBody(acc, p))
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
	return writeList(w, r, p, ps, next, func(p *ams.StreamingPolicy) *arm.Resource { return policyBody(acc, p) })
}
