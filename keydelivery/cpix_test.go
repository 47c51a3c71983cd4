package keydelivery

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"testing"

	"github.com/openams/openams/ams"
)

func TestCPIX(t *testing.T) {
	keys := []*ams.ContentKey{
		{ID: kid, Scheme: ams.CENC, Value: value}, {ID: kid, Scheme: ams.CENC, Value: value},
		{ID: otherKid, Scheme: ams.CBCS, Value: value}, {ID: otherKid, Scheme: ams.Envelope, Value: value},
	}
	got, err := CPIX("film & more", keys)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		XMLName   xml.Name `xml:"urn:dashif:org:cpix CPIX"`
		ContentID string   `xml:"contentId,attr"`
		Keys      []struct {
			ID     string `xml:"kid,attr"`
			Scheme string `xml:"commonEncryptionScheme,attr"`
			Value  string `xml:"Data>Secret>PlainValue"`
		} `xml:"ContentKeyList>ContentKey"`
	}
	if err := xml.Unmarshal(got, &document); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if document.ContentID != "film & more" || len(document.Keys) != 3 {
		t.Fatalf("%+v", document)
	}
	for i, want := range []struct{ id, scheme string }{{kid, "cenc"}, {otherKid, "cbcs"}, {otherKid, ""}} {
		k := document.Keys[i]
		if b, err := base64.StdEncoding.DecodeString(k.Value); err != nil || !bytes.Equal(b, value) || k.ID != want.id || k.Scheme != want.scheme {
			t.Errorf("key %d: %+v, %v", i, k, err)
		}
	}
	if _, err := CPIX("x", []*ams.ContentKey{{ID: kid}}); err == nil {
		t.Error("a key without a value is exported")
	}
}
