package odata_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openams/openams/restv2/odata"
)

const asset = "/api/Assets('" + assetID + "')"

// What clients ask, and what they hear.
func TestGet(t *testing.T) {
	encoded := "nb%3acid%3aUUID%3a9bc8ff20-24fb-4fdb-9d7c-b04c7ee573a1"
	for _, tt := range []struct {
		path string
		code int
		has  string
	}{
		{"/API/Assets", 200, `"value":[{`},
		{"/api//Assets", 200, `"value":[{`},
		{"/api/Assets()", 200, `"value":[{`},
		{"/api%2FAssets%28%27" + encoded + "%27%29", 200, `/@Element"`},
		{"/api/Assets(%27" + encoded + "%27)", 200, `/@Element"`},
		{"/api/Assets(Id='" + encoded + "')", 200, `/@Element"`},
		{asset + "/Files", 200, "it's <a> & b.mp4"},
		{asset + "/Files/$count", 200, "1"},
		{asset + "/Files('" + fileID + "')/ContentFileSize", 200, `"value":"1186540"`},
		{asset + "/Files('" + fileID + "')/ContentFileSize/$value", 200, "1186540"},
		{asset + "/Files('nb:cid:UUID:other')", 404, "Resource not found for the segment 'Files'."},
		{asset + "/ContentKeys", 200, keyID},
		{asset + "/StorageAccount/BytesUsed/$value", 200, "5000000000"},
		{"/api/Locators('nb:lid:UUID:1')/Asset/Files", 200, fileID},
		{"/api/Locators('nb:lid:UUID:1')/AccessPolicy/Name/$value", 200, "NewUploadPolicy"},
		{"/api/Locators('nb:lid:UUID:1')/Asset/Files('" + fileID + "')/Asset/Locators('nb:lid:UUID:1')/Asset/StorageAccount/Name/$value", 200, "storagetestaccount001"},
		{"/api/Jobs('nb:jid:UUID:1')/Tasks/$links/InputMediaAssets", 404, "$links"},
		{"/api/Jobs('nb:jid:UUID:1')/EndTime/$value", 404, "$value"},
		{"/api/IngestManifests('nb:mid:UUID:1')/Statistics/PendingFilesCount/$value", 200, "1"},
		{"/api/Assets/$count?%24filter=Name+eq+'x'", 200, "0"},
		{"/api/Assets?$filter=startswith(Name,'Big') and Created gt datetime'2015-01-01T00:00:00Z' and (State eq 0)", 200, assetID},
		{"/api/Assets?$filter=substringof('bunny',tolower(Name))", 200, assetID},
		{"/api/Assets?$filter=AlternateId eq null and not (Options eq 1)", 200, assetID},
		{"/api/Assets?$filter=Nam eq 'x'", 400, "No property 'Nam' exists"},
		{"/api/Assets?$filter=Name eq", 400, "$filter"},
		{"/api/Assets?$filter=Name eq 3", 400, "incompatible types"},
		{"/api/Assets?$top=x", 400, "$top"},
		{"/api/Assets?$skip=-1", 400, "$skip"},
		{"/api/Assets?$top=1&$top=2", 400, "exactly once"},
		{"/api/Assets?$search=x", 400, "not recognized"},
		{"/api/Assets?$inlinecount=some", 400, "allpages"},
		{"/api/Assets?$expand=Nothing", 400, "Nothing"},
		{"/api/Assets?$select=Nothing", 400, "Nothing"},
		{"/api/Assets?$expand=Files,Locators/AccessPolicy&$select=Id,Files/Name,Locators", 200, `"Files":[{"Name":"it's <a> & b.mp4"}]`},
		{"/api/Nothing", 404, "Resource not found for the segment 'Nothing'."},
		{asset + "/Nothing", 404, "Nothing"},
		{"/api/Channels", 501, "Channels"},
		{"/api/RebindContentKey?id=''&x509Certificate=''", 501, "RebindContentKey"},
		{"/api/Assets('a", 400, "query syntax"},
		{"/api/Assets('a'b')", 400, "query syntax"},
		{"/api/GetProtectionKey?ProtectionKeyId='7d'", 200, `"value":"7d"`},
		{"/api/GetProtectionKey", 400, "protectionKeyId"},
		{"/api/GetProtectionKeyId?contentKeyType=x", 400, "contentKeyType"},
		{"/api/CancelJob?jobid='nb%3ajid%3aUUID%3a1'", 204, ""},
	} {
		_, s := newWorld(t)
		got := ask(s, "GET", strings.NewReplacer(" ", "%20").Replace(tt.path), "")
		if got.Code != tt.code || !strings.Contains(got.Body.String(), tt.has) {
			t.Errorf("%s: %d %s, want %d %s", tt.path, got.Code, got.Body, tt.code, tt.has)
		}
	}
}

