package ams

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// A ContentKey encrypts what a locator streams under one scheme, or the
// tracks of it that Tracks selects. Keys live and die with their locator.
type ContentKey struct {
	Account string // Account.ID
	Locator string // StreamingLocator.ID
	ID      string // guid, lower case: the key id (kid). Locators of one account may share a key
	Scheme  Scheme
	Label   string // that the streaming policy calls it by
	Policy  string // content key policy that it is delivered by; empty: this server delivers it to nobody
	Value   []byte // 16 bytes
	IV      []byte // 16 bytes: the vector of Envelope and CBCS that a delivery policy sets; nil: derived from the key
	Given   bool   // by the client, not generated
	Tracks  []KeyTracks
}

// ContentKeySize is the size of a content key in bytes: AES-128.
const ContentKeySize = 16

// Encryption is how a streaming policy protects under one scheme: a member of
// StreamingPolicy.Body, read.
type Encryption struct {
	Protocols   *EnabledProtocols `json:"enabledProtocols"`
	ClearTracks []KeyTracks       `json:"clearTracks"`
	ContentKeys struct {
		Default  *PolicyKey  `json:"defaultKey"`
		Mappings []PolicyKey `json:"keyToTrackMappings"`
	} `json:"contentKeys"`
	KeyURL string `json:"customKeyAcquisitionUrlTemplate"` // of the envelope scheme
	DRM    struct {
		PlayReady *DRM `json:"playReady"`
		Widevine  *DRM `json:"widevine"`
		FairPlay  *DRM `json:"fairPlay"`
	} `json:"drm"`
	ClearKey *struct {
		URL string `json:"customKeysAcquisitionUrlTemplate"`
	} `json:"clearKeyEncryptionConfiguration"`
}

// EnabledProtocols are the protocols of one scheme.
type EnabledProtocols struct {
	Download        bool `json:"download"`
	DASH            bool `json:"dash"`
	HLS             bool `json:"hls"`
	SmoothStreaming bool `json:"smoothStreaming"`
}

// A DRM is how one DRM system is signalled. URL is the template of a licence
// server other than this one: {ContentKeyId} and {AlternativeMediaId} in it
// are replaced (documented).
type DRM struct {
	URL              string `json:"customLicenseAcquisitionUrlTemplate"`
	CustomAttributes string `json:"playReadyCustomAttributes"`
	Persistent       bool   `json:"allowPersistentLicense"` // FairPlay
}

// A PolicyKey is a place for a content key in a streaming policy.
type PolicyKey struct {
	Label  string      `json:"label"`
	Policy string      `json:"policyName"` // content key policy; empty: the locator's
	Tracks []KeyTracks `json:"tracks"`
}

// KeyTracks select the tracks that meet all its conditions.
type KeyTracks struct {
	Conditions []TrackCondition `json:"trackSelections"`
}

// A TrackCondition is met by tracks whose property has the value.
type TrackCondition struct {
	Property  string `json:"property"`  // FourCC
	Operation string `json:"operation"` // Equal
	Value     string `json:"value,omitempty"`
}

// schemeMembers are the members of StreamingPolicy.Body.
var schemeMembers = map[Scheme]string{
	NoEncryption: "noEncryption", Envelope: "envelopeEncryption",
	CENC: "commonEncryptionCenc", CBCS: "commonEncryptionCbcs",
}

// Member is the member of StreamingPolicy.Body that holds the scheme.
func (s Scheme) Member() string { return schemeMembers[s] }

// Schemes are the encryption schemes in the order that listPaths has.
func Schemes() []Scheme { return []Scheme{NoEncryption, Envelope, CENC, CBCS} }

// Encryption reads how p protects under s; nil when p does not offer s.
func (p *StreamingPolicy) Encryption(s Scheme) (*Encryption, error) {
	var body map[string]json.RawMessage
	if len(p.Body) > 0 {
		if err := json.Unmarshal(p.Body, &body); err != nil {
			return nil, fmt.Errorf("streaming policy %s: %w", p.Name, err)
		}
	}
	raw := body[schemeMembers[s]]
	if len(raw) == 0 {
		return nil, nil
	}
	e := new(Encryption)
	if err := json.Unmarshal(raw, e); err != nil {
		return nil, fmt.Errorf("streaming policy %s: %s: %w", p.Name, schemeMembers[s], err)
	}
	return e, nil
}

// Keys are the places for content keys under e: the default one first, then
// those of some tracks. Without any there is one default without a label.
func (e *Encryption) Keys() []PolicyKey {
	first := PolicyKey{}
	if e.ContentKeys.Default != nil {
		first = *e.ContentKeys.Default
	}
	return append([]PolicyKey{first}, e.ContentKeys.Mappings...)
}

// DeliveredElsewhere reports whether somebody else delivers all keys of e, so that no
// content key policy of this server is needed.
func (e *Encryption) DeliveredElsewhere() bool {
	n := 0
	for _, d := range []*DRM{e.DRM.PlayReady, e.DRM.Widevine, e.DRM.FairPlay} {
		if d == nil {
			continue
		}
		if n++; d.URL == "" {
			return false
		}
	}
	if e.ClearKey != nil {
		if n++; e.ClearKey.URL == "" {
			return false
		}
	}
	return n > 0 || e.KeyURL != ""
}

