package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// A v2client asks the v2 API with a bearer token.
type v2client struct {
	*server
	token string
}

// acs signs in by account name and key.
func (s *server) acs(t testing.TB) *v2client {
	t.Helper()
	body := "grant_type=client_credentials&client_id=" + s.AccountName + "&client_secret=" + url.QueryEscape(s.AccountKey) + " &scope=urn%3aWindowsAzureMediaServices"
	resp, err := s.http.Post(s.ACSEndpoint, "application/x-www-form-urlencoded", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var v struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || v.Token == "" {
		t.Fatalf("no token: %s %v", resp.Status, err)
	}
	return &v2client{s, v.Token}
}

// aad signs in by client id and secret at the v1 endpoint.
func (s *server) aad(t testing.TB, resource string) string {
	t.Helper()
	resp, err := s.http.PostForm(s.Authority+"/"+s.TenantID+"/oauth2/token", url.Values{"grant_type": {"client_credentials"},
		"client_id": {s.ClientID}, "client_secret": {s.ClientSecret}, "resource": {resource}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var v struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || v.Token == "" {
		t.Fatalf("no token: %s %v", resp.Status, err)
	}
	return v.Token
}

// do sends a request in verbose JSON and returns the "d" of the answer.
func (c *v2client) do(t testing.TB, method, path, body string, want int) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, c.V2Endpoint+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + c.token, "Accept": "application/json;odata=verbose", "Content-Type": "application/json;odata=verbose",
		"DataServiceVersion": "3.0", "MaxDataServiceVersion": "3.0", "x-ms-version": "2.11"} {
		req.Header.Set(name, value)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Fatalf("%s %s: %s %s, want %d", method, path, resp.Status, b, want)
	}
	var v struct{ D map[string]any }
	if len(b) > 0 {
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, b)
		}
	}
	return v.D
}

// made posts an entity and returns it.
func (c *v2client) made(t testing.TB, set, format string, args ...any) map[string]any {
	t.Helper()
	return c.do(t, "POST", set, fmt.Sprintf(format, args...), http.StatusCreated)
}

// put sends bytes to a blob as an old client does.
func (s *server) put(t testing.TB, url string, body []byte, header ...string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "PUT", url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}