func TestHeaders(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header []string
		code   int
		want   string // Content-Type
	}{
		{"documents", []string{"Accept-Charset", "UTF-8"}, 200, "application/json;odata=minimalmetadata;streaming=true;charset=utf-8"},
		{"none", []string{"Accept", ""}, 200, "application/atom+xml;type=feed;charset=utf-8"},
		{"any", []string{"Accept", "*/*"}, 200, "application/atom+xml;type=feed;charset=utf-8"},
		{"weighed", []string{"Accept", "application/atom+xml;q=0.5, application/json;odata=verbose"}, 200, "application/json;odata=verbose;charset=utf-8"},
		{"old JSON", []string{"MaxDataServiceVersion", "2.0"}, 200, "application/json;odata=verbose;charset=utf-8"},
		{"image", []string{"Accept", "image/png"}, 415, "application/xml;charset=utf-8"},
		{"no version", []string{"x-ms-version", ""}, 400, "application/json;odata=minimalmetadata;streaming=true;charset=utf-8"},
		{"2.20", []string{"x-ms-version", "2.20"}, 400, ""},
		{"2.05", []string{"x-ms-version", "2.05"}, 400, ""},
		{"3.0", []string{"x-ms-version", "3.0"}, 400, ""},
		{"no DSV", []string{"DataServiceVersion", "", "MaxDataServiceVersion", ""}, 200, ""},
		{"DSV 4", []string{"DataServiceVersion", "4.0"}, 400, ""},
		{"DSV text", []string{"MaxDataServiceVersion", "three"}, 400, ""},
		{"charset", []string{"Accept-Charset", "utf-16"}, 406, ""},
		{"charsets", []string{"Accept-Charset", "ISO-8859-1,utf-8;q=0.7,*;q=0.3"}, 200, ""},
		{"any charset", []string{"Accept-Charset", "*"}, 200, ""},
		{"any but UTF-8", []string{"Accept-Charset", "utf-8;q=0, *"}, 406, ""},
		{"UTF-8 never", []string{"Accept-Charset", "UTF-8 ; q=0.0"}, 406, ""},
		{"old charset", []string{"Accept-Charset", "ISO-8859-1"}, 406, ""},
		{"no such charset", []string{"Accept-Charset", "nonsense"}, 406, ""},
		{"no quality", []string{"Accept-Charset", "utf-8;q=x"}, 406, ""},
		{"blank charset", []string{"Accept-Charset", "  "}, 200, ""},
		{"body in UTF-16", []string{"Content-Type", "application/json;charset=utf-16"}, 200, ""}, // a GET has none
	} {
		_, s := newWorld(t)
		got := ask(s, "GET", "/api/Assets", "", append(tt.header, "x-ms-client-request-id", "c59de965")...)
		h := got.Header()
		if got.Code != tt.code || tt.want != "" && h.Get("Content-Type") != tt.want {
			t.Errorf("%s: %d %s", tt.name, got.Code, h.Get("Content-Type"))
		}
		if h.Get("x-ms-client-request-id") != "c59de965" || h.Get("Cache-Control") != "no-cache" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", tt.name, h)
		}
	}
}

// Each version that AMS had is taken, and no other.
func TestVersions(t *testing.T) {
	_, s := newWorld(t)
	for minor := range 22 {
		v := fmt.Sprint("2.", minor)
		want := 200
		if minor > 19 {
			want = 400
		}
		if got := ask(s, "GET", "/api/Assets", "", "x-ms-version", v); got.Code != want {
			t.Errorf("x-ms-version %s: %d %s", v, got.Code, got.Body)
		}
		if got := ask(s, "GET", "/api/$metadata?api-version="+v, "", "x-ms-version", ""); got.Code != want {
			t.Errorf("api-version=%s: %d %s", v, got.Code, got.Body)
		}
	}
}

