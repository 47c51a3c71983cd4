package ams_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/openams/openams/ams"
)

func TestParseBitrates(t *testing.T) {
	for _, tt := range []struct {
		text        string
		least, most int64
		ok          bool
	}{
		{"128000", 128000, 128000, true}, {"0-2147483647", 0, math.MaxInt32, true}, {" 1 - 2 ", 1, 2, true},
		{"", 0, 0, false}, {"2-1", 0, 0, false}, {"-1", 0, 0, false}, {"1-", 0, 0, false}, {"1-2-3", 0, 0, false}, {"1e3", 0, 0, false},
	} {
		least, most, err := ams.ParseBitrates(tt.text)
		if (err == nil) != tt.ok || least != tt.least || most != tt.most {
			t.Errorf("ParseBitrates(%q) = %d, %d, %v", tt.text, least, most, err)
		}
	}
}

// FuzzManifestFilter validates whatever JSON makes a filter.
func FuzzManifestFilter(f *testing.F) {
	f.Add("f", `{"Time":{"startTimestamp":1,"endTimestamp":2,"timescale":1000},"Tracks":[{"trackSelections":[{"property":"Bitrate","value":"1-2","operation":"Equal"}]}]}`)
	f.Add("f", `{"Time":{"presentationWindowDuration":9223372036854775807,"timescale":1000000000000}}`)
	f.Fuzz(func(t *testing.T, name, body string) {
		var filter ams.ManifestFilter
		if json.Unmarshal([]byte(body), &filter) != nil {
			return
		}
		filter.Name = name
		if filter.Validate() != nil {
			return
		}
		if r := filter.Time; r != nil && r.Start != nil && r.End != nil && *r.Start >= *r.End {
			t.Fatalf("%s is valid", body)
		}
		for _, s := range filter.Tracks {
			if len(s.Conditions) == 0 {
				t.Fatalf("%s is valid", body)
			}
		}
	})
}

// FuzzEndpointSettings validates whatever JSON makes settings.
func FuzzEndpointSettings(f *testing.F) {
	f.Add(`{"customHostNames":["a.example.com"],"accessControl":{"ip":{"allow":[{"address":"::","subnetPrefixLength":0}]}},"crossSiteAccessPolicies":{"crossDomainPolicy":"<a/>"}}`)
	f.Add(`{"cdnEnabled":true,"accessControl":{"akamai":{"akamaiSignatureHeaderAuthenticationKeyList":[{"identifier":"i","base64Key":"MTIzNDU2Nzg="}]}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		var s ams.EndpointSettings
		if json.Unmarshal([]byte(body), &s) != nil || s.Validate() != nil || s.Access == nil || s.Access.IP == nil {
			return
		}
		for _, r := range s.Access.IP.Allow {
			if p, err := r.Prefix(); err != nil || !p.IsValid() {
				t.Fatalf("%s is valid: %v, %v", body, p, err)
			}
		}
	})
}
