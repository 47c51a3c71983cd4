package ams

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// A StreamingEndpoint is an origin server of an account. Only a Running one
// answers players.
type StreamingEndpoint struct {
	Account        string // Account.ID
	Name           string
	ID             string // guid
	Location       string
	Tags           map[string]string
	Description    string
	HostName       string // host[:port] that clients put after https://
	ScaleUnits     int    // 0 is Standard; no effect here
	State          EndpointState
	Settings       EndpointSettings
	Created        time.Time
	LastModified   time.Time
	CreatedBy      string
	LastModifiedBy string
}

// EndpointSettings are what clients may change of an endpoint at any time.
type EndpointSettings struct {
	AvailabilitySet *string         `json:"availabilitySetName,omitempty"` // no effect here
	MaxCacheAge     *int64          `json:"maxCacheAge,omitempty"`         // seconds, of fragments and manifests; nil: the origin's own
	CustomHosts     []string        `json:"customHostNames,omitempty"`     // further host names it answers to
	Access          *EndpointAccess `json:"accessControl,omitempty"`       // nil: everybody
	CrossSite       *CrossSite      `json:"crossSiteAccessPolicies,omitempty"`

	// A CDN in front is somebody else's here: kept for clients, no effect but
	// that AMS allowed neither access control nor custom host names with it.
	CDNEnabled  bool    `json:"cdnEnabled,omitempty"`
	CDNProvider *string `json:"cdnProvider,omitempty"`
	CDNProfile  *string `json:"cdnProfile,omitempty"`
}

// EndpointAccess says who may read from a streaming endpoint. A part that is
// nil or empty lets everybody through; both must let a request pass.
type EndpointAccess struct {
	Akamai *AkamaiAccess `json:"akamai,omitempty"`
	IP     *IPAccess     `json:"ip,omitempty"`
}

// AkamaiAccess lets requests through that carry a signature of Akamai's
// edge servers (G2O headers) by one of the keys.
type AkamaiAccess struct {
	Keys []AkamaiKey `json:"akamaiSignatureHeaderAuthenticationKeyList"`
}

// An AkamaiKey is a shared secret with Akamai.
type AkamaiKey struct {
	Identifier string    `json:"identifier"` // the nonce that names it
	Key        string    `json:"base64Key"`
	Expiration time.Time `json:"expiration,omitzero"` // zero: never
}

// IPAccess lets the addresses in a list through.
type IPAccess struct {
	Allow []IPRange `json:"allow"` // empty: all
}

// An IPRange is a network, or one address when PrefixLength is nil.
type IPRange struct {
	Name         string `json:"name,omitempty"`
	Address      string `json:"address"`
	PrefixLength *int   `json:"subnetPrefixLength,omitempty"`
}

// Prefix is the network that r names.
func (r IPRange) Prefix() (netip.Prefix, error) {
	addr, err := netip.ParseAddr(r.Address)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("'%s' is not an IP address", r.Address)
	}
	addr = addr.Unmap()
	bits := addr.BitLen()
	if r.PrefixLength != nil {
		bits = *r.PrefixLength
	}
	return addr.Prefix(bits)
}

// CrossSite is the two files that old players (Silverlight, Flash) ask for
// before they read from another site.
type CrossSite struct {
	ClientAccess string `json:"clientAccessPolicy,omitempty"` // /clientaccesspolicy.xml
	CrossDomain  string `json:"crossDomainPolicy,omitempty"`  // /crossdomain.xml
}

// Bounds of endpoint settings. AMS documents none of them but the exclusions.
const (
	maxCustomHosts = 50
	maxIPRanges    = 500
	maxAkamaiKeys  = 20
	maxCrossSite   = 64 << 10 // bytes of one file
)