// Bodies as documents and clients have them.
func TestCreate(t *testing.T) {
	ref := "https://media.windows.net/api/Assets('nb%3Acid%3AUUID%3Aaab7f15b')"
	task := `{"MediaProcessorId":"p","TaskBody":"<taskBody/>"}`
	for _, tt := range []struct {
		name, path, body, contentType string
		code                          int
		has                           string // of the insert, as JSON
	}{
		{"text for number", "Assets", `{"Name":"BigBuckBunny.mp4", "Options":"0"}`, "", 201, `"Options":0`},
		{"doubled comma", "Locators", `{"AccessPolicyId": "p", "AssetId" : "a", "StartTime" : "2014-05-17T16:45:53",, "Type":2}`, "", 201, `"Type":2`},
		{"trailing comma", "Assets", `{"Name":"x",}`, "", 201, `"Name":"x"`},
		{"single quotes and a tab", "Assets", "{'Name':'a\"b\tc'}", "", 201, `a\"b\tc`},
		{"number for text", "Assets", `{"Name":42}`, "", 201, `"Name":"42"`},
		{"read-only", "Assets", `{"Id":null,"State":null,"Created":"0001-01-01T00:00:00","Uri":"x"}`, "", 201, `{"FormatOption":0,"Options":0}`},
		{"US date", "Locators", `{"AccessPolicyId":"p","AssetId":"a","Type":1,"StartTime":"11/21/2026 10:58:50 PM"}`, "", 201, `"2026-11-21T22:58:50Z"`},
		{"verbose reference", "Jobs", `{"Name":"j","InputMediaAssets":[{"__metadata":{"uri":"` + ref + `"}}],"Tasks":[` + task + `]}`, "application/json;odata=verbose", 201, `"Key":"nb:cid:UUID:aab7f15b"`},
		{"verbose in light", "Jobs", `{"InputMediaAssets":[{"__metadata":{"uri":"` + ref + `"}}]}`, "application/json", 201, `"Key":"nb:cid:UUID:aab7f15b"`},
		{"bind", "Jobs", `{"InputMediaAssets@odata.bind":["` + ref + `"]}`, "", 201, `"Key":"nb:cid:UUID:aab7f15b"`},
		{"encoded whole", "Jobs", `{"InputMediaAssets@odata.bind":["https://h/api%2FAssets%28%27nb%3Acid%3AUUID%3Aaab7f15b%27%29"]}`, "", 201, `"Key":"nb:cid:UUID:aab7f15b"`},
		{"bind by key", "IngestManifestAssets", `{"ParentIngestManifestId":"m","Asset":{"Id":"nb:cid:UUID:b7"}}`, "", 201, `"Key":"nb:cid:UUID:b7"`},
		{"bind missing", "IngestManifestAssets", `{"ParentIngestManifestId":"m"}`, "", 400, ""},
		{"bind to another set", "Jobs", `{"InputMediaAssets@odata.bind":["https://h/api/Files('x')"]}`, "", 400, ""},
		{"property unknown", "Assets", `{"Nme":"x"}`, "", 400, ""},
		{"property of a part unknown", "Jobs", `{"Tasks":[{"Nme":"x"}]}`, "", 400, ""},
		{"required", "Files", `{"Name":"x"}`, "", 400, ""},
		{"required of a part", "Jobs", `{"Tasks":[{"Name":"x"}]}`, "", 400, ""},
		{"no duration", "AccessPolicies", `{"Name":"x"}`, "", 500, ""},
		{"long", "Assets", `{"Name":"` + strings.Repeat("é", 513) + `"}`, "", 400, ""},
		{"as long as can be", "Assets", `{"Name":"` + strings.Repeat("é", 512) + `"}`, "", 201, ""},
		{"wrong number", "Assets", `{"Options":"none"}`, "", 400, ""},
		{"not JSON", "Assets", `{"Name"}`, "", 400, ""},
		{"deep", "Assets", strings.Repeat("[", 100_000), "", 400, ""},
		{"deep objects", "Assets", strings.Repeat(`{"a":`, 100_000), "", 400, ""},
		{"huge", "Assets", `{"Name":"` + strings.Repeat("x", 16<<20) + `"}`, "", 413, ""},
		{"many values", "Jobs", `{"Tasks":[` + strings.Repeat("1,", 200_001) + `]}`, "", 400, ""},
		{"many parts", "Jobs", `{"Tasks":[` + strings.Repeat(task+",", 1001) + `]}`, "", 400, ""},
		{"many references", "Jobs", `{"InputMediaAssets@odata.bind":[` + strings.Repeat(`"`+ref+`",`, 1001) + `]}`, "", 400, ""},
		{"deep Atom", "Assets", `<entry xmlns="http://www.w3.org/2005/Atom">` + strings.Repeat("<a>", 100_000), "application/atom+xml", 400, ""},
		{"an image", "Assets", `x`, "image/png", 415, ""},
		{"below an asset", "Assets('" + assetID + "')/Files", `{"Name":"x"}`, "", 201, `"ParentAssetId":"` + assetID + `"`},
		{"below another asset", "Assets('" + assetID + "')/Files", `{"Name":"x","ParentAssetId":"nb:cid:UUID:other"}`, "", 400, ""},
		{"tasks alone", "Tasks", task, "", 405, ""},
		{"live", "StreamingEndpoints", `{"Name":"e","CacheControl":{"MaxAge":"60"},"CustomHostNames":["a"]}`, "", 202, `"MaxAge":60`},
		{"Atom", "Jobs", `<a:entry xmlns:a="http://www.w3.org/2005/Atom" ` + namespaces + `><a:content><m:properties><d:Name>n</d:Name><d:Priority m:type="Edm.Int32">3</d:Priority><d:TemplateId m:null="true"/><d:JobNotificationSubscriptions m:type="Collection(x)"><d:element><d:TargetJobState>2</d:TargetJobState></d:element></d:JobNotificationSubscriptions></m:properties></a:content>` +
			`<a:link rel="http://schemas.microsoft.com/ado/2007/08/dataservices/related/InputMediaAssets" href="` + ref + `"/></a:entry>`, "application/atom+xml", 201, `"JobNotificationSubscriptions":[{"TargetJobState":2}],"Name":"n","Priority":3,"TemplateId":null`},
		{"Atom with a DTD", "Assets", `<!DOCTYPE x [<!ENTITY a "b">]><entry/>`, "application/atom+xml", 400, ""},
		{"Atom cut off", "Assets", `<entry xmlns="http://www.w3.org/2005/Atom"><content>`, "application/atom+xml", 400, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, s := newWorld(t)
			if tt.contentType == "" {
				tt.contentType = "application/json"
			}
			got := ask(s, "POST", "/api/"+tt.path, tt.body, "Content-Type", tt.contentType)
			if got.Code != tt.code {
				t.Fatalf("%d %s", got.Code, got.Body)
			}
			if tt.code >= 300 {
				if w.last != nil || !strings.Contains(got.Body.String(), `"odata.error"`) {
					t.Errorf("%+v %s", w.last, got.Body)
				}
				return
			}
			type shown struct {
				Values odata.Entity
				Bind   map[string][]odata.Ref
			}
			b, err := json.Marshal(shown{w.last.Values, w.last.Bind})
			if err != nil || !strings.Contains(string(b), tt.has) {
				t.Errorf("%s %v, want %s", b, err, tt.has)
			}
			if !strings.HasPrefix(got.Header().Get("Location"), "http://media.example/api/") {
				t.Error(got.Header())
			}
			if op := got.Header().Get("operation-id"); (op != "") != (tt.code == 202) {
				t.Error(op)
			}
		})
	}
}

