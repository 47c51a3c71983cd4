package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
)

// chain is a job of n tasks over an asset, each of which reads what the one
// before it makes.
func chain(name string, asset any, n int) string {
	var tasks []string
	from := "JobInputAsset(0)"
	for i := range n {
		tasks = append(tasks, fmt.Sprintf(`{"Configuration":"H264 Single Bitrate 4x3 SD","MediaProcessorId":"nb:mpid:UUID:ff4df607-d419-42f0-bc17-a481b1331e56",`+
			`"TaskBody":"<taskBody><inputAsset>%s</inputAsset><outputAsset>JobOutputAsset(%d)</outputAsset></taskBody>"}`, from, i))
		from = fmt.Sprintf("JobOutputAsset(%d)", i)
	}
	return fmt.Sprintf(`{"Name":%q,"InputMediaAssets":[{"__metadata":{"uri":"https://media.windows.net/api/%s"}}],"Tasks":[%s]}`, name, keyed("Assets", asset), strings.Join(tasks, ","))
}

// try sends a request that may find no server any more.
func (c *v2Client) try(method, path, body string) (status int, answer map[string]any) {
	req, err := http.NewRequest(method, c.V2Endpoint+path, strings.NewReader(body))
	if err != nil {
		return 0, nil
	}
	for name, value := range map[string]string{"Authorization": "Bearer " + c.token, "Accept": "application/json", "Content-Type": "application/json", "x-ms-version": "2.19"} {
		req.Header.Set(name, value)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || json.Unmarshal(b, &answer) != nil && len(b) > 0 {
		return 0, nil
	}
	return resp.StatusCode, answer
}

// TestV2Killed kills the server while clients submit jobs of three tasks and
// upload the files of a manifest: every job that was acknowledged is there, every
// job is whole, no output asset is without its job, and in the end every file of
// the manifest is in its asset, once.
func TestV2Killed(t *testing.T) {
	t.Parallel()
	rounds := 1
	if os.Getenv("OPENAMS_TEST_TORTURE") != "" {
		rounds = 8
	}
	s := start(t, "", "--workers", "1")
	c := newV2(t, s)
	input := c.create("Assets", `{"Name":"input"}`)["Id"]
	manifest := c.create("IngestManifests", `{"Name":"m"}`)
	const size = 100_000
	home := map[string]any{} // asset by file
	for i := range 4 {
		asset := c.create("Assets", fmt.Sprintf(`{"Name":"bulk %d"}`, i))["Id"]
		bulk := c.create("IngestManifestAssets", fmt.Sprintf(`{"ParentIngestManifestId":%q,"Asset":{"Id":%q}}`, manifest["Id"], asset))["Id"]
		for k := range 4 {
			name := fmt.Sprintf("f%d_%d.bin", i, k)
			c.create("IngestManifestFiles", fmt.Sprintf(`{"Name":%q,"ParentIngestManifestId":%q,"ParentIngestManifestAssetId":%q}`, name, manifest["Id"], bulk))
			home[name] = asset
		}
	}
	var mu sync.Mutex
	acknowledged, sent := map[string]bool{}, map[string]bool{}
	upload := func(s *server) {
		store := s.storage(t)
		for name := range home {
			mu.Lock()
			done := sent[name]
			mu.Unlock()
			if done {
				continue
			}
			u, err := url.Parse(manifest["BlobStorageUriForUpload"].(string))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := store.UploadBuffer(t.Context(), u.Path[strings.LastIndexByte(u.Path, '/')+1:], name, make([]byte, size), nil); err != nil {
				return // killed
			}
			mu.Lock()
			sent[name] = true
			mu.Unlock()
		}
	}
	for round := range rounds {
		var clients sync.WaitGroup
		first := make(chan struct{}, 8)
		for n := range 2 {
			clients.Go(func() {
				for k := 0; ; k++ {
					status, job := c.try("POST", "Jobs", chain(fmt.Sprintf("j%d.%d.%d", round, n, k), input, 3))
					if status != 201 {
						return
					}
					mu.Lock()
					acknowledged[job["Id"].(string)] = true
					mu.Unlock()
					select {
					case first <- struct{}{}:
					default:
					}
				}
			})
		}
		clients.Go(func() { upload(s) })
		for range 2 + round {
			select {
			case <-first:
			case <-time.After(time.Minute):
				t.Fatal("no jobs are made")
			}
		}
		s.kill(t)
		clients.Wait()
		s = start(t, s.dir, "--workers", "1")
		c = newV2(t, s)

		jobs, outputs := map[string]bool{}, map[string]bool{}
		for _, j := range c.list("Jobs?$expand=Tasks,OutputMediaAssets") {
			id := j["Id"].(string)
			jobs[id] = true
			if n := len(j["Tasks"].([]any)); n != 3 {
				t.Errorf("job %s has %d tasks", id, n)
			}
			for _, a := range j["OutputMediaAssets"].([]any) {
				outputs[a.(map[string]any)["Id"].(string)] = true
			}
		}
		for id := range acknowledged {
			if !jobs[id] {
				t.Errorf("job %s was acknowledged, and is gone", id)
			}
		}
		for _, a := range c.list("Assets?$filter=" + url.QueryEscape("startswith(Name,'JobOutputAsset')")) {
			if !outputs[a["Id"].(string)] {
				t.Errorf("the output asset %s is no job's", a["Id"])
			}
		}
	}
	upload(s)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		status, m := c.try("GET", keyed("IngestManifests", manifest["Id"]), "")
		if status != 200 {
			t.Fatal(status, m)
		}
		if n := m["Statistics"].(map[string]any); n["PendingFilesCount"] == 0.0 {
			if n["FinishedFilesCount"] != float64(len(home)) || n["ErrorFilesCount"] != 0.0 {
				t.Errorf("%v", n)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v", m)
		}
	}
	for name, asset := range home {
		files := c.list(keyed("Assets", asset) + "/Files?$filter=" + url.QueryEscape("Name eq '"+name+"'"))
		if len(files) != 1 || files[0]["ContentFileSize"] != fmt.Sprint(size) {
			t.Errorf("%s: %v", name, files)
		}
	}
}

// TestV2Hostile: requests that are cut off, cancels that race each other and the
// worker, a program that signs in by its certificate and may only read; and
// nothing of what is secret is in the log.
func TestV2Hostile(t *testing.T) {
	t.Parallel()
	s := start(t, "", "--workers", "1", "--log-level", "debug")
	c := newV2(t, s)
	film := clip(t, "film.mp4", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=1", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
	asset := c.upload("film.mp4", film)
	access := c.create("AccessPolicies", `{"Name":"all","DurationInMinutes":60,"Permissions":15}`)["Id"]
	locator := c.create("Locators", fmt.Sprintf(`{"AccessPolicyId":%q,"AssetId":%q,"Type":1}`, access, asset))

	// Cut off: nothing of it is done.
	cut := func(rawURL, method, body string, headers ...string) {
		t.Helper()
		u, err := url.Parse(rawURL)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n%s\r\n\r\n%s", method, u.RequestURI(), u.Host, 2*len(body), strings.Join(headers, "\r\n"), body)
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err == nil && bytes.Contains(answer, []byte(" 20")) && bytes.HasPrefix(answer, []byte("HTTP/1.1 2")) {
			t.Errorf("%s %s, cut off: %s", method, u.Path, answer)
		}
	}
	data, err := os.ReadFile(film)
	if err != nil {
		t.Fatal(err)
	}
	cut(locator["BaseUri"].(string)+"/cut.mp4"+locator["ContentAccessComponent"].(string), "PUT", string(data), "x-ms-blob-type: BlockBlob", "x-ms-version: 2012-02-12")
	signed := []string{"Authorization: Bearer " + c.token, "x-ms-version: 2.19", "Accept: application/json"}
	plain := s.ManagementHTTP + "/api/"
	cut(plain+"Jobs", "POST", chain("cut", asset, 1), append(signed, "Content-Type: application/json")...)
	batch := "--b\r\nContent-Type: application/http\r\n\r\nPOST /api/Assets HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{\"Name\":\"cut\"}\r\n--b"
	cut(plain+"$batch", "POST", batch, append(signed, "Content-Type: multipart/mixed; boundary=b")...)
	c.send("POST", "$batch", batch, 400, "Content-Type", "multipart/mixed; boundary=b")
	c.send("GET", "CreateFileInfos?assetid='"+url.QueryEscape(fmt.Sprint(asset))+"'", "", 204)
	if files := c.list(keyed("Assets", asset) + "/Files"); len(files) != 1 || files[0]["Name"] != "film.mp4" {
		t.Errorf("files: %v", files)
	}
	if jobs, assets := c.list("Jobs"), c.list("Assets"); len(jobs) != 0 || len(assets) != 1 {
		t.Errorf("%v %v", jobs, assets)
	}

	// Many cancel a job at one time, while it waits and while it runs.
	for _, running := range []bool{false, true} {
		job := c.create("Jobs", chain("canceled", asset, 2))["Id"]
		for deadline := time.Now().Add(time.Minute); running; time.Sleep(5 * time.Millisecond) {
			if _, j := c.try("GET", keyed("Jobs", job), ""); j["State"] != 0.0 && j["State"] != 1.0 || time.Now().After(deadline) {
				break
			}
		}
		codes := make([]int, 6)
		var all sync.WaitGroup
		for i := range codes {
			all.Go(func() {
				codes[i], _ = c.try("GET", "CancelJob?jobid='"+url.QueryEscape(fmt.Sprint(job))+"'", "")
			})
		}
		all.Wait()
		state := c.wait(job)
		slices.Sort(codes)
		finished := state == `{"d":{"State":3}}` // before the cancels, or before one reached the worker
		won := codes[0] == 204 && codes[1] == 400 && (state == `{"d":{"State":5}}` || running && finished)
		late := codes[0] == 400 && running && finished
		if codes[5] != 400 || !won && !late {
			t.Errorf("cancels %v, state %s", codes, state)
		}
		for _, task := range c.list(keyed("Jobs", job) + "/Tasks") {
			if state := task["State"]; state != 5.0 && state != 3.0 {
				t.Errorf("a task of a canceled job: %v", task)
			}
		}
		c.send("DELETE", keyed("Jobs", job), "", 204)
	}

	// A program with a certificate.
	key, certificate := certificatePair(t)
	file := filepath.Join(t.TempDir(), "reader.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	var made struct{ ClientID string }
	if err := json.Unmarshal([]byte(run(t, t.Context(), os.Environ(), binary, "principals", "create", "signer", "--role", "reader", "--certificate", file, "--json", "--data", s.dir)), &made); err != nil {
		t.Fatal(err)
	}
	_, options := s.signIn(t, s.ClientID, s.ClientSecret)
	cred, err := azidentity.NewClientCertificateCredential(s.TenantID, made.ClientID, []*x509.Certificate{certificate}, key,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: options.ClientOptions, DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	assets, err := media.NewAssetsClient(s.SubscriptionID, cred, options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := assets.NewListPager(s.ResourceGroup, s.AccountName, nil).NextPage(context.Background()); err != nil {
		t.Error(err)
	}
	token, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://rest.media.azure.net/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	reader := &v2Client{s, t, token.Token}
	if status, seen := reader.try("GET", keyed("Locators", locator["Id"]), ""); status != 200 || seen["Path"] != nil {
		t.Errorf("a reader sees %d %v", status, seen)
	}
	for _, tt := range [][3]string{{"POST", "Assets", `{}`}, {"DELETE", keyed("Assets", asset), ""}, {"GET", "CancelJob?jobid='x'", ""}, {"POST", "Jobs", chain("r", asset, 1)},
		{"POST", keyed("Assets", asset) + "/$links/ContentKeys", `{"uri":"ContentKeys('x')"}`}} {
		if status, answer := reader.try(tt[0], tt[1], tt[2]); status != 403 {
			t.Errorf("%s %s by a reader: %d %v", tt[0], tt[1], status, answer)
		}
	}
	for _, part := range bytes.Split(reader.send("POST", "$batch", batch+"--", 202, "Content-Type", "multipart/mixed; boundary=b"), []byte("Content-Type: application/http"))[1:] {
		if !bytes.Contains(part, []byte("HTTP/1.1 403 ")) {
			t.Errorf("%s", part)
		}
	}

	// The log says what happened, and nothing that opens anything.
	secret := make([]byte, 16)
	rand.Read(secret)
	contentKey := c.create("ContentKeys", fmt.Sprintf(`{"ContentKeyType":4,"EncryptedContentKey":%q}`, c.wrap(secret)))["Id"]
	c.send("GET", "RebindContentKey?id='"+url.QueryEscape(fmt.Sprint(contentKey))+"'&x509Certificate=''", "", 200)
	acs := s.acs(t)
	acs.do(t, "GET", "Assets", "", 200)
	sas, err := url.ParseQuery(strings.TrimPrefix(locator["ContentAccessComponent"].(string), "?"))
	if err != nil {
		t.Fatal(err)
	}
	log := s.log.String()
	if !strings.Contains(log, "RebindContentKey") || !strings.Contains(log, "cut.mp4") {
		t.Error("the log does not say what happened")
	}
	for what, text := range map[string]string{"client secret": s.ClientSecret, "account key": s.AccountKey, "storage key": s.StorageKeys[0], "token": c.token, "ACS token": acs.token,
		"signed token": token.Token, "signature of a locator": sas.Get("sig"), "escaped signature": url.QueryEscape(sas.Get("sig")), "content key": base64.StdEncoding.EncodeToString(secret)} {
		if strings.Contains(log, text) {
			t.Errorf("the log holds a %s", what)
		}
	}
}

// certificatePair is a key and its self-signed certificate.
func certificatePair(t testing.TB) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, c
}