var hostName = regexp.MustCompile(`^([a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?\.)+[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)

// Validate reports the first rule that the settings break.
func (s *EndpointSettings) Validate() error {
	if s.MaxCacheAge != nil && (*s.MaxCacheAge < 0 || *s.MaxCacheAge > math.MaxInt32) {
		return Invalidf("properties.maxCacheAge", "maxCacheAge must be from 0 to %d seconds.", math.MaxInt32)
	}
	if s.CDNEnabled && len(s.CustomHosts) > 0 {
		return Invalidf("properties.customHostNames", "Custom host names need cdnEnabled to be false.")
	}
	if s.CDNEnabled && s.Access.restricts() {
		return Invalidf("properties.accessControl", "Access control needs cdnEnabled to be false.")
	}
	if len(s.CustomHosts) > maxCustomHosts {
		return Invalidf("properties.customHostNames", "A streaming endpoint may have at most %d custom host names.", maxCustomHosts)
	}
	for i, h := range s.CustomHosts {
		if len(h) > 253 || !hostName.MatchString(h) {
			return Invalidf(fmt.Sprintf("properties.customHostNames[%d]", i), "'%s' is not a host name.", h)
		}
		for _, other := range s.CustomHosts[:i] {
			if strings.EqualFold(h, other) {
				return Invalidf(fmt.Sprintf("properties.customHostNames[%d]", i), "The host name '%s' is given twice.", h)
			}
		}
	}
	if s.CrossSite != nil {
		if err := validXML(s.CrossSite.ClientAccess, "properties.crossSiteAccessPolicies.clientAccessPolicy"); err != nil {
			return err
		}
		if err := validXML(s.CrossSite.CrossDomain, "properties.crossSiteAccessPolicies.crossDomainPolicy"); err != nil {
			return err
		}
	}
	return s.Access.validate()
}

// restricts reports whether a keeps anybody out.
func (a *EndpointAccess) restricts() bool {
	return a != nil && (a.IP != nil && len(a.IP.Allow) > 0 || a.Akamai != nil && len(a.Akamai.Keys) > 0)
}

func (a *EndpointAccess) validate() error {
	if a == nil {
		return nil
	}
	if a.IP != nil {
		const at = "properties.accessControl.ip.allow"
		if len(a.IP.Allow) > maxIPRanges {
			return Invalidf(at, "A streaming endpoint may allow at most %d ranges of addresses.", maxIPRanges)
		}
		for i, r := range a.IP.Allow {
			if _, err := r.Prefix(); err != nil {
				return Invalidf(fmt.Sprintf("%s[%d]", at, i), "The range is not valid: %v.", err)
			}
		}
	}
	if a.Akamai != nil {
		const at = "properties.accessControl.akamai.akamaiSignatureHeaderAuthenticationKeyList"
		if len(a.Akamai.Keys) > maxAkamaiKeys {
			return Invalidf(at, "A streaming endpoint may have at most %d Akamai keys.", maxAkamaiKeys)
		}
		for i, k := range a.Akamai.Keys {
			at := fmt.Sprintf("%s[%d]", at, i)
			if k.Identifier == "" || len(k.Identifier) > 256 || strings.ContainsAny(k.Identifier, ", \t") {
				return Invalidf(at+".identifier", "identifier must have 1 to 256 characters without commas and blanks.")
			}
			if key, err := base64.StdEncoding.DecodeString(k.Key); err != nil || len(key) < 8 || len(key) > 256 {
				return Invalidf(at+".base64Key", "base64Key must be 8 to 256 bytes in base64.")
			}
		}
	}
	return nil
}

// validXML refuses what a player could not parse.
func validXML(text, at string) error {
	if text == "" {
		return nil
	}
	if len(text) > maxCrossSite {
		return Invalidf(at, "The policy is longer than %d bytes.", maxCrossSite)
	}
	d := xml.NewDecoder(strings.NewReader(text))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // a Go string: UTF-8 already
	elements := 0
	for {
		token, err := d.Token()
		if err == io.EOF && elements > 0 {
			return nil
		}
		if err != nil {
			return Invalidf(at, "The policy is not an XML document.")
		}
		if _, ok := token.(xml.StartElement); ok {
			elements++
		}
	}
}

// DefaultEndpoint is the endpoint that every account has from its creation
// and that cannot be deleted.
const DefaultEndpoint = "default"

// An EndpointState is where a streaming endpoint stands.
type EndpointState string

// The states of a streaming endpoint.
const (
	EndpointCreating EndpointState = "Creating"
	EndpointStopped  EndpointState = "Stopped"
	EndpointStarting EndpointState = "Starting"
	EndpointRunning  EndpointState = "Running"
	EndpointStopping EndpointState = "Stopping"
	EndpointDeleting EndpointState = "Deleting"
	EndpointScaling  EndpointState = "Scaling"
)

// Settled reports whether no operation is under way in state s.
func (s EndpointState) Settled() bool { return s == EndpointStopped || s == EndpointRunning }

// An Operation is a long-running operation as clients poll it.
type Operation struct {
	ID       string // guid
	Account  string // Account.ID
	Kind     string // "streamingendpointoperations", "liveeventoperations" …: the segment of its URL
	Resource string // full resource id of what is operated on
	Goal     string // what the resource becomes when it ends: a state, OperationDeletes, or empty
	Status   OperationStatus
	Code     string // of the failure
	Message  string
	Created  time.Time
	Ended    time.Time // zero while in progress
}

// OperationDeletes is the Goal of an operation that deletes its resource.
const OperationDeletes = "Deleted"

// An OperationStatus is where an Operation stands.
type OperationStatus string

// The states of a long-running operation.
const (
	OperationInProgress OperationStatus = "InProgress"
	OperationSucceeded  OperationStatus = "Succeeded"
	OperationFailed     OperationStatus = "Failed"
)
