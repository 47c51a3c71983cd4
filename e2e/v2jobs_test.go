package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A v2Client is a program that was written for the v2 API.
type v2Client struct {
	*server
	testing.TB
	token string
}

func newV2(t testing.TB, s *server) *v2Client {
	t.Helper()
	return &v2Client{s, t, s.aad(t, "https://rest.media.azure.net")}
}

// send makes a request, which must be answered with status, and returns the
// answer's body.
func (c *v2Client) send(method, path, body string, status int, headers ...string) []byte {
	c.Helper()
	req, err := http.NewRequest(method, c.V2Endpoint+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	h := append([]string{"Authorization", "Bearer " + c.token, "Accept", "application/json", "Content-Type", "application/json",
		"DataServiceVersion", "1.0;NetFx", "MaxDataServiceVersion", "3.0;NetFx", "x-ms-version", "2.19"}, headers...)
	for i := 0; i < len(h); i += 2 {
		req.Header.Set(h[i], h[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		c.Fatalf("%s %s: %s %s, want %d", method, path, resp.Status, b, status)
	}
	return b
}

// create posts an entity and returns it.
func (c *v2Client) create(set, body string) map[string]any {
	c.Helper()
	var e map[string]any
	if err := json.Unmarshal(c.send("POST", set, body, 201), &e); err != nil {
		c.Fatal(err)
	}
	return e
}

func (c *v2Client) list(path string) []map[string]any {
	c.Helper()
	var page struct{ Value []map[string]any }
	if err := json.Unmarshal(c.send("GET", path, "", 200), &page); err != nil {
		c.Fatal(err)
	}
	return page.Value
}

func keyed(set string, id any) string {
	return set + "('" + url.QueryEscape(fmt.Sprint(id)) + "')"
}

// upload makes an asset of a file as the documents have it: an AssetFile, a SAS
// locator, a put, and a MERGE of the size.
func (c *v2Client) upload(name, path string) (id any) {
	c.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		c.Fatal(err)
	}
	asset := c.create("Assets", `{"Name":"`+name+`","Options":"0"}`)["Id"]
	file := c.create("Files", fmt.Sprintf(`{"IsEncrypted":"false","IsPrimary":"false","MimeType":"video/mp4","Name":%q,"ParentAssetId":%q}`, name, asset))["Id"]
	policy := c.create("AccessPolicies", `{"Name":"NewUploadPolicy","DurationInMinutes":"440","Permissions":"2"}`)["Id"]
	locator := c.create("Locators", fmt.Sprintf(`{"AccessPolicyId":%q,"AssetId":%q,"StartTime":%q,"Type":1}`, policy, asset, time.Now().UTC().Add(-5*time.Minute).Format("2006-01-02T15:04:05")))
	u := strings.Replace(locator["Path"].(string), "?", "/"+url.PathEscape(name)+"?", 1)
	req, err := http.NewRequest(http.MethodPut, u, bytes.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	req.Header.Set("x-ms-blob-type", "BlockBlob")
	resp, err := c.http.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 201 {
		c.Fatalf("PUT: %s", resp.Status)
	}
	c.send("MERGE", keyed("Files", file), fmt.Sprintf(`{"ContentFileSize":"%d","Id":%q,"MimeType":"video/mp4","Name":%q,"ParentAssetId":%q}`, len(body), file, name, asset), 204)
	c.send("DELETE", keyed("Locators", locator["Id"]), "", 204)
	c.send("DELETE", keyed("AccessPolicies", policy), "", 204)
	return asset
}

// wrap encrypts a key for the server's protection key.
func (c *v2Client) wrap(key []byte) string {
	c.Helper()
	var value struct{ Value string }
	get := func(path string) string {
		if err := json.Unmarshal(c.send("GET", path, "", 200), &value); err != nil {
			c.Fatal(err)
		}
		return value.Value
	}
	der, err := base64.StdEncoding.DecodeString(get("GetProtectionKey?ProtectionKeyId='" + get("GetProtectionKeyId?contentKeyType=0") + "'"))
	if err != nil {
		c.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		c.Fatal(err)
	}
	box, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, certificate.PublicKey.(*rsa.PublicKey), key, nil)
	if err != nil {
		c.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(box)
}

// wait polls the state of a job as the documents do, until it is final.
func (c *v2Client) wait(job any) (state string) {
	c.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		state = string(c.send("GET", keyed("Jobs", job)+"/State", "", 200, "Accept", "application/json;odata=verbose"))
		switch state {
		case `{"d":{"State":3}}`, `{"d":{"State":4}}`, `{"d":{"State":5}}`:
			return state
		}
		if time.Now().After(deadline) {
			c.Fatalf("the job does not end: %s", state)
		}
	}
}

// TestV2ChainedJob: upload, a $batch with the chained job that the documents
// print, notifications, publishing and playing, through v2 alone.
func TestV2ChainedJob(t *testing.T) {
	t.Parallel()
	key := []byte("the signing key of a web hook, of 64 bytes as documents have it.")
	var mu sync.Mutex
	var told []string
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct{ Properties map[string]string }
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		mac := hmac.New(sha256.New, key)
		mac.Write(body)
		if got := r.Header.Get("ms-signature"); err != nil || got != fmt.Sprintf("sha256=%X", mac.Sum(nil)) {
			t.Errorf("%s signed %q, %v", body, got, err)
		}
		mu.Lock()
		defer mu.Unlock()
		told = append(told, m.Properties["NewState"])
	}))
	defer hook.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startWith(t, "", []string{"SSL_CERT_FILE=" + ca}, "--workers", "1", "--allow-input-host", "127.0.0.0/8")
	c := newV2(t, s)
	film := clip(t, "film.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=1", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=1",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac")
	asset := c.upload("film.mp4", film)

	endpoint := c.create("NotificationEndPoints", `{"Name":"hook","EndPointType":3,"EndPointAddress":"`+hook.URL+`/in?code=x","CredentialType":1,"EncryptedEndPointCredential":"`+c.wrap(key)+`"}`)["Id"]

	const task = `{"Configuration":"%s","MediaProcessorId":"nb:mpid:UUID:1b1da727-93ae-4e46-a8a1-268828765609","TaskBody":"<?xml version=\"1.0\" encoding=\"%s\"?><taskBody><inputAsset>%s</inputAsset><outputAsset>JobOutputAsset(%d)</outputAsset></taskBody>"}`
	var batch strings.Builder
	part := func(id int, path, kind, body string) {
		fmt.Fprintf(&batch, "--changeset_1\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nPOST https://media.windows.net/api/%s HTTP/1.1\r\nContent-ID: %d\r\n"+
			"Content-Type: %s\r\nAccept: %[3]s\r\nDataServiceVersion: 3.0\r\nMaxDataServiceVersion: 3.0\r\nx-ms-version: 2.11\r\n\r\n%s\r\n\r\n", path, id, kind, body)
	}
	batch.WriteString("\r\n\r\n--batch_1\r\nContent-Type: multipart/mixed; boundary=changeset_1\r\n\r\n")
	part(1, "Jobs", "application/json", `{"Name":"NewTestJob","InputMediaAssets@odata.bind":["https://media.windows.net/api/`+keyed("Assets", asset)+`"],"JobNotificationSubscriptions":[{"NotificationEndPointId":"`+endpoint.(string)+`","TargetJobState":2}]}`)
	part(2, "$1/Tasks", "application/json;odata=verbose", fmt.Sprintf(task, "H264 Adaptive Bitrate MP4 Set 720p", "utf-8", "JobInputAsset(0)", 0))
	part(3, "$1/Tasks", "application/json;odata=verbose", fmt.Sprintf(task, "H264 Smooth Streaming 720p", "utf-16", "JobOutputAsset(0)", 1))
	batch.WriteString("--changeset_1--\r\n--batch_1--\r\n")
	answer := c.send("POST", "$batch", batch.String(), 202, "Content-Type", "multipart/mixed; boundary=batch_1", "Accept", "multipart/mixed")
	if bytes.Count(answer, []byte("201 Created")) != 3 {
		t.Fatalf("%s", answer)
	}
	job := c.list("Jobs")[0]["Id"]
	if state := c.wait(job); state != `{"d":{"State":3}}` {
		t.Fatalf("%s: %v", state, c.list(keyed("Jobs", job)+"/Tasks"))
	}
	outputs := c.list(keyed("Jobs", job) + "/OutputMediaAssets()")
	if len(outputs) != 2 || outputs[1]["Name"] != "JobOutputAsset(1)_NewTestJob" {
		t.Fatalf("outputs %v", outputs)
	}
	policy := c.create("AccessPolicies", `{"Name": "DownloadPolicy", "DurationInMinutes" : "300", "Permissions" : 1}`)["Id"]
	for i, output := range outputs {
		files := c.list(keyed("Assets", output["Id"]) + "/Files?$filter=IsPrimary%20eq%20true")
		if len(files) != 1 || files[0]["Name"] != "film.ism" {
			t.Fatalf("output %d: primary files %v", i, files)
		}
		origin := c.create("Locators", fmt.Sprintf(`{"AccessPolicyId": %q, "AssetId" : %q, "StartTime" : %q,, "Type":2}`, policy, output["Id"], time.Now().UTC().Add(-5*time.Minute).Format("2006-01-02T15:04:05")))
		for _, format := range []string{"", "(format=m3u8-aapl)", "(format=mpd-time-csf)"} {
			run(t, t.Context(), os.Environ(), binary, "probe", fmt.Sprint(origin["Path"])+"film.ism/manifest"+format)
		}
	}
	// Every state of the job, in order.
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		mu.Lock()
		got := strings.Join(told, " ")
		mu.Unlock()
		if got == "Scheduled Processing Finished" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("told %q", got)
		}
	}
	// v3's official client finds it, under the transform that is kept for such.
	v3 := newSDK(t, s, s.ClientID, s.ClientSecret)
	seen, err := v3.jobs.Get(t.Context(), s.ResourceGroup, s.AccountName, "v2-jobs", strings.TrimPrefix(fmt.Sprint(job), "nb:jid:UUID:"), nil)
	if err != nil || string(*seen.Properties.State) != "Finished" || len(seen.Properties.Outputs) != 2 || !strings.Contains(*seen.ID, "/transforms/v2-jobs/jobs/") {
		t.Errorf("v3 sees %+v, %v", seen.Properties, err)
	}
	c.send("GET", "CancelJob?jobid='"+url.QueryEscape(fmt.Sprint(job))+"'", "", 400)
	c.send("DELETE", keyed("Jobs", job), "", 204)
}