// TestV2UploadAndStream signs in at the ACS endpoint, uploads in the ways of
// four clients through SAS locators, and streams and downloads through an
// OnDemandOrigin locator and a SAS locator, until these are deleted.
func TestV2UploadAndStream(t *testing.T) {
	t.Parallel()
	s := start(t, "", "--workers", "0", "--v2-redirect-host", "media.windows.net")
	c := s.acs(t)
	film := clip(t, "film.mp4", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=2", "-f", "lavfi", "-i", "sine=duration=2",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac")
	data, err := os.ReadFile(film)
	if err != nil {
		t.Fatal(err)
	}

	asset := c.made(t, "Assets", `{"Name":"BigBuckBunny.mp4"}`)
	write := c.made(t, "AccessPolicies", `{"Name":"upload","DurationInMinutes":"440","Permissions":"2"}`)
	upload := c.made(t, "Locators", `{"AccessPolicyId":"%s","AssetId":"%s","StartTime":"2015-02-18T16:45:53Z","Type":1}`, write["Id"], asset["Id"])
	if code := s.put(t, upload["BaseUri"].(string)+"/late.mp4"+upload["ContentAccessComponent"].(string), data, "x-ms-blob-type", "BlockBlob"); code != http.StatusForbidden {
		t.Errorf("a locator that ended in 2015: %d", code)
	}
	upload = c.made(t, "Locators", `{"AccessPolicyId":"%s","AssetId":"%s","Type":1}`, write["Id"], asset["Id"])
	path, base, sig := upload["Path"].(string), upload["BaseUri"].(string), upload["ContentAccessComponent"].(string)

	// azblob of today.
	box, err := container.NewClientWithNoCredential(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := box.NewBlockBlobClient("film.mp4").UploadStream(t.Context(), bytes.NewReader(data), &blockblob.UploadStreamOptions{BlockSize: 8 << 10, Concurrency: 3}); err != nil {
		t.Fatal(err)
	}
	// The PHP SDK: one piece, and blocks; azure-media for Node without any version.
	ism := `<?xml version="1.0" encoding="utf-8"?><smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="formats" content="mp4" /></head>` +
		`<body><switch><video src="film.mp4" /><audio src="film.mp4" title="audio" /></switch></body></smil>`
	block := base64.StdEncoding.EncodeToString([]byte("block-000000"))
	list := `<?xml version="1.0" encoding="UTF-8"?><BlockList><Latest>` + block + `</Latest></BlockList>`
	for _, p := range []struct {
		url    string
		body   string
		header []string
	}{
		{base + "/film.ism" + sig, ism, []string{"x-ms-version", "2012-02-12", "x-ms-blob-type", "BlockBlob"}},
		{base + "/my blocks.txt" + sig + "&comp=block&blockid=" + url.QueryEscape(block), "bytes", []string{"x-ms-version", "2012-02-12"}},
		{base + "/my blocks.txt" + sig + "&comp=blocklist", list, []string{"x-ms-version", "2012-02-12", "Content-Type", "application/octet-stream"}},
		{strings.Replace(path, "?", "/node.mp4?", 1), "x", []string{"x-ms-blob-type", "BlockBlob"}},
		{base + "/python.mp4" + sig, "x", []string{"x-ms-version", "2015-02-21", "x-ms-blob-type", "BlockBlob", "x-ms-meta-m1", "v1"}},
	} {
		if code := s.put(t, strings.ReplaceAll(p.url, " ", "%20"), []byte(p.body), p.header...); code != http.StatusCreated {
			t.Errorf("PUT %s: %d", p.url, code)
		}
	}
	if code, _ := s.get(t, base+"/film.mp4"+sig); code != http.StatusForbidden {
		t.Errorf("a locator to write reads: %d", code)
	}
	c.do(t, "GET", "CreateFileInfos?assetid='"+url.QueryEscape(asset["Id"].(string))+"'", "", http.StatusNoContent)
	files := c.do(t, "GET", "Assets('"+url.PathEscape(asset["Id"].(string))+"')/Files?$filter=IsPrimary%20eq%20true", "", http.StatusOK)["results"].([]any)
	if len(files) != 1 || files[0].(map[string]any)["Name"] != "film.ism" {
		t.Errorf("primary files: %v", files)
	}

	// Publish.
	read := c.made(t, "AccessPolicies", `{"Name":"DownloadPolicy","DurationInMinutes":"300","Permissions":1}`)
	origin := c.made(t, "Locators", `{"AccessPolicyId":"%s","AssetId":"%s","Type":2}`, read["Id"], asset["Id"])
	download := c.made(t, "Locators", `{"AccessPolicyId":"%s","AssetId":"%s","Type":1}`, read["Id"], asset["Id"])
	root := origin["Path"].(string)
	if !strings.HasPrefix(root, s.StreamingEndpoint+"/") {
		t.Errorf("Path %s is not at %s", root, s.StreamingEndpoint)
	}
	for suffix, want := range map[string]string{"film.ism/manifest": "<SmoothStreamingMedia", "film.ism/Manifest(format=m3u8-aapl)": "#EXTM3U",
		"film.ism/manifest(format=mpd-time-csf)": "<MPD", "film.mp4": string(data[:64])} {
		if code, body := s.get(t, root+suffix); code != http.StatusOK || !bytes.Contains(body, []byte(want)) {
			t.Errorf("GET %s: %d %.200s", suffix, code, body)
		}
	}
	if got := packets(t, root+"film.ism/Manifest(format=m3u8-aapl)"); !strings.Contains(got, "50") {
		t.Errorf("frames of the stream: %q", got)
	}
	at := func(l map[string]any, name string) string {
		return l["BaseUri"].(string) + "/" + name + l["ContentAccessComponent"].(string)
	}
	if code, body := s.get(t, at(download, "film.mp4")); code != http.StatusOK || !bytes.Equal(body, data) {
		t.Errorf("download: %d, %d bytes", code, len(body))
	}

	// A deleted locator opens nothing any more, whatever its URL says.
	for _, l := range []map[string]any{upload, download, origin} {
		c.do(t, "DELETE", "Locators('"+url.PathEscape(l["Id"].(string))+"')", "", http.StatusNoContent)
	}
	if code, _ := s.get(t, at(download, "film.mp4")); code != http.StatusForbidden {
		t.Errorf("download by a deleted locator: %d", code)
	}
	if code := s.put(t, at(upload, "new.mp4"), data, "x-ms-blob-type", "BlockBlob"); code != http.StatusForbidden {
		t.Errorf("upload by a deleted locator: %d", code)
	}
	if code, _ := s.get(t, root+"film.mp4"); code != http.StatusNotFound {
		t.Errorf("streaming by a deleted locator: %d", code)
	}

	// How clients find the API: its root, Resource Manager, and the old host.
	if d := c.do(t, "GET", "", "", http.StatusOK); len(d["EntitySets"].([]any)) < 10 {
		t.Errorf("%v", d)
	}
	once := *c
	once.token = url.QueryEscape(c.token)
	once.do(t, "GET", "/Assets()?$top=1", "", http.StatusOK)
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.Management+strings.ToLower(s.account())+"?api-version=2015-10-01", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.aad(t, s.Management))
	req.Header.Set("Accept", "application/json;odata=verbose")
	resp, err := s.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var found struct {
		Properties struct {
			APIEndpoints []struct{ Endpoint, MajorVersion string }
		}
	}
	err = json.NewDecoder(resp.Body).Decode(&found)
	resp.Body.Close()
	if e := found.Properties.APIEndpoints; err != nil || len(e) != 1 || e[0].Endpoint != s.V2Endpoint || e[0].MajorVersion != "2" {
		t.Errorf("discovery: %s %+v %v", resp.Status, found, err)
	}
	old := *s.http
	old.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for _, path := range []string{"/", "/API/Assets"} {
		if req, err = http.NewRequestWithContext(context.Background(), "GET", s.ManagementHTTP+path, nil); err != nil {
			t.Fatal(err)
		}
		req.Host = "media.windows.net"
		resp, err := old.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMovedPermanently || resp.Header.Get("Location") != s.V2Endpoint {
			t.Errorf("%s of the old host: %s to %s", path, resp.Status, resp.Header.Get("Location"))
		}
	}
}