func TestChange(t *testing.T) {
	file := "/api/Files('" + fileID + "')"
	for _, tt := range []struct {
		method, path, body string
		code               int
		asked              string
	}{
		{"MERGE", file, `{"ContentFileSize":"7","Id":"` + fileID + `","Name":"n.mp4","ParentAssetId":"` + strings.ToUpper(assetID) + `"}`, 204, "update " + fileID + " map[ContentFileSize:7 Name:n.mp4]"},
		{"PATCH", "/api%2FFiles%28%27" + strings.ReplaceAll(fileID, ":", "%3A") + "%27%29", `{"IsPrimary":"false"}`, 204, "update " + fileID + " map[IsPrimary:false]"},
		{"PUT", "/api/ContentKeys('" + keyID + "')", `{"AuthorizationPolicyId":"p"}`, 204, "update " + keyID + " map[AuthorizationPolicyId:p]"},
		{"POST MERGE", asset, `{"Name":null}`, 204, "update " + assetID + " map[Name:<nil>]"},
		{"GET DELETE", asset + "?keepcontainer=true", ``, 204, "delete " + assetID + " keepcontainer=true"},
		{"MERGE", file, `{"ParentAssetId":"other"}`, 400, ""},
		{"MERGE", file, `{"Nothing":1}`, 400, ""},
		{"MERGE", "/api/Files('none')", `{}`, 404, ""},
		{"MERGE", "/api/AccessPolicies('" + policy + "')", `{}`, 400, ""},
		{"MERGE", "/api/MediaProcessors('x')", `{}`, 405, ""},
		{"DELETE", "/api/MediaProcessors('x')", ``, 405, ""},
		{"DELETE", "/api/Assets", ``, 405, ""},
		{"POST", asset, `{}`, 405, ""},
		{"BREW", asset, ``, 405, ""},
		{"MERGE", "/api/EncodingReservedUnitTypes(guid'" + strings.ToUpper(unitID) + "')", `{"CurrentReservedUnits":2,"ReservedUnitType":1}`, 204, "update " + unitID + " map[CurrentReservedUnits:2 ReservedUnitType:1]"},
		{"POST", "/api/StreamingEndpoints('e')/Start", ``, 202, "StreamingEndpoints/Start emap[]"},
		{"GET", "/api/StreamingEndpoints('e')/Start", ``, 405, ""},
		{"GET", "/api/CancelJob?jobid='j'", ``, 204, "CancelJob map[jobid:j]"},
		{"POST", "/api/CancelJob?jobid='j'", ``, 405, ""},
	} {
		w, s := newWorld(t)
		method, tunneled, _ := strings.Cut(tt.method, " ")
		got := ask(s, method, tt.path, tt.body, "X-HTTP-Method", tunneled)
		if got.Code != tt.code || strings.Join(w.asked, ";") != tt.asked {
			t.Errorf("%s %s: %d %s %q", tt.method, tt.path, got.Code, got.Body, w.asked)
		}
		if tt.code == 204 && (got.Body.Len() > 0 || got.Header().Get("Content-Length") != "") {
			t.Errorf("%s %s: a 204 with a body", tt.method, tt.path)
		}
	}
}

