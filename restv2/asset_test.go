package restv2_test

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

// create posts an entity and returns it with its id.
func create(t *testing.T, s *httptest.Server, set, body string) (map[string]any, string) {
	t.Helper()
	code, h, e := ask(t, s, "Contributor", "POST", set, body)
	if code != 201 {
		t.Fatalf("POST %s %s: %d %v", set, body, code, e)
	}
	id, _ := e["Id"].(string)
	if want := s.URL + "/api/" + set + "('" + url.QueryEscape(id) + "')"; h.Get("Location") != want {
		t.Errorf("Location %q, want %q", h.Get("Location"), want)
	}
	return e, id
}

// names are the values of a property in the answer to a GET.
func names(t *testing.T, s *httptest.Server, path, property string) string {
	t.Helper()
	code, _, v := ask(t, s, "Reader", "GET", path, "")
	if code != 200 {
		t.Fatalf("GET %s: %d %v", path, code, v)
	}
	var out []string
	for _, e := range v["value"].([]any) {
		out = append(out, fmt.Sprint(e.(map[string]any)[property]))
	}
	return strings.Join(out, " ")
}

var assetKey = regexp.MustCompile(`^nb:cid:UUID:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// An asset made by v2 has the properties that the documents print, and is the
// asset that v3 shows.
func TestAsset(t *testing.T) {
	s, acc, blobs := newWorld(t)
	e, id := create(t, s, "Assets", `{"Name":"BigBuckBunny.mp4","Options":"0","AlternateId":"alt"}`)
	guid := strings.TrimPrefix(id, "nb:cid:UUID:")
	for name, want := range map[string]any{"State": 0.0, "Name": "BigBuckBunny.mp4", "Options": 0.0, "FormatOption": 0.0, "AlternateId": "alt",
		"Uri": "http://127.0.0.1:10000/store/asset-" + guid, "StorageAccountName": "store", "Created": e["LastModified"]} {
		if e[name] != want {
			t.Errorf("%s is %v, want %v", name, e[name], want)
		}
	}
	if !assetKey.MatchString(id) {
		t.Errorf("Id %s", id)
	}
	a, err := acc.AssetByID(t.Context(), guid)
	if err != nil || a.Name != "asset-"+guid || a.Container != "asset-"+guid {
		t.Fatalf("%+v %v", a, err)
	}
	if _, err := blobs.Container(t.Context(), "store", a.Container); err != nil {
		t.Error(err)
	}
	// v3 changes it, v2 sees it, and the other way round.
	text := "by v3"
	if _, err := acc.UpdateAsset(t.Context(), a.Name, account.AssetInput{AlternateID: &text}); err != nil {
		t.Fatal(err)
	}
	path := "Assets('" + strings.ToUpper(id) + "')"
	if code, _, v := ask(t, s, "Contributor", "MERGE", path, `{"Name":"new.name.mp4"}`); code != 204 {
		t.Fatalf("%d %v", code, v)
	}
	if _, _, e := ask(t, s, "Reader", "GET", path, ""); e["Name"] != "new.name.mp4" || e["AlternateId"] != "by v3" {
		t.Errorf("%v", e)
	}
	if _, _, v := ask(t, s, "Reader", "GET", path+"/StorageAccount", ""); v["Name"] != "store" {
		t.Errorf("%v", v)
	}
	for _, tt := range []struct {
		method, path, body string
		code               int
	}{
		{"POST", "Assets", `{"Options":3}`, 400},
		{"POST", "Assets", `{"FormatOption":2}`, 400},
		{"POST", "Assets", `{"StorageAccountName":"other"}`, 404},
		{"POST", "Assets", `{"Name":"` + strings.Repeat("é", 513) + `"}`, 400},
		{"MERGE", path, `{"Options":1}`, 400},
		{"POST", path + "/Publish", ``, 204},
		{"GET", "Assets('nb:cid:UUID:" + strings.Repeat("0", 36) + "')", ``, 404},
		{"GET", "Assets('" + guid + "')", ``, 404},
		{"DELETE", path, ``, 204},
		{"DELETE", path, ``, 404},
	} {
		if code, _, v := ask(t, s, "Contributor", tt.method, tt.path, tt.body); code != tt.code {
			t.Errorf("%s %s %s: %d %v, want %d", tt.method, tt.path, tt.body, code, v, tt.code)
		}
	}
	if _, err := acc.AssetByID(t.Context(), guid); err == nil {
		t.Error("deleted, but v3 has it")
	}
	if _, err := blobs.Container(t.Context(), "store", a.Container); err == nil {
		t.Error("the container is still there")
	}
	for options, format := range map[int]ams.StorageEncryption{0: ams.NotEncrypted, 1: ams.MediaStorageClientEncryption, 2: ams.NotEncrypted, 4: ams.NotEncrypted} {
		e, id := create(t, s, "Assets", fmt.Sprintf(`{"Options":%d}`, options))
		a, err := acc.AssetByID(t.Context(), strings.TrimPrefix(id, "nb:cid:UUID:"))
		if err != nil || e["Options"] != float64(options) || a.Options != ams.AssetOptions(options) || a.Format != format {
			t.Errorf("Options %d: %v, %+v %v", options, e, a, err)
		}
		if got := names(t, s, fmt.Sprintf("Assets?$filter=Options%%20eq%%20%d", options), "Id"); got != id {
			t.Errorf("filtered by Options %d: %s, want %s", options, got, id)
		}
	}
	for _, options := range []string{"3", "5", "6", "7", "8", "-1", `"x"`, "1.5", "null"} {
		code, _, v := ask(t, s, "Contributor", "POST", "Assets", `{"Options":`+options+`}`)
		if code != 400 && options != "null" || code != 201 && options == "null" {
			t.Errorf("Options %s: %d %v", options, code, v)
		}
	}
	_, id = create(t, s, "Assets", `{"Options":1}`)
	if code, _, _ := ask(t, s, "Contributor", "DELETE", "Assets('"+id+"')?keepcontainer=true", ""); code != 204 {
		t.Errorf("%d", code)
	}
	if _, err := blobs.Container(t.Context(), "store", "asset-"+strings.TrimPrefix(id, "nb:cid:UUID:")); err != nil {
		t.Errorf("keepcontainer: %v", err)
	}
}

// Lists take filters over every property, orders, and pages.
func TestAssetLists(t *testing.T) {
	s, acc, _ := newWorld(t)
	if _, _, err := acc.CreateOrUpdateAsset(t.Context(), "made by v3", account.AssetInput{}); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, body := range []string{`{"Name":"a.mp4","Options":1}`, `{"Name":"B.mp4","AlternateId":"x"}`, `{"Name":"b.mov"}`, `{"Name":"b.mov","AlternateId":"y"}`} {
		_, id := create(t, s, "Assets", body)
		ids = append(ids, id)
	}
	for _, tt := range []struct{ query, want string }{
		{"$orderby=Name", "B.mp4 a.mp4 b.mov b.mov made by v3"},
		{"$orderby=Name desc,AlternateId desc&$top=3", "made by v3 b.mov b.mov"},
		{"$orderby=Name&$skip=3", "b.mov made by v3"},
		{"$filter=Id eq '" + strings.ToUpper(ids[0]) + "'", "a.mp4"},
		{"$filter=Id ne '" + ids[0] + "' and startswith(Id,'nb:cid:UUID:') and Name lt 'b.z'&$orderby=Name", "B.mp4 b.mov b.mov"},
		{"$filter=Id eq 'nb:cid:UUID:zz'", ""},
		{"$filter=Name eq 'made by v3'", "made by v3"},
		{"$filter=Options eq 1 and State eq 0", "a.mp4"},
		{"$filter=(Name eq 'b.mov') and (AlternateId ne null)", "b.mov"},
		{"$filter=tolower(Name) eq 'b.mp4' or length(Name) gt 9&$orderby=Name", "B.mp4 made by v3"},
		{"$filter=endswith(Name,'.mp4') and not substringof('B',Name)", "a.mp4"},
		{"$filter=substringof('.mo',Name) eq true and AlternateId eq null", "b.mov"},
		{"$filter=concat(AlternateId,Name) eq 'xB.mp4'", "B.mp4"},
		{"$filter=trim(concat(' ',Name)) eq Name and Created gt datetime'2015-01-01T00:00:00Z' and 'b' gt Name&$orderby=Name", "B.mp4 a.mp4"},
		{"$filter=Created lt datetime'2015-01-01T00:00:00'", ""},
		{"$filter=StorageAccountName eq 'store' and LastModified ge Created&$orderby=State,Created&$top=1", "made by v3"},
		{"$filter=(Options eq 1) eq (1 eq 1 or Name eq 'q')", "?400"},
		{"$filter=Options eq 'x'", "?400"},
		{"$filter=Uri eq 'x'", "?400"},
		{"$filter=Name", "?400"},
		{"$filter=Name eq Options", "?400"},
		{"$filter=length(Options) eq 1", "?400"},
		{"$orderby=Uri", "?400"},
		{"$skiptoken=zz", "?400"},
	} {
		path := "Assets?" + strings.ReplaceAll(url.PathEscape(tt.query), "+", "%2B")
		if want, ok := strings.CutPrefix(tt.want, "?"); ok {
			if code, _, v := ask(t, s, "Reader", "GET", path, ""); fmt.Sprint(code) != want {
				t.Errorf("%s: %d %v", tt.query, code, v)
			}
		} else if got := names(t, s, path, "Name"); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.query, got, tt.want)
		}
	}
	_, _, v := ask(t, s, "Reader", "GET", "Assets?$inlinecount=allpages&$top=0&$filter=Options%20eq%200", "")
	if v["odata.count"] != "4" || len(v["value"].([]any)) != 0 {
		t.Errorf("%v", v)
	}
}

// An AssetFile is a record apart from its blob.
func TestFile(t *testing.T) {
	s, acc, blobs := newWorld(t)
	_, parent := create(t, s, "Assets", `{"Name":"a"}`)
	e, id := create(t, s, "Files", `{"IsEncrypted":"false","IsPrimary":"false","MimeType":"video/mp4","Name":"BigBuckBunny.mp4","ParentAssetId":"`+strings.ToUpper(parent)+`"}`)
	for name, want := range map[string]any{"Name": "BigBuckBunny.mp4", "ContentFileSize": "0", "ParentAssetId": parent, "EncryptionVersion": nil, "EncryptionScheme": nil,
		"IsEncrypted": false, "EncryptionKeyId": nil, "InitializationVector": nil, "IsPrimary": false, "MimeType": "video/mp4", "ContentChecksum": nil} {
		if e[name] != want {
			t.Errorf("%s is %v, want %v", name, e[name], want)
		}
	}
	path := "Files('" + id + "')"
	change := `{"ContentFileSize":"1186540","Id":"` + id + `","MimeType":"video/mp4","Name":"BigBuckBunny.mp4","ParentAssetId":"` + parent + `",
		"IsEncrypted":true,"EncryptionScheme":"StorageEncryption","EncryptionVersion":"1.0","EncryptionKeyId":"nb:kid:UUID:k","InitializationVector":"17","ContentChecksum":"c","IsPrimary":true}`
	if code, _, v := ask(t, s, "Contributor", "MERGE", path, change); code != 204 {
		t.Fatalf("%d %v", code, v)
	}
	_, _, e = ask(t, s, "Reader", "GET", path, "")
	for name, want := range map[string]any{"ContentFileSize": "1186540", "IsEncrypted": true, "EncryptionScheme": "StorageEncryption", "EncryptionVersion": "1.0",
		"EncryptionKeyId": "nb:kid:UUID:k", "InitializationVector": "17", "ContentChecksum": "c", "IsPrimary": true} {
		if e[name] != want {
			t.Errorf("%s is %v, want %v", name, e[name], want)
		}
	}
	_, second := create(t, s, "Files", `{"Name":"second.mp4","ParentAssetId":"`+parent+`"}`)
	post := func(name, more string) string {
		return `{"Name":"` + name + `","ParentAssetId":"` + parent + `"` + more + `}`
	}
	for _, tt := range []struct {
		method, path, body string
		code               int
	}{
		{"POST", "Files", post("BigBuckBunny.mp4", ""), 409},
		{"POST", "Files", post("third.mp4", `,"IsPrimary":true`), 409},
		{"MERGE", "Files('" + second + "')", `{"IsPrimary":"true"}`, 409},
		{"MERGE", "Files('" + second + "')", `{"Name":"BigBuckBunny.mp4"}`, 409},
		{"MERGE", "Files('" + second + "')", `{"ParentAssetId":"nb:cid:UUID:x"}`, 400},
		{"POST", "Files", `{"Name":"x.mp4"}`, 400},
		{"POST", "Files", `{"Name":"x.mp4","ParentAssetId":"nb:cid:UUID:` + strings.Repeat("0", 36) + `"}`, 404},
		{"POST", "Files", post("two.dots.mp4", ""), 400},
		{"POST", "Files", post("my clip.mp4", `,"Options":0`), 201},
		{"POST", "Files", post("neg.mp4", `,"ContentFileSize":-1`), 400},
		{"POST", "Files", post("", ""), 400},
	} {
		if code, _, v := ask(t, s, "Contributor", tt.method, tt.path, tt.body); code != tt.code {
			t.Errorf("%s %s %s: %d %v, want %d", tt.method, tt.path, tt.body, code, v, tt.code)
		}
	}
	for _, c := range `!*'();:@&=+$,/?%#[]"` {
		if code, _, _ := ask(t, s, "Contributor", "POST", "Files", post(strings.ReplaceAll("a"+string(c)+"b.mp4", `"`, `\"`), "")); code != 400 {
			t.Errorf("a name with %q: %d", c, code)
		}
	}
	if code, _, _ := ask(t, s, "Contributor", "POST", "Files", post(strings.Repeat("é", 257)+".mp4", "")); code != 400 {
		t.Errorf("a name of 261 characters: %d", code)
	}
	if got := names(t, s, "Assets('"+parent+"')/Files?$orderby=Name", "Name"); got != "BigBuckBunny.mp4 my clip.mp4 second.mp4" {
		t.Error(got)
	}
	if got := names(t, s, "Files?$filter=IsPrimary%20or%20Name%20eq%20'second.mp4'&$orderby=ContentFileSize%20desc", "Name"); got != "BigBuckBunny.mp4 second.mp4" {
		t.Error(got)
	}
	if _, _, v := ask(t, s, "Reader", "GET", path+"/Asset", ""); v["Id"] != parent {
		t.Errorf("%v", v)
	}

	// CreateFileInfos records the blobs that there are, and changes no record.
	a, err := acc.AssetByID(t.Context(), parent[len("nb:cid:UUID:"):])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"second.mp4", "v.ism", "folder/x.mp4", "made.by.others.mp4"} {
		if _, err := blobs.Put(t.Context(), "store", a.Container, name, strings.NewReader("12345"), blob.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, v := ask(t, s, "Reader", "GET", "CreateFileInfos?assetid='"+url.QueryEscape(parent)+"'", ""); code != 403 {
		t.Errorf("%d %v", code, v)
	}
	for range 2 {
		if code, _, v := ask(t, s, "Contributor", "GET", "CreateFileInfos?assetid='"+url.QueryEscape(parent)+"'", ""); code != 204 {
			t.Fatalf("%d %v", code, v)
		}
	}
	if got := names(t, s, "Files?$orderby=Name&$filter=ContentFileSize%20eq%205", "Name"); got != "made.by.others.mp4 v.ism" {
		t.Error(got)
	}
	if code, _, _ := ask(t, s, "Contributor", "MERGE", path, `{"IsPrimary":false}`); code != 204 {
		t.Errorf("%d", code)
	}
	if code, _, _ := ask(t, s, "Contributor", "DELETE", path, ""); code != 204 {
		t.Errorf("%d", code)
	}
	if code, _, _ := ask(t, s, "Contributor", "GET", "CreateFileInfos?assetid='"+parent+"'", ""); code != 204 {
		t.Errorf("%d", code)
	}
	if got := names(t, s, "Files?$filter=IsPrimary", "Name"); got != "v.ism" {
		t.Error(got)
	}
	if code, _, _ := ask(t, s, "Contributor", "DELETE", "Assets('"+parent+"')", ""); code != 204 {
		t.Errorf("%d", code)
	}
	if got := names(t, s, "Files", "Name"); got != "" {
		t.Errorf("files of a deleted asset: %s", got)
	}
}

// What assets, their files, access policies and locators look like.
func TestAssetGolden(t *testing.T) {
	s := newServer(t)
	_, asset := create(t, s, "Assets", `{"Name":"it's <a> & \"b\".mp4","AlternateId":"é","FormatOption":1}`)
	_, file := create(t, s, "Files", `{"Name":"a b.mp4","ParentAssetId":"`+asset+`","IsPrimary":true,"ContentFileSize":"5000000000","IsEncrypted":true,"EncryptionScheme":"StorageEncryption","EncryptionVersion":"1.0","InitializationVector":"12345678901234567890","MimeType":"video/mp4","ContentChecksum":"x"}`)
	_, policy := create(t, s, "AccessPolicies", `{"Name":"p","DurationInMinutes":440.5,"Permissions":15}`)
	_, origin := create(t, s, "Locators", `{"AccessPolicyId":"`+policy+`","AssetId":"`+asset+`","StartTime":"2015-02-18T16:45:53","Type":2,"Name":"n"}`)
	_, filter := create(t, s, "AssetFilters", `{"ParentAssetId":"`+asset+`","Name":"f","FirstQuality":{"Bitrate":5},"Tracks":[{"PropertyConditions":[{"Property":"Type","Value":"audio","Operator":"Equal"}]}]}`)
	for name, path := range map[string]string{
		"asset": "Assets('" + asset + "')", "assets": "Assets?$inlinecount=allpages", "asset-files": "Assets('" + asset + "')/Files",
		"file": "Files('" + file + "')", "file-size": "Files('" + file + "')/ContentFileSize", "file-links": "Assets('" + asset + "')/$links/Files",
		"access-policy": "AccessPolicies('" + policy + "')", "locator": "Locators('" + origin + "')", "locator-asset": "Locators('" + origin + "')/Asset?$select=Name",
		"asset-expanded": "Assets('" + asset + "')?$expand=Files,Locators/AccessPolicy&$select=Name,Files/Name,Locators/Type,Locators/AccessPolicy/Name",
		"asset-filter":   "AssetFilters('" + url.QueryEscape(filter) + "')",
		"parents":        "Assets('" + asset + "')/ParentAssets", "reserved-units": "EncodingReservedUnitTypes", "storage-accounts": "StorageAccounts('store')",
		"asset-missing": "Assets('nb:cid:UUID:x')", "asset-bad-property": "Assets?$filter=Nme%20eq%201",
	} {
		golden(t, s.URL, name, path)
	}
}
