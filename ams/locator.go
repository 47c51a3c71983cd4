package ams

import (
	"encoding/json"
	"time"
)

// Never is the end of a locator that does not expire: the last instant that
// the .NET clients of AMS could write.
var Never = time.Date(9999, 12, 31, 23, 59, 59, 999999900, time.UTC)

// A StreamingLocator publishes an asset under the path /{ID}/… of every
// running streaming endpoint. v3 never changes one, v2 its times. In v2 it is a
// Locator of the type OnDemandOrigin.
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

	AssetID      string // of Asset
	AccessPolicy string // as in Locator
	Label        string // the v2 Name; of a locator that v3 made its Name
	Bare         bool   // as in Locator
}

// Active reports whether the locator serves at the instant now.
func (l *StreamingLocator) Active(now time.Time) bool {
	return !now.Before(l.Start) && now.Before(l.End)
}

// A Locator is what v2 calls so: a URL that gives access to the files of an
// asset for some time.
type Locator struct {
	Account      string // Account.ID
	ID           string // guid, lower case, no other locator's of the server; the v2 Id is "nb:lid:UUID:" + ID
	Type         LocatorType
	Asset        string    // Asset.ID
	AccessPolicy string    // LocatorPolicy.ID; empty for a streaming locator that v3 made
	Label        string    // the v2 Name
	Start        time.Time // zero: no start
	End          time.Time
	Bare         bool // Start was given without a time zone, and is shown so
	Created      time.Time
}

// A LocatorType says what the URL of a Locator leads to.
type LocatorType int

// The types of locators.
const (
	SASLocator     LocatorType = 1 // the container, by a stored access policy that has the locator's guid as its id
	OnDemandOrigin LocatorType = 2 // a streaming endpoint, by the streaming locator of the same guid
)

// A LocatorPolicy is an AccessPolicy of v2: what a locator allows and how
// long. It never changes; locators keep what they took from it.
type LocatorPolicy struct {
	Account      string // Account.ID
	ID           string // guid; the v2 Id is "nb:pid:UUID:" + ID
	Name         string
	Minutes      float64
	Permissions  int // sum of the flags below
	Created      time.Time
	LastModified time.Time
}

// The permissions of a LocatorPolicy.
const (
	AccessRead   = 1
	AccessWrite  = 2
	AccessDelete = 4
	AccessList   = 8
)

// SAS spells the permissions as a shared access signature does.
func (p *LocatorPolicy) SAS() (sp string) {
	for _, f := range []struct {
		flag int
		sp   string
	}{{AccessRead, "r"}, {AccessWrite, "w"}, {AccessDelete, "d"}, {AccessList, "l"}} {
		if p.Permissions&f.flag != 0 {
			sp += f.sp
		}
	}
	return sp
}

// Validate reports the first rule that p breaks, as an Invalid error.
func (p *LocatorPolicy) Validate() error {
	const century = 100 * 366 * 24 * 60
	switch {
	case !(p.Minutes > 0 && p.Minutes < 80*century): // not a number either
		return Invalidf("DurationInMinutes", "DurationInMinutes must be positive, and not more than 8000 years.")
	case p.Permissions < 0 || p.Permissions > AccessRead|AccessWrite|AccessDelete|AccessList:
		return Invalidf("Permissions", "Permissions must be a sum of 1 (read), 2 (write), 4 (delete) and 8 (list).")
	}
	return nil
}

// Until is when access that begins at start ends. Years have four digits.
func (p *LocatorPolicy) Until(start time.Time) time.Time {
	for left := p.Minutes; left > 0; { // a Duration holds 292 years
		step := min(left, 60*24*365*100)
		start, left = start.Add(time.Duration(step*float64(time.Minute))), left-step
	}
	if start.After(Never) {
		return Never
	}
	return start
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
