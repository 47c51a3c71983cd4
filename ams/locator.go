package ams

import (
	"encoding/json"
	"time"
)

// Never is the end of a locator that does not expire: the last instant that
// the .NET clients of AMS could write.
var Never = time.Date(9999, 12, 31, 23, 59, 59, 999999900, time.UTC)

// A StreamingLocator publishes an asset under the path /{ID}/… of every
// running streaming endpoint. Locators are immutable.
type StreamingLocator struct {
	Account          string // Account.ID
	Name             string
	ID               string    // guid, lower case: first segment of the streaming path in v2 and v3
	Asset            string    // asset name
	Policy           string    // streaming policy name
	Start            time.Time // zero: no start
	End              time.Time // Never: no end
	AlternativeMedia string
	ContentKeyPolicy string // defaultContentKeyPolicyName
	Filters          []string
	Created          time.Time
	CreatedBy        string
}

// Active reports whether the locator serves at the instant now.
func (l *StreamingLocator) Active(now time.Time) bool {
	return !now.Before(l.Start) && now.Before(l.End)
}

// A Protocol is a family of manifests, or progressive download.
type Protocol string

// The protocols of streaming policies and paths.
const (
	Download        Protocol = "Download"
	DASH            Protocol = "Dash"
	HLS             Protocol = "Hls"
	SmoothStreaming Protocol = "SmoothStreaming"
)

// A Scheme is how the samples of a stream are protected.
type Scheme string

// The encryption schemes of v3 listPaths.
const (
	NoEncryption Scheme = "NoEncryption"
	Envelope     Scheme = "EnvelopeEncryption"
	CENC         Scheme = "CommonEncryptionCenc"
	CBCS         Scheme = "CommonEncryptionCbcs"
)

// A StreamingPolicy says which protocols a locator serves under which
// protection. Policies are immutable; the predefined ones exist in every
// account and cannot be deleted.
type StreamingPolicy struct {
	Account          string // Account.ID; empty for a predefined policy
	Name             string
	ContentKeyPolicy string                // defaultContentKeyPolicyName
	Protocols        map[Scheme][]Protocol // a scheme that is absent is not offered
	Body             json.RawMessage       // {"noEncryption": …, "envelopeEncryption": …, …} in the v3 spelling; Encryption reads it
	Created          time.Time
	CreatedBy        string
}

// Allows reports whether the policy serves protocol p under scheme s.
func (p *StreamingPolicy) Allows(s Scheme, proto Protocol) bool {
	for _, q := range p.Protocols[s] {
		if q == proto {
			return true
		}
	}
	return false
}

// NeedsKeys reports whether locators of this policy carry content keys.
func (p *StreamingPolicy) NeedsKeys() bool {
	return len(p.Protocols[Envelope])+len(p.Protocols[CENC])+len(p.Protocols[CBCS]) > 0
}

// PredefinedPolicies are the streaming policies that every account has
// (documented), with the labels that the samples use for their keys.
func PredefinedPolicies() []*StreamingPolicy {
	// AMS reports the launch of its v3 service as their creation.
	created := time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)
	const (
		on       = `"dash":true,"hls":true,"smoothStreaming":true`
		clear    = `{"enabledProtocols":{"download":false,` + on + `}}`
		download = `{"enabledProtocols":{"download":true,"dash":false,"hls":false,"smoothStreaming":false}}`
		both     = `{"enabledProtocols":{"download":true,` + on + `}}`
		envelope = `{"enabledProtocols":{"download":false,` + on + `},"contentKeys":{"defaultKey":{"label":"clearKeyDefault"},"keyToTrackMappings":[]}}`
		cenc     = `{"enabledProtocols":{"download":false,"dash":true,"hls":false,"smoothStreaming":true},"contentKeys":{"defaultKey":{"label":"cencDefaultKey"},"keyToTrackMappings":[]},"drm":{"playReady":{},"widevine":{}}}`
		cbcs     = `{"enabledProtocols":{"download":false,"dash":false,"hls":true,"smoothStreaming":false},"contentKeys":{"defaultKey":{"label":"cbcsDefaultKey"},"keyToTrackMappings":[]},"drm":{"fairPlay":{"allowPersistentLicense":false}}}`
	)
	p := func(name string, encryptions map[Scheme]json.RawMessage) *StreamingPolicy {
		p := &StreamingPolicy{Name: name, Body: PolicyBody(encryptions), Created: created}
		if err := p.Validate(); err != nil {
			panic(err) // a test calls this
		}
		return p
	}
	return []*StreamingPolicy{
		p("Predefined_ClearKey", map[Scheme]json.RawMessage{Envelope: []byte(envelope)}),
		p("Predefined_ClearStreamingOnly", map[Scheme]json.RawMessage{NoEncryption: []byte(clear)}),
		p("Predefined_DownloadAndClearStreaming", map[Scheme]json.RawMessage{NoEncryption: []byte(both)}),
		p("Predefined_DownloadOnly", map[Scheme]json.RawMessage{NoEncryption: []byte(download)}),
		p("Predefined_MultiDrmCencStreaming", map[Scheme]json.RawMessage{Envelope: []byte(envelope), CENC: []byte(cenc)}),
		p("Predefined_MultiDrmStreaming", map[Scheme]json.RawMessage{Envelope: []byte(envelope), CENC: []byte(cenc), CBCS: []byte(cbcs)}),
	}
}
