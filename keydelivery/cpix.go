package keydelivery

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"

	"github.com/openams/openams/ams"
)

// cpixSchemes are the values of commonEncryptionScheme (CPIX 2.3, 5.2.3);
// AES-128 of whole segments has none.
var cpixSchemes = map[ams.Scheme]string{ams.CENC: "cenc", ams.CBCS: "cbcs"}

// CPIX returns content keys as a DASH-IF CPIX document, which DRM services and
// other packagers take. The keys in it are not encrypted: it is for whoever may
// list them, over a connection that nobody else reads.
func CPIX(contentID string, keys []*ams.ContentKey) ([]byte, error) {
	type secret struct {
		Value string `xml:"pskc:PlainValue"`
	}
	type key struct {
		ID     string `xml:"kid,attr"`
		Scheme string `xml:"commonEncryptionScheme,attr,omitempty"`
		Secret secret `xml:"cpix:Data>pskc:Secret"`
	}
	document := struct {
		XMLName   xml.Name `xml:"cpix:CPIX"`
		CPIX      string   `xml:"xmlns:cpix,attr"`
		PSKC      string   `xml:"xmlns:pskc,attr"`
		ContentID string   `xml:"contentId,attr,omitempty"`
		Version   string   `xml:"version,attr"`
		Keys      []key    `xml:"cpix:ContentKeyList>cpix:ContentKey"`
	}{CPIX: "urn:dashif:org:cpix", PSKC: "urn:ietf:params:xml:ns:keyprov:pskc", ContentID: contentID, Version: "2.3"}
	seen := map[string]*ams.ContentKey{}
	for _, k := range keys {
		if len(k.Value) != ams.ContentKeySize {
			return nil, fmt.Errorf("content key %s has no value", k.ID)
		}
		// A document may name a key once for each scheme.
		if name := k.ID + string(k.Scheme); seen[name] == nil {
			seen[name] = k
			document.Keys = append(document.Keys, key{k.ID, cpixSchemes[k.Scheme], secret{base64.StdEncoding.EncodeToString(k.Value)}})
		}
	}
	body, err := xml.MarshalIndent(document, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(append([]byte(xml.Header), body...), '\n'), nil
}
