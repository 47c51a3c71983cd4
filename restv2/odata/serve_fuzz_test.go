package odata_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Whatever comes is answered, in the format that was asked for.
func FuzzServe(f *testing.F) {
	f.Add("GET", asset+"/Files('"+fileID+"')/ContentFileSize/$value", "$top=1", "")
	f.Add("GET", "/api/Assets", "$filter=startswith(Name,'B') and Created gt datetime'2015-01-01'&$expand=Files,Locators/Asset&$select=Id,Files/Name&$orderby=Name desc&$skip=0&$inlinecount=allpages", "")
	f.Add("POST", "/api/Jobs", "", `{"Tasks":[{"TaskBody":"x","MediaProcessorId":"y"}],"InputMediaAssets":[{"__metadata":{"uri":"Assets('x')"}}]}`)
	f.Add("MERGE", "/api/Files('"+fileID+"')", "", `{"Name":"x","ParentAssetId":null}`)
	f.Add("POST", asset+"/$links/ContentKeys", "", `{"uri":"ContentKeys('x')"}`)
	f.Add("POST", "/api/$batch", "", strings.ReplaceAll(printed, "batch_a01a5ec4", "b"))
	f.Add("GET", "/api/GetProtectionKeyId", "contentKeyType='1'", "")
	m := model(f)
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		_, s := newWorldOf(t, m)
		r := httptest.NewRequest("GET", "http://media.example/", strings.NewReader(body))
		r.Method, r.URL = method, &url.URL{Path: path, RawQuery: query}
		for name, value := range map[string]string{"x-ms-version": "2.19", "Accept": "application/json", "Content-Type": "application/json"} {
			r.Header.Set(name, value)
		}
		if strings.HasSuffix(path, "$batch") {
			r.Header.Set("Content-Type", "multipart/mixed; boundary=b")
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code == 500 && !strings.Contains(w.Body.String(), "is required") {
			t.Fatalf("%s", w.Body)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && r.Method != "HEAD" && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("not JSON: %s", w.Body)
		}
	})
}
