package odata_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const namespaces = `xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"`

// printed is the $batch of the documents of AMS.
const printed = `

--batch_a01a5ec4
Content-Type: multipart/mixed; boundary=changeset_122fb0a4

--changeset_122fb0a4
Content-Type: application/http
Content-Transfer-Encoding: binary

POST https://media.windows.net/api/Jobs HTTP/1.1
Content-ID: 1
Content-Type: application/json
Accept: application/json
DataServiceVersion: 3.0
MaxDataServiceVersion: 3.0
Accept-Charset: UTF-8
Authorization: Bearer <token>
x-ms-version: 2.11
x-ms-client-request-id: 00000000-0000-0000-0000-000000000000

{"Name" : "NewTestJob", "InputMediaAssets@odata.bind":["https://media.windows.net/api/Assets('nb%3Acid%3AUUID%3A2a22445d-1500-80c6-4b34-f1e5190d33c6')"]}

--changeset_122fb0a4
Content-Type: application/http
Content-Transfer-Encoding: binary

POST https://media.windows.net/api/$1/Tasks HTTP/1.1
Content-ID: 2
Content-Type: application/json;odata=verbose
Accept: application/json;odata=verbose
DataServiceVersion: 3.0
MaxDataServiceVersion: 3.0

{
   "Configuration":"H264 Adaptive Bitrate MP4 Set 720p",
   "MediaProcessorId":"nb:mpid:UUID:1b1da727-93ae-4e46-a8a1-268828765609",
   "TaskBody":"<?xml version=\"1.0\" encoding=\"utf-8\"?><taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset assetName=\"Custom output name\">JobOutputAsset(0)</outputAsset></taskBody>"
}

--changeset_122fb0a4--
--batch_a01a5ec4--
`

// sdk is what the PHP SDK sends: lines of the parts end in CRLF and those of
// the requests in LF, headers are in lower case, paths double a slash.
var sdk = strings.ReplaceAll(`--=_batch¶
content-type: multipart/mixed;¶
 boundary="=_changeset"¶
¶
--=_changeset¶
content-type: application/http¶
content-transfer-encoding: binary¶
¶
POST http://media.example/api//Jobs HTTP/1.1
dataserviceversion: 3.0;NetFx
accept: application/atom+xml,application/xml
content-type: application/atom+xml
content-id: 1

<?xml version="1.0" encoding="utf-8" standalone="yes"?><atom:entry xmlns:atom="http://www.w3.org/2005/Atom"><atom:content type="application/xml"><meta:properties xmlns:meta="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><data:Name xmlns:data="http://schemas.microsoft.com/ado/2007/08/dataservices">php</data:Name></meta:properties></atom:content><atom:link rel="http://schemas.microsoft.com/ado/2007/08/dataservices/related/InputMediaAssets" href="http://media.example/api/Assets('nb%3acid%3aUUID%3a1')"/><atom:link rel="http://schemas.microsoft.com/ado/2007/08/dataservices/related/InputMediaAssets" href="Assets('nb%3acid%3aUUID%3a2')"/></atom:entry>¶
--=_changeset¶
content-type: application/http¶
content-transfer-encoding: binary¶
¶
POST http://media.example/api//$1/Tasks HTTP/1.1
accept: application/atom+xml,application/xml
content-type: application/atom+xml
content-id: 2

<entry xmlns="http://www.w3.org/2005/Atom" `+namespaces+`><content type="application/xml"><m:properties><d:Name m:null="true"/><d:MediaProcessorId>nb:mpid:UUID:x</d:MediaProcessorId><d:TaskBody>&lt;taskBody/&gt;</d:TaskBody><d:Options m:type="Edm.Int32">0</d:Options></m:properties></content></entry>¶
--=_changeset--¶
--=_batch--¶
`, "¶\n", "\r\n")

func batch(s *httptest.ResponseRecorder) string { return s.Body.String() }

func TestBatchCreatesJob(t *testing.T) {
	for name, tt := range map[string]struct {
		contentType, body string
		inputs            int
		answer            string
	}{
		"documents": {"multipart/mixed; boundary=batch_a01a5ec4", printed, 1, `{"d":{"__metadata"`},
		"CRLF":      {"multipart/mixed; boundary=batch_a01a5ec4", strings.ReplaceAll(printed, "\n", "\r\n"), 1, `{"d":{"__metadata"`},
		"PHP SDK":   {`multipart/mixed; boundary="=_batch"`, sdk, 2, "<entry xml:base"},
	} {
		t.Run(name, func(t *testing.T) {
			w, s := newWorld(t)
			got := ask(s, "POST", "/api/$batch", tt.body, "Content-Type", tt.contentType, "Accept", "multipart/mixed")
			if got.Code != 202 {
				t.Fatalf("%d: %s", got.Code, batch(got))
			}
			before, boundary, _ := strings.Cut(got.Header().Get("Content-Type"), "boundary=")
			body := batch(got)
			if before != "multipart/mixed; " || !strings.HasPrefix(body, "--"+boundary+"\r\n") || !strings.HasSuffix(body, "--"+boundary+"--\r\n") {
				t.Errorf("%s: %s", got.Header().Get("Content-Type"), body)
			}
			for _, want := range []string{"HTTP/1.1 201 Created\r\nContent-ID: 1\r\n", "HTTP/1.1 201 Created\r\nContent-ID: 2\r\n", tt.answer,
				"Location: http://media.example/api/Jobs('nb%3Anew%3AUUID%3A1')\r\n", "Location: http://media.example/api/Tasks('nb%3Anew%3AUUID%3A1')\r\n"} {
				if !strings.Contains(body, want) {
					t.Errorf("no %q in %s", want, body)
				}
			}
			if w.last.Set.Name != "Jobs" || len(w.last.Bind["InputMediaAssets"]) != tt.inputs || len(w.last.Inline["Tasks"]) != 1 {
				t.Errorf("%+v", w.last)
			}
		})
	}
}

