package restv2_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// sendAs sends a request with the content type and what is accepted as given.
func sendAs(t *testing.T, s *httptest.Server, contentType, accept, method, path, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/api/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Accept": accept, "Content-Type": contentType, "x-ms-version": "2.17", "Authorization": "Bearer Contributor"} {
		r.Header.Set(name, value)
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// An asset is bound to a manifest in every way that clients have to say it.
func TestIngestBinds(t *testing.T) {
	s := newServer(t)
	_, _, m := ask(t, s, "Contributor", "POST", "IngestManifests", `{"Name":"m"}`)
	manifest := m["Id"].(string)
	if !strings.HasSuffix(m["BlobStorageUriForUpload"].(string), "/store/ingestmanifest-"+manifest[len(manifest)-36:]) || m["StorageAccountName"] != "store" {
		t.Errorf("%v", m)
	}
	const light, verbose, atom = "application/json", "application/json;odata=verbose", "application/atom+xml"
	for _, tt := range []struct{ contentType, body string }{
		{light, `{"ParentIngestManifestId":"MANIFEST","Asset":{"Id":"ASSET"}}`},
		{verbose, `{"ParentIngestManifestId":"MANIFEST","Asset":{"Id":"ASSET"}}`},
		{verbose, `{"ParentIngestManifestId":"MANIFEST","Asset":{"__metadata":{"uri":"https://elsewhere.example/api/Assets('ASSET')"}}}`},
		{light, `{"ParentIngestManifestId":"MANIFEST","Asset":{"__metadata":{"uri":"Assets('ASSET')"}}}`},
		{light, `{"ParentIngestManifestId":"MANIFEST","Asset@odata.bind":"https://elsewhere.example/api/Assets('ASSET')"}`},
		{atom, `<a:entry xmlns:a="http://www.w3.org/2005/Atom"><a:content type="application/xml"><m:properties xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><d:ParentIngestManifestId xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices">MANIFEST</d:ParentIngestManifestId></m:properties></a:content>` +
			`<a:link href="https://elsewhere.example/api/Assets('ASSET')" rel="http://schemas.microsoft.com/ado/2007/08/dataservices/related/Asset" type="application/atom+xml;type=entry" title="Asset"/></a:entry>`},
	} {
		_, _, a := ask(t, s, "Contributor", "POST", "Assets", `{"Name":"a"}`)
		id := a["Id"].(string)
		body := strings.NewReplacer("MANIFEST", manifest, "ASSET", id).Replace(tt.body)
		code, text := sendAs(t, s, tt.contentType, "application/json", "POST", "IngestManifestAssets", body)
		if code != http.StatusCreated {
			t.Errorf("%s: %d %s", tt.body, code, text)
			continue
		}
		var made map[string]any
		if err := json.Unmarshal([]byte(text), &made); err != nil {
			t.Fatal(err)
		}
		if _, _, bound := ask(t, s, "Reader", "GET", "IngestManifestAssets('"+made["Id"].(string)+"')/Asset", ""); bound["Id"] != id {
			t.Errorf("%s: bound to %v", tt.body, bound)
		}
		if code, _ := sendAs(t, s, tt.contentType, "application/json", "POST", "IngestManifestAssets", body); code != http.StatusConflict {
			t.Errorf("%s again: %d", tt.body, code)
		}
	}
	_, _, list := ask(t, s, "Reader", "GET", "IngestManifests('"+manifest+"')/IngestManifestAssets?$inlinecount=allpages", "")
	if list["odata.count"] != "6" {
		t.Errorf("%v", list)
	}
	_, _, list = ask(t, s, "Reader", "GET", "IngestManifests('"+manifest+"')/PendingIngestManifestAssets", "")
	if len(list["value"].([]any)) != 0 {
		t.Errorf("nothing is pending: %v", list)
	}
}

// Bulk ingest as its clients meet it: paths, filters, refusals, deletion.
func TestIngest(t *testing.T) {
	s := newServer(t)
	_, _, a := ask(t, s, "Contributor", "POST", "Assets", `{"Name":"a"}`)
	_, _, m := ask(t, s, "Contributor", "POST", "IngestManifests", `{"Name":"m","StorageAccountName":"store"}`)
	manifest := m["Id"].(string)
	path := "IngestManifests('" + manifest + "')"
	code, _, in := ask(t, s, "Contributor", "POST", path+"/IngestManifestAssets", `{"Asset":{"Id":"`+a["Id"].(string)+`"}}`)
	if code != 201 {
		t.Fatalf("%d %v", code, in)
	}
	inPath := "IngestManifestAssets('" + in["Id"].(string) + "')"
	code, _, f := ask(t, s, "Contributor", "POST", inPath+"/IngestManifestFiles", `{"Name":"one.mp4","IsPrimary":"true","ParentIngestManifestId":"`+manifest+`"}`)
	if code != 201 || f["IsPrimary"] != true || f["State"] != 0.0 {
		t.Fatalf("%d %v", code, f)
	}
	one := "IngestManifestFiles('" + f["Id"].(string) + "')"
	_, _, st := ask(t, s, "Reader", "GET", path+"/Statistics/PendingFilesCount", "")
	if st["value"] != 1.0 {
		t.Errorf("%v", st)
	}
	for filter, want := range map[string]int{
		"IngestManifests?$filter=State%20eq%201%20and%20startswith(Name,'m')":           1,
		"IngestManifests?$filter=Statistics/PendingFilesCount%20gt%201":                 0,
		"IngestManifestFiles?$filter=ParentIngestManifestId%20eq%20'" + manifest + "'":  1,
		"IngestManifestFiles?$filter=IsPrimary%20eq%20false":                            0,
		path + "/PendingIngestManifestAssets":                                           1,
		inPath + "/IngestManifestFiles?$orderby=Name%20desc&$filter=State%20eq%200":     1,
		"IngestManifestAssets?$filter=ParentIngestManifestId%20ne%20'" + manifest + "'": 0,
	} {
		if code, _, list := ask(t, s, "Reader", "GET", filter, ""); code != 200 || len(list["value"].([]any)) != want {
			t.Errorf("%s: %d %v", filter, code, list)
		}
	}
	for _, tt := range []struct {
		role, method, path, body string
		code                     int
	}{
		{"Contributor", "POST", "IngestManifests", `{"StorageAccountName":"other"}`, 404},
		{"Contributor", "POST", "IngestManifestAssets", `{"ParentIngestManifestId":"` + manifest + `"}`, 400},
		{"Contributor", "POST", "IngestManifestAssets", `{"ParentIngestManifestId":"nb:mid:UUID:x","Asset":{"Id":"` + a["Id"].(string) + `"}}`, 404},
		{"Contributor", "POST", "IngestManifestAssets", `{"ParentIngestManifestId":"` + manifest + `","Asset":{"Id":"nb:cid:UUID:x"}}`, 404},
		{"Contributor", "POST", inPath + "/IngestManifestFiles", `{"Name":"one.mp4","ParentIngestManifestId":"` + manifest + `"}`, 409},
		{"Contributor", "POST", inPath + "/IngestManifestFiles", `{"Name":"two.mp4","IsPrimary":true,"ParentIngestManifestId":"` + manifest + `"}`, 409},
		{"Contributor", "POST", inPath + "/IngestManifestFiles", `{"Name":" ","ParentIngestManifestId":"` + manifest + `"}`, 400},
		{"Contributor", "POST", inPath + "/IngestManifestFiles", `{"Name":"two.mp4"}`, 400},
		{"Reader", "POST", "IngestManifests", `{}`, 403},
		{"Contributor", "MERGE", one, `{"Name":"x"}`, 400},
		{"Contributor", "MERGE", path, `{"Name":"new","State":2,"StorageAccountName":"store"}`, 204},
		{"Contributor", "MERGE", path, `{"StorageAccountName":"other"}`, 400},
		{"Contributor", "MERGE", "IngestManifests('nb:mid:UUID:x')", `{"Name":"new"}`, 404},
		{"Contributor", "DELETE", one, "", 204},
		{"Contributor", "DELETE", one, "", 404},
		{"Contributor", "DELETE", inPath, "", 204},
		{"Contributor", "GET", inPath, "", 404},
		{"Contributor", "DELETE", path, "", 204},
		{"Contributor", "GET", path, "", 404},
		{"Contributor", "GET", "Assets('" + a["Id"].(string) + "')", "", 200},
	} {
		if code, _, v := ask(t, s, tt.role, tt.method, tt.path, tt.body); code != tt.code {
			t.Errorf("%+v: %d %v", tt, code, v)
		}
	}
}
