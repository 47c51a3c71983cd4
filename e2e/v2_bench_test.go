package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkV2 measures the v2 API beside v3 on one account with 100,000 assets
// (made by $batch, 500 to a changeset): a job with its task, a page of 1,000
// assets, a filter for one of them.
func BenchmarkV2(b *testing.B) {
	const assets, each, calls = 100_000, 500, 200
	s := start(b, "", "--workers", "0")
	s.http.Transport.(*http.Transport).MaxIdleConnsPerHost = 2
	token := func(form url.Values) string {
		form.Set("grant_type", "client_credentials")
		form.Set("client_id", s.ClientID)
		form.Set("client_secret", s.ClientSecret)
		resp, err := s.http.PostForm(s.Authority+"/"+s.TenantID+"/oauth2/token", form)
		if err != nil {
			b.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		found := regexp.MustCompile(`"access_token":"([^"]+)"`).FindSubmatch(body)
		if err != nil || found == nil {
			b.Fatalf("no token in %s, %v", body, err)
		}
		return string(found[1])
	}
	v2 := token(url.Values{"resource": {"https://rest.media.azure.net"}})
	v3 := token(url.Values{"resource": {s.Management}})
	call := func(status int, token, method, to, contentType, body string) string {
		req, err := http.NewRequest(method, to, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		for name, value := range map[string]string{"Authorization": "Bearer " + token, "Content-Type": contentType, "Accept": "application/json", "x-ms-version": "2.19"} {
			req.Header.Set(name, value)
		}
		resp, err := s.http.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != status {
			b.Fatalf("%s %s: %s %s %v", method, to, resp.Status, got[:min(len(got), 2000)], err)
		}
		return string(got)
	}
	// batch is a $batch of one changeset of POSTs.
	batch := func(posts ...[2]string) string {
		var body strings.Builder
		body.WriteString("--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n")
		for i, p := range posts {
			fmt.Fprintf(&body, "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nPOST %s%s HTTP/1.1\r\nContent-ID: %d\r\nContent-Type: application/json\r\nAccept: application/json\r\n\r\n%s\r\n", s.V2Endpoint, p[0], i+1, p[1])
		}
		body.WriteString("--c--\r\n--b--\r\n")
		got := call(http.StatusAccepted, v2, http.MethodPost, s.V2Endpoint+"$batch", "multipart/mixed; boundary=b", body.String())
		if n := strings.Count(got, "HTTP/1.1 201"); n != len(posts) {
			b.Fatalf("%d of %d were made: %s", n, len(posts), got[:min(len(got), 2000)])
		}
		return got
	}
	began := time.Now()
	for i := 0; i < assets; i += each {
		var posts [][2]string
		for j := range each {
			posts = append(posts, [2]string{"Assets", fmt.Sprintf(`{"Name":"bench-%06d"}`, i+j)})
		}
		batch(posts...)
	}
	b.Logf("%d assets in %v", assets, time.Since(began))
	account := s.Management + s.account()
	asset := call(http.StatusOK, v2, http.MethodGet, s.V2Endpoint+"Assets?$filter=Name%20eq%20'bench-050000'", "", "")
	id := regexp.MustCompile(`nb:cid:UUID:([0-9a-f-]{36})`).FindStringSubmatch(asset)[1]
	call(http.StatusCreated, v2, http.MethodPost, s.V2Endpoint+"Files", "application/json", `{"Name":"a.mp4","ParentAssetId":"nb:cid:UUID:`+id+`"}`)
	const version = "?api-version=2022-07-01"
	const v3assets = "?api-version=2022-08-01"
	call(http.StatusCreated, v3, http.MethodPut, account+"/transforms/t"+version, "application/json", `{"properties":{"outputs":[{"preset":{"@odata.type":"#Microsoft.Media.BuiltInStandardEncoderPreset","presetName":"AdaptiveStreaming"}}]}}`)
	list := call(http.StatusOK, v3, http.MethodGet, account+"/assets"+v3assets+"&$filter="+url.QueryEscape("properties/assetId eq "+id), "", "")
	name := regexp.MustCompile(`"name":"([^"]+)"`).FindStringSubmatch(list)
	if name == nil {
		b.Fatal(list)
	}
	task := `{"Configuration":"Adaptive Streaming","MediaProcessorId":"nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56","TaskBody":"<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>"}`
	for _, tt := range []struct {
		name string
		do   func(i int)
	}{
		{"job/v2-batch", func(int) {
			batch([2]string{"Jobs", `{"Name":"j","InputMediaAssets@odata.bind":["` + s.V2Endpoint + `Assets('nb:cid:UUID:` + id + `')"]}`}, [2]string{"$1/Tasks", task})
		}},
		{"job/v3", func(i int) { // v3 clients make the output asset themselves
			call(http.StatusCreated, v3, http.MethodPut, fmt.Sprintf("%s/assets/out-%d%s", account, i, v3assets), "application/json", `{}`)
			call(http.StatusCreated, v3, http.MethodPut, fmt.Sprintf("%s/transforms/t/jobs/j-%d%s", account, i, version), "application/json",
				fmt.Sprintf(`{"properties":{"input":{"@odata.type":"#Microsoft.Media.JobInputAsset","assetName":"%s"},"outputs":[{"@odata.type":"#Microsoft.Media.JobOutputAsset","assetName":"out-%d"}]}}`, name[1], i))
		}},
		{"list/v2", func(int) { call(http.StatusOK, v2, http.MethodGet, s.V2Endpoint+"Assets?$top=1000", "", "") }},
		{"list/v3", func(int) { call(http.StatusOK, v3, http.MethodGet, account+"/assets"+v3assets+"&$top=1000", "", "") }},
		{"filter/v2", func(i int) {
			call(http.StatusOK, v2, http.MethodGet, fmt.Sprintf("%sAssets?$filter=Name%%20eq%%20'bench-%06d'", s.V2Endpoint, i*397), "", "")
		}},
		{"filter/v3", func(int) {
			call(http.StatusOK, v3, http.MethodGet, account+"/assets"+v3assets+"&$filter="+url.QueryEscape("name eq '"+name[1]+"'"), "", "")
		}},
		{"filter-startswith/v2", func(i int) {
			call(http.StatusOK, v2, http.MethodGet, fmt.Sprintf("%sAssets?$filter=startswith(Name,'bench-%03d')", s.V2Endpoint, i%100), "", "")
		}},
		{"skip-50000/v2", func(int) { call(http.StatusOK, v2, http.MethodGet, s.V2Endpoint+"Assets?$skip=50000&$top=100", "", "") }},
	} {
		b.Run(tt.name, func(b *testing.B) {
			made := 0
			for b.Loop() {
				var took []time.Duration
				for range calls {
					t := time.Now()
					tt.do(made)
					took = append(took, time.Since(t))
					made++
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[calls/2].Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(took[calls*99/100].Microseconds())/1000, "p99-ms")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