func TestLinks(t *testing.T) {
	w, s := newWorld(t)
	links := asset + "/$links/ContentKeys"
	for _, tt := range []struct {
		method, path, body, contentType string
		code                            int
		linked                          []string
	}{
		{"POST", links, `{"uri": "https://h/api/ContentKeys('nb%3Akid%3AUUID%3A2')"}`, "application/json;odata=verbose", 204, []string{keyID, "nb:kid:UUID:2"}},
		{"POST", links, `{"url": "https://h/api/ContentKeys('nb%3Akid%3AUUID%3A2')"}`, "application/json", 409, []string{keyID, "nb:kid:UUID:2"}},
		{"POST", links, `<x:uri xmlns:x="http://schemas.microsoft.com/ado/2007/08/dataservices">https://h/api/ContentKeys('3')</x:uri>`, "application/xml", 204, []string{keyID, "nb:kid:UUID:2", "3"}},
		{"DELETE", asset + "/$links/ContentKeys('nb%3Akid%3AUUID%3A2')", "", "", 204, []string{keyID, "3"}},
		{"DELETE", links, "", "", 405, []string{keyID, "3"}},
		{"PUT", links, `{"uri":"https://h/api/ContentKeys('4')"}`, "application/json", 405, []string{keyID, "3"}},
		{"PUT", asset + "/$links/ContentKeys('3')", `{"uri":"https://h/api/ContentKeys('4')"}`, "application/json", 405, []string{keyID, "3"}},
		{"PUT", asset + "/$links/StorageAccount", `{"uri":"https://h/api/StorageAccounts('4')"}`, "application/json", 405, []string{keyID, "3"}},
		{"POST", links, `{"uri":"https://h/api/Assets('3')"}`, "application/json", 400, []string{keyID, "3"}},
		{"POST", links, `{}`, "application/json", 400, []string{keyID, "3"}},
		{"POST", asset + "/$links/Files", `{"uri":"https://h/api/Files('3')"}`, "application/json", 405, []string{keyID, "3"}},
	} {
		got := ask(s, tt.method, tt.path, tt.body, "Content-Type", tt.contentType)
		if d := cmp.Diff(tt.linked, w.links[assetID+"/ContentKeys"]); got.Code != tt.code || d != "" {
			t.Errorf("%s %s: %d %s %s", tt.method, tt.body, got.Code, got.Body, d)
		}
	}
}