// Validate reports the first rule that p breaks, and sets Protocols from Body.
func (p *StreamingPolicy) Validate() error {
	if err := ValidateName("streaming policy", p.Name); err != nil {
		return err
	}
	if len(p.Body) > maxPolicySize {
		return Invalidf("properties", "The streaming policy is larger than %d bytes.", maxPolicySize)
	}
	any, err := p.read()
	if err == nil && !any {
		err = Invalidf("properties", "The streaming policy enables no protocol under any of noEncryption, envelopeEncryption, commonEncryptionCenc and commonEncryptionCbcs.")
	}
	return err
}

// read sets Protocols from Body and checks both. any: there are some.
func (p *StreamingPolicy) read() (any bool, err error) {
	p.Protocols = map[Scheme][]Protocol{}
	for _, s := range Schemes() {
		at := "properties." + schemeMembers[s]
		e, err := p.Encryption(s)
		if err != nil {
			return false, Invalidf(at, "The encryption can't be read: %v.", err)
		}
		if e == nil {
			continue
		}
		if e.Protocols == nil {
			return false, Invalidf(at+".enabledProtocols", "enabledProtocols is missing.")
		}
		p.Protocols[s] = []Protocol{} // offered, if for nothing
		for _, q := range []struct {
			on bool
			Protocol
			name string
		}{
			{e.Protocols.Download, Download, "download"}, {e.Protocols.DASH, DASH, "dash"},
			{e.Protocols.HLS, HLS, "hls"}, {e.Protocols.SmoothStreaming, SmoothStreaming, "smoothStreaming"},
		} {
			if !q.on {
				continue
			}
			any = true
			if s != NoEncryption && q.Protocol == Download || s == CBCS && q.Protocol == SmoothStreaming {
				return false, Invalidf(at+".enabledProtocols."+q.name, "%s can't be protected by %s.", q.Protocol, s)
			}
			p.Protocols[s] = append(p.Protocols[s], q.Protocol)
		}
		if err := e.validate(at); err != nil {
			return false, err
		}
	}
	return any, nil
}

func (e *Encryption) validate(at string) error {
	if len(e.ContentKeys.Mappings) > 0 && e.ContentKeys.Default == nil { // documented
		return Invalidf(at+".contentKeys.defaultKey", "A defaultKey is needed beside keyToTrackMappings.")
	}
	labels := map[string]bool{}
	for i, k := range e.Keys() {
		kat := at + ".contentKeys.defaultKey"
		if i > 0 {
			kat = fmt.Sprintf("%s.contentKeys.keyToTrackMappings[%d]", at, i-1)
			switch {
			case k.Label == "":
				return Invalidf(kat+".label", "The key has no label.")
			case len(k.Tracks) == 0:
				return Invalidf(kat+".tracks", "The key has no tracks.")
			}
			if err := validateTracks(k.Tracks, kat+".tracks"); err != nil {
				return err
			}
		}
		if labels[strings.ToLower(k.Label)] {
			return Invalidf(kat+".label", "The label '%s' is another key's too.", k.Label)
		}
		labels[strings.ToLower(k.Label)] = true
	}
	if err := validateTracks(e.ClearTracks, at+".clearTracks"); err != nil {
		return err
	}
	type place struct{ name, template string }
	templates := []place{{"customKeyAcquisitionUrlTemplate", e.KeyURL}}
	for i, d := range []*DRM{e.DRM.PlayReady, e.DRM.Widevine, e.DRM.FairPlay} {
		if d != nil {
			system := []string{"playReady", "widevine", "fairPlay"}[i]
			templates = append(templates, place{"drm." + system + ".customLicenseAcquisitionUrlTemplate", d.URL})
		}
	}
	if e.ClearKey != nil {
		templates = append(templates, place{"clearKeyEncryptionConfiguration.customKeysAcquisitionUrlTemplate", e.ClearKey.URL})
	}
	for _, t := range templates {
		if t.template == "" {
			continue
		}
		u, err := url.Parse(ExpandTemplate(t.template, "id", "id"))
		if err != nil || u.Scheme == "" || u.Host == "" {
			return Invalidf(at+"."+t.name, "'%s' is not the template of a URL.", t.template)
		}
	}
	return nil
}

func validateTracks(tracks []KeyTracks, at string) error {
	for i, t := range tracks {
		if len(t.Conditions) == 0 {
			return Invalidf(fmt.Sprintf("%s[%d].trackSelections", at, i), "The selection has no condition.")
		}
		for j, c := range t.Conditions {
			if c.Property == "Unknown" || c.Operation == "Unknown" || c.Value == "" {
				return Invalidf(fmt.Sprintf("%s[%d].trackSelections[%d]", at, i, j), "The condition needs a property, an operation and a value.")
			}
		}
	}
	return nil
}

var macros = regexp.MustCompile(`(?i)\{(contentkeyid|alternativemediaid|assetalternativeid)\}`)

// ExpandTemplate replaces the macros of a custom URL template (documented),
// in any case.
func ExpandTemplate(template, contentKeyID, alternativeMediaID string) string {
	return macros.ReplaceAllStringFunc(template, func(macro string) string {
		if strings.EqualFold(macro, "{ContentKeyId}") {
			return url.QueryEscape(contentKeyID)
		}
		return url.QueryEscape(alternativeMediaID)
	})
}

// PolicyBody is the Body of a streaming policy that protects as the schemes
// say, in the v3 spelling.
func PolicyBody(encryptions map[Scheme]json.RawMessage) json.RawMessage {
	body := map[string]json.RawMessage{}
	for s, raw := range encryptions {
		if len(raw) > 0 {
			body[schemeMembers[s]] = raw
		}
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil
	}
	return b
}