func one(method, url, header, body string) string {
	return "--c\nContent-Type: application/http\n\n" + method + " " + url + " HTTP/1.1\nAccept: application/json\n" + header + "\n" + body + "\n"
}

// A changeset happens whole or not at all, and what it makes can be referred
// to in all ways.
func TestChangeset(t *testing.T) {
	send := func(parts ...string) (*world, string) {
		w, s := newWorld(t)
		body := "--b\nContent-Type: multipart/mixed; boundary=c\n\n" + strings.Join(parts, "") + "--c--\n--b\nContent-Type: application/http\n\nGET Assets/$count HTTP/1.1\n\n--b--\n"
		return w, batch(ask(s, "POST", "/api/$batch", body, "Content-Type", "multipart/mixed; boundary=b", "Accept", ""))
	}
	w, got := send(
		one("POST", "Assets", "Content-ID: a\n", `{"Name":"x"}`),
		one("POST", "/api/$a/Files", "Content-ID: f\n", `{"Name":"x.mp4"}`),
		one("POST", "ContentKeys", "Content-ID: k\n", `{}`),
		one("POST", "$a/$links/ContentKeys", "", `{"uri":"$k"}`),
		one("MERGE", "$a", "", `{"AlternateId":"y"}`))
	if strings.Count(got, "201 Created") != 3 || strings.Count(got, "204 No Content") != 2 || !strings.Contains(got, "\r\n\r\n2\r\n") {
		t.Errorf("%s", got)
	}
	if d := cmp.Diff([]string{"nb:new:UUID:1"}, w.links["nb:new:UUID:1/ContentKeys"]); d != "" {
		t.Error(d)
	}
	if f := w.sets["Files"].entities[1]; f["ParentAssetId"] != "nb:new:UUID:1" || w.sets["Assets"].entities[1]["AlternateId"] != "y" {
		t.Errorf("%v", f)
	}
	for _, bad := range []string{
		one("POST", "Assets", "Content-ID: 2\n", `{"Name":"refuse me"}`),
		one("POST", "Assets", "Content-ID: 2\n", `{"Nam":"no such"}`),
		one("GET", "Assets", "Content-ID: 2\n", ""),
		one("MERGE", "Assets('none')", "Content-ID: 2\n", "{}"),
		one("POST", "$9/Files", "Content-ID: 2\n", `{"Name":"x"}`),
		one("POST", "Jobs", "Content-ID: 2\n", `{"Tasks":[`+strings.Repeat(`{"MediaProcessorId":"m","TaskBody":"b"},`, 999)+`]}`), // with the asset and itself one too many
	} {
		_, got := send(one("POST", "Assets", "Content-ID: 1\n", `{"Name":"x"}`), bad)
		if strings.Contains(got, "201 Created") || strings.Contains(got, "changesetresponse") || !strings.Contains(got, "Content-ID: 2") || !strings.Contains(got, "\r\n\r\n1\r\n") {
			t.Errorf("%s\n%s", bad, got)
		}
	}
}

// A sent is a client that sees how many assets there are at each piece of an
// answer.
type sent struct {
	*httptest.ResponseRecorder
	w    *world
	seen []int
}

func (s *sent) Write(b []byte) (int, error) {
	s.seen = append(s.seen, len(s.w.sets["Assets"].entities))
	return s.ResponseRecorder.Write(b)
}

// The answer is sent as it is made: that to a small batch of large reads would
// fill the memory.
func TestBatchIsSentInPieces(t *testing.T) {
	w, s := newWorld(t)
	r := httptest.NewRequest("POST", "http://media.example/api/$batch", strings.NewReader(
		strings.Repeat("--b\nContent-Type: application/http\n\nPOST Assets HTTP/1.1\nAccept: application/json\nContent-Type: application/json\n\n{}\n", 3)+"--b--"))
	r.Header = http.Header{"Content-Type": {"multipart/mixed; boundary=b"}, "X-Ms-Version": {"2.19"}}
	first := len(w.sets["Assets"].entities) + 1
	got := &sent{ResponseRecorder: httptest.NewRecorder(), w: w}
	s.ServeHTTP(got, r)
	if got.Code != 202 || strings.Count(got.Body.String(), "201 Created") != 3 {
		t.Fatalf("%d %s", got.Code, got.Body)
	}
	if diff := cmp.Diff([]int{first, first + 1, first + 2, first + 2}, got.seen); diff != "" {
		t.Error(diff)
	}
}

func TestBatchRefused(t *testing.T) {
	_, s := newWorld(t)
	for name, tt := range map[string][2]string{
		"no boundary": {"multipart/mixed", printed},
		"no end":      {"multipart/mixed; boundary=b", "--b\nContent-Type: application/http\n\nGET Assets HTTP/1.1\n\n"},
		"no type":     {"multipart/mixed; boundary=b", "--b\n\nGET Assets HTTP/1.1\n\n--b--"},
		"too many":    {"multipart/mixed; boundary=b", strings.Repeat("--b\nContent-Type: application/http\n\nGET Assets HTTP/1.1\n\n", 1001) + "--b--"},
	} {
		if got := ask(s, "POST", "/api/$batch", tt[1], "Content-Type", tt[0]); got.Code != 400 {
			t.Errorf("%s: %d", name, got.Code)
		}
	}
}