// The link to a single entity is replaced by PUT, and by MERGE.
func TestSingleLink(t *testing.T) {
	m := model(t)
	m.Set("Locators").Navigation[0].Links = true // no set of AMS has one that can change
	w := &world{sets: map[string]*shelf{}, links: map[string][]string{}}
	c := odata.Config{Model: m, Path: "/api/", Sets: map[string]odata.Reader{}}
	for _, name := range []string{"Locators", "AccessPolicies"} {
		s := &shelf{w: w, set: m.Set(name)}
		w.sets[name], c.Sets[name] = s, s
	}
	s, err := odata.New(c)
	if err != nil {
		t.Fatal(err)
	}
	w.add("Locators", odata.Entity{"Id": "1", "AccessPolicyId": "a"})
	const link = "/api/Locators('1')/$links/AccessPolicy"
	for _, tt := range []struct {
		method, path, body, contentType string
		code                            int
		linked                          string
	}{
		{"PUT", link, `{"uri":"https://h/api/AccessPolicies('b')"}`, "application/json;odata=verbose", 204, "[b]"},
		{"MERGE", link, `{"url":"AccessPolicies('c')"}`, "application/json", 204, "[b c]"}, // the shelf does not replace
		{"PUT", link, `<uri xmlns="http://schemas.microsoft.com/ado/2007/08/dataservices">https://h/api/AccessPolicies('d')</uri>`, "application/xml", 204, "[b c d]"},
		{"POST", link, `{"uri":"https://h/api/AccessPolicies('b')"}`, "application/json", 405, "[b c d]"},
		{"PUT", link, `{"uri":"https://h/api/Assets('b')"}`, "application/json", 400, "[b c d]"},
		{"DELETE", link, "", "", 204, "[b c d]"},
	} {
		got := ask(s, tt.method, tt.path, tt.body, "Content-Type", tt.contentType)
		if linked := fmt.Sprint(w.links["1/AccessPolicy"]); got.Code != tt.code || linked != tt.linked {
			t.Errorf("%s %s: %d %s, linked %s", tt.method, tt.body, got.Code, got.Body, linked)
		}
	}
}

// Pages lead from one to the next.
func TestPages(t *testing.T) {
	w, s := newWorld(t)
	for i := range 2500 {
		w.add("AccessPolicies", odata.Entity{"Id": "p" + strings.Repeat("x", i%7), "Name": "n", "DurationInMinutes": 1.0, "Permissions": 1})
	}
	pages := func(query string) (sizes []int) {
		path := "/api/AccessPolicies" + query
		for path != "" {
			var page struct {
				Value []any
				Next  string `json:"odata.nextLink"`
			}
			got := ask(s, "GET", path, "")
			if err := json.Unmarshal(got.Body.Bytes(), &page); err != nil {
				t.Fatal(err, got.Body)
			}
			sizes = append(sizes, len(page.Value))
			path = strings.TrimPrefix(page.Next, "http://media.example")
		}
		return sizes
	}
	for query, want := range map[string][]int{
		"":                                {1000, 1000, 501},
		"?$top=10":                        {10},
		"?$top=0":                         {0},
		"?$top=1500":                      {1000, 500},
		"?$skip=2000":                     {501},
		"?$skip=1000&$orderby=Name":       {1000, 501},
		"?$filter=Name%20ne%20'n'&$top=9": {1},
	} {
		if d := cmp.Diff(want, pages(query)); d != "" {
			t.Errorf("%s: %s", query, d)
		}
	}
}