// TestV2FileWithoutBlob: the documents warn of a task over an AssetFile that
// nobody has uploaded.
func TestV2FileWithoutBlob(t *testing.T) {
	t.Parallel()
	s := start(t, "", "--workers", "1")
	c := newV2(t, s)
	asset := c.create("Assets", `{"Name":"empty"}`)["Id"]
	c.create("Files", fmt.Sprintf(`{"Name":"never.mp4","ParentAssetId":%q}`, asset))
	job := c.create("Jobs", `{"Name":"j","InputMediaAssets":[{"__metadata":{"uri":"https://media.windows.net/api/`+keyed("Assets", asset)+`"}}],"Tasks":[{"Configuration":"Adaptive Streaming",
		"MediaProcessorId":"nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56","TaskBody":"<taskBody><inputAsset>JobInputAsset(0)</inputAsset><outputAsset>JobOutputAsset(0)</outputAsset></taskBody>"}]}`)["Id"]
	if state := c.wait(job); state != `{"d":{"State":4}}` {
		t.Fatalf("%s", state)
	}
	task := c.list(keyed("Jobs", job) + "/Tasks")[0]
	if !strings.Contains(fmt.Sprint(task["ErrorDetails"]), "never.mp4") {
		t.Errorf("%v", task)
	}
	// The output asset is deleted soon after the failure.
	for deadline := time.Now().Add(30 * time.Second); len(c.list(keyed("Jobs", job)+"/OutputMediaAssets")) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the output asset stays")
		}
	}
}