// Errors from outside of the Server are in the format of the request, and
// those of handlers that nobody may read are not shown.
func TestWriteError(t *testing.T) {
	_, s := newWorld(t)
	for accept, want := range map[string]string{
		"application/json":               `{"odata.error":{"code":"","message":{"lang":"en-US","value":"no token"}}}`,
		"application/json;odata=verbose": `{"error":{"code":"","message":{"lang":"en-US","value":"no token"}}}`,
		"":                               `<?xml version="1.0" encoding="utf-8"?><m:error xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><m:code /><m:message xml:lang="en-US">no token</m:message></m:error>`,
	} {
		r := httptest.NewRequest("GET", "/api/Assets", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		s.WriteError(w, r, &odata.Error{Status: 401, Message: "no token", Header: http.Header{"WWW-Authenticate": {"Bearer"}}})
		if w.Code != 401 || w.Body.String() != want || w.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: %d %s %v", accept, w.Code, w.Body, w.Header())
		}
		w = httptest.NewRecorder()
		if s.WriteError(w, r, errors.New("the password is x")); w.Code != 500 || strings.Contains(w.Body.String(), "password") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

// What is not served is not described.
func TestServedAlone(t *testing.T) {
	m := model(t)
	w := &world{sets: map[string]*shelf{}}
	c := odata.Config{Model: m, Path: "/api/", Sets: map[string]odata.Reader{}}
	for _, name := range []string{"Assets", "Files"} {
		s := &shelf{w: w, set: m.Set(name)}
		w.sets[name], c.Sets[name] = s, s
	}
	s, err := odata.New(c)
	if err != nil {
		t.Fatal(err)
	}
	w.add("Assets", odata.Entity{"Id": assetID})
	got := ask(s, "GET", "/api/$metadata", "").Body.String() + ask(s, "GET", "/api/", "").Body.String() + ask(s, "GET", "/api/Assets", "", "Accept", "").Body.String()
	if strings.Contains(got, "ContentKey") || strings.Contains(got, "CancelJob") || strings.Contains(got, "Publish") || strings.Contains(got, "ComplexType") {
		t.Errorf("%s", got)
	}
	if got := ask(s, "GET", asset+"/ContentKeys", ""); got.Code != 501 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	c.Sets = map[string]odata.Reader{"Files": struct{ odata.Reader }{w.sets["Files"]}}
	reading, err := odata.New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"MERGE", "DELETE"} {
		if got := ask(reading, method, "/api/Files('x')", ""); got.Code != 501 {
			t.Errorf("%s: %d %s", method, got.Code, got.Body)
		}
	}
	if got := ask(reading, "POST", "/api/Files", `{"Name":"x","ParentAssetId":"y"}`); got.Code != 501 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	for name, c := range map[string]odata.Config{
		"set":        {Model: m, Sets: map[string]odata.Reader{"Nothing": c.Sets["Files"]}},
		"function":   {Model: m, Calls: map[string]odata.Call{"Nothing": nil}},
		"navigation": {Model: m, Sets: map[string]odata.Reader{"Assets": struct{ odata.Reader }{}, "ContentKeys": struct{ odata.Reader }{}}},
	} {
		if _, err := odata.New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The declared model has all that AMS had.
func TestModel(t *testing.T) {
	m := model(t)
	if len(m.Sets) != 26 || len(m.Types) != 29 {
		t.Errorf("%d sets, %d types", len(m.Sets), len(m.Types))
	}
	for _, bad := range []string{``, `{"sets":[{"name":"A"}]}`,
		`{"sets":[{"name":"A","properties":[{"name":"Id","key":true,"type":"Edm.Nothing","access":"read"}]}]}`,
		`{"sets":[{"name":"A","properties":[{"name":"Id","key":true,"type":"Edm.String","access":"read"}],"navigation":[{"name":"n","set":"B"}]}]}`,
		`{"functions":[{"name":"f","returns":"Self.Nothing"}]}`} {
		if _, err := odata.ParseModel([]byte(bad)); err == nil {
			t.Errorf("%s: accepted", bad)
		}
	}
	if _, err := os.Stat("testdata/metadata.xml"); err != nil {
		t.Error(err)
	}
}
