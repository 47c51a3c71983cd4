package restblob_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"

	store "github.com/openams/openams/blob"
	"github.com/openams/openams/dial"
)

func leaseHolder(id string) store.Conditions { return store.Conditions{Lease: id} }

func waiting(step string) (time.Duration, bool) {
	text, ok := strings.CutPrefix(step, "+")
	d, _ := time.ParseDuration(text + "s")
	return d, ok
}

// leaseHeaders spells "acquire ID SECONDS", "break [SECONDS]", "change ID NEW",
// "renew ID" and "release ID", where ids are 1 and 2.
func leaseHeaders(step string) []string {
	f := append(strings.Fields(step), "", "")
	id := map[string]string{"1": guid1, "2": guid2}
	h := []string{"x-ms-lease-action", f[0]}
	switch f[0] {
	case "acquire":
		return append(h, "x-ms-proposed-lease-id", id[f[1]], "x-ms-lease-duration", f[2])
	case "break":
		if f[1] == "" {
			return h
		}
		return append(h, "x-ms-lease-break-period", f[1])
	case "change":
		return append(h, "x-ms-lease-id", id[f[1]], "x-ms-proposed-lease-id", id[f[2]])
	}
	return append(h, "x-ms-lease-id", id[f[1]])
}

func TestSnapshots(t *testing.T) {
	e := serve(t)
	c := e.container(t, "videos")
	bb := c.NewBlockBlobClient("f")
	put := func(s string) {
		t.Helper()
		if _, err := bb.Upload(ctx, body([]byte(s)), &blockblob.UploadOptions{Metadata: map[string]*string{"v": to.Ptr(s)}}); err != nil {
			t.Fatal(err)
		}
	}
	put("one")
	first := must[blob.CreateSnapshotResponse](t)(bb.CreateSnapshot(ctx, nil))
	put("two")
	second := must[blob.CreateSnapshotResponse](t)(bb.CreateSnapshot(ctx, &blob.CreateSnapshotOptions{Metadata: map[string]*string{"own": to.Ptr("x")}}))
	put("three")
	for snapshot, want := range map[string]string{*first.Snapshot: "one", *second.Snapshot: "two", "": "three"} {
		v := must[*blob.Client](t)(bb.BlobClient().WithSnapshot(snapshot))
		if got, err := download(v, nil); err != nil || string(got) != want {
			t.Errorf("snapshot %q holds %q, %v; want %q", snapshot, got, err, want)
		}
	}
	v2 := must[*blob.Client](t)(bb.BlobClient().WithSnapshot(*second.Snapshot))
	if p := must[blob.GetPropertiesResponse](t)(v2.GetProperties(ctx, nil)); p.Metadata["Own"] == nil || p.LeaseState != nil {
		t.Errorf("properties of a snapshot: %v, lease %v", p.Metadata, p.LeaseState)
	}
	c.NewBlockBlobClient("g").Upload(ctx, body(nil), nil)
	list := func(size int32) (names []string) {
		for pager := c.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{MaxResults: &size, Include: container.ListBlobsInclude{Snapshots: true}}); pager.More(); {
			for _, b := range must[container.ListBlobsFlatResponse](t)(pager.NextPage(ctx)).Segment.BlobItems {
				names = append(names, *b.Name+fmt.Sprint(b.Snapshot != nil && *b.Snapshot != ""))
			}
		}
		return names
	}
	for _, size := range []int32{1, 3, 100} {
		if got := fmt.Sprint(list(size)); got != "[ftrue ftrue ffalse gfalse]" {
			t.Errorf("listed %s in pages of %d", got, size)
		}
	}
	// A snapshot is a source of copies, and its signature opens it alone.
	if _, err := bb.StartCopyFromURL(ctx, v2.URL(), nil); err != nil {
		t.Error(err)
	}
	if got, _ := download(bb.BlobClient(), nil); string(got) != "two" {
		t.Errorf("promoted %q", got)
	}
	url := must[string](t)(v2.GetSASURL(sas.BlobPermissions{Read: true}, time.Now().Add(time.Hour), nil))
	if r := must[*http.Response](t)(http.Get(url)); text(t, r) != "two" {
		t.Errorf("signed snapshot: %s", r.Status)
	}
	if r := must[*http.Response](t)(http.Get(strings.Replace(url, "snapshot=", "x=", 1))); r.StatusCode != 403 {
		t.Errorf("a snapshot's signature opens the blob: %s", r.Status)
	}
	// Deleting.
	_, err := bb.Delete(ctx, nil)
	wantCode(t, "delete with snapshots", err, 409, "SnapshotsPresent")
	v1 := must[*blob.Client](t)(bb.BlobClient().WithSnapshot(*first.Snapshot))
	if _, err := v1.Delete(ctx, nil); err != nil {
		t.Error(err)
	}
	_, err = download(v1, nil)
	wantCode(t, "a deleted snapshot", err, 404, "BlobNotFound")
	if _, err := bb.Delete(ctx, &blob.DeleteOptions{DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeOnly)}); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(list(10)); got != "[ffalse gfalse]" {
		t.Errorf("left %s", got)
	}
	bb.CreateSnapshot(ctx, nil)
	if _, err := bb.Delete(ctx, &blob.DeleteOptions{DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeInclude)}); err != nil {
		t.Error(err)
	}
	if left := files(t, e.dir+"/blobs"); len(left) != 1 { // g
		t.Errorf("files left: %v", left)
	}
}

func TestCopyHere(t *testing.T) {
	e := serve(t)
	c := e.container(t, "videos")
	src := c.NewBlockBlobClient("dir/source")
	data := random(300_000)
	up := must[blockblob.UploadResponse](t)(src.Upload(ctx, body(data), &blockblob.UploadOptions{
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: to.Ptr("video/mp4")}, Metadata: map[string]*string{"m": to.Ptr("1")}}))
	dst := c.NewBlockBlobClient("copy")
	r := must[blob.StartCopyFromURLResponse](t)(dst.StartCopyFromURL(ctx, src.URL(), nil))
	if *r.CopyStatus != blob.CopyStatusTypeSuccess || r.CopyID == nil {
		t.Errorf("copy: %+v", r)
	}
	src.Delete(ctx, nil)
	p := must[blob.GetPropertiesResponse](t)(dst.GetProperties(ctx, nil))
	if *p.ContentType != "video/mp4" || *p.Metadata["M"] != "1" || !bytes.Equal(p.ContentMD5, up.ContentMD5) || *p.CopyProgress != "300000/300000" ||
		*p.CopySource != src.URL() || p.CopyCompletionTime == nil {
		t.Errorf("properties of the copy: %+v", p)
	}
	if got := must[[]byte](t)(download(dst.BlobClient(), nil)); !bytes.Equal(got, data) {
		t.Error("the copy differs")
	}
	_, err := dst.AbortCopyFromURL(ctx, *r.CopyID, nil)
	wantCode(t, "abort", err, 409, "NoPendingCopyOperation")
	_, err = dst.StartCopyFromURL(ctx, src.URL(), nil)
	wantCode(t, "no source", err, 404, "CannotVerifyCopySource")
	// In pieces, with its block list.
	pieces := c.NewBlockBlobClient("pieces")
	ids := []string{"AAAA", "BBBB", "CCCC"}
	for i, id := range ids {
		if _, err := pieces.StageBlock(ctx, id, body(data[i*100_000:(i+1)*100_000]), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pieces.CommitBlockList(ctx, ids, nil); err != nil {
		t.Fatal(err)
	}
	must[blob.StartCopyFromURLResponse](t)(dst.StartCopyFromURL(ctx, pieces.URL(), &blob.StartCopyFromURLOptions{Metadata: map[string]*string{"new": to.Ptr("2")}}))
	if got := must[[]byte](t)(download(dst.BlobClient(), nil)); !bytes.Equal(got, data) {
		t.Error("the copy of pieces differs")
	}
	if l := must[blockblob.GetBlockListResponse](t)(dst.GetBlockList(ctx, blockblob.BlockListTypeCommitted, nil)); len(l.CommittedBlocks) != 3 {
		t.Errorf("%d blocks", len(l.CommittedBlocks))
	}
	if p := must[blob.GetPropertiesResponse](t)(dst.GetProperties(ctx, nil)); p.Metadata["M"] != nil || p.Metadata["New"] == nil {
		t.Errorf("metadata %v", p.Metadata)
	}
	// Onto itself, which changes metadata alone.
	must[blob.StartCopyFromURLResponse](t)(dst.StartCopyFromURL(ctx, dst.URL(), nil))
	if got := must[[]byte](t)(download(dst.BlobClient(), nil)); !bytes.Equal(got, data) {
		t.Error("the copy onto itself differs")
	}
	// The synchronous ones.
	sum := md5.Sum(data)
	if _, err := c.NewBlockBlobClient("sync").CopyFromURL(ctx, dst.URL(), nil); err != nil {
		t.Error(err)
	}
	from := c.NewBlockBlobClient("from")
	if _, err := from.UploadBlobFromURL(ctx, dst.URL(), &blockblob.UploadBlobFromURLOptions{SourceContentMD5: sum[:], HTTPHeaders: &blob.HTTPHeaders{BlobContentType: to.Ptr("text/x")}}); err != nil {
		t.Error(err)
	}
	if p := must[blob.GetPropertiesResponse](t)(from.GetProperties(ctx, nil)); *p.ContentType != "text/x" || *p.ContentLength != 300_000 {
		t.Errorf("from URL: %+v", p)
	}
	_, err = from.UploadBlobFromURL(ctx, dst.URL(), &blockblob.UploadBlobFromURLOptions{SourceContentMD5: make([]byte, 16)})
	wantCode(t, "wrong sum", err, 400, "Md5Mismatch")
	for i, id := range []string{"AAAA", "BBBB"} {
		_, err := from.StageBlockFromURL(ctx, id, dst.URL(), &blockblob.StageBlockFromURLOptions{Range: blob.HTTPRange{Offset: int64(100 * i), Count: 100}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := from.CommitBlockList(ctx, []string{"AAAA", "BBBB"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := must[[]byte](t)(download(from.BlobClient(), nil)); !bytes.Equal(got, data[:200]) {
		t.Error("blocks from URL differ")
	}
	// Who may read what: a signature for the destination is none for the source.
	to := "/" + account + "/videos/by-sas?" + full("videos")
	e.container(t, "private").NewBlockBlobClient("p").Upload(ctx, body([]byte("secret")), nil)
	private := e.url + "/private/p"
	wantStatus(t, "a source without a signature", e.send(t, "PUT", to, "", "x-ms-copy-source", private), 401, "CannotVerifyCopySource")
	wantStatus(t, "a source with the wrong one", e.send(t, "PUT", to, "", "x-ms-copy-source", private+"?"+full("videos")), 403, "CannotVerifyCopySource")
	wantStatus(t, "a signed source", e.send(t, "PUT", to, "", "x-ms-copy-source", private+"?"+full("private")), 202, "")
	wantStatus(t, "source conditions", e.send(t, "PUT", to, "", "x-ms-copy-source", private+"?"+full("private"), "x-ms-source-if-match", "0x1"), 412, "SourceConditionNotMet")
	if got := e.send(t, "HEAD", to, "").Header.Get("x-ms-copy-source"); strings.Contains(got, "sig") {
		t.Errorf("the source is told with its signature: %s", got)
	}
}

func TestCopyFromElsewhere(t *testing.T) {
	data := random(400_000)
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/film.mp4":
			w.Header().Set("Content-Type", "video/mp4")
			http.ServeContent(w, r, "film.mp4", time.Time{}, bytes.NewReader(data))
		case "/slow", "/broken":
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "12345")
			w.(http.Flusher).Flush()
			if r.URL.Path == "/slow" {
				held <- struct{}{}
				select {
				case <-hold:
					io.WriteString(w, "67890")
				case <-r.Context().Done():
				}
			}
		case "/redirect":
			http.Redirect(w, r, "http://10.0.0.1/", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	defer other.Close()
	host := strings.TrimPrefix(other.URL, "http://")
	e := (&endpoint{dir: t.TempDir(), outgoing: dial.New(dial.Config{AllowHosts: []string{host}, AllowHTTP: true})}).start(t)
	c := e.container(t, "videos")
	await := func(b *blob.Client) blob.GetPropertiesResponse {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; {
			p := must[blob.GetPropertiesResponse](t)(b.GetProperties(ctx, nil))
			if *p.CopyStatus != blob.CopyStatusTypePending {
				return p
			}
			if time.Now().After(deadline) {
				t.Fatal("the copy does not end")
			}
		}
	}
	film := c.NewBlockBlobClient("film")
	must[blob.StartCopyFromURLResponse](t)(film.StartCopyFromURL(ctx, other.URL+"/film.mp4?secret=1", nil))
	if p := await(film.BlobClient()); *p.CopyStatus != blob.CopyStatusTypeSuccess || *p.ContentType != "video/mp4" || *p.ContentLength != 400_000 || strings.Contains(*p.CopySource, "secret") {
		t.Errorf("copy: %+v", p)
	}
	if got := must[[]byte](t)(download(film.BlobClient(), nil)); !bytes.Equal(got, data) {
		t.Error("the copy differs")
	}
	// While it runs nobody else writes; it can be aborted.
	slow := c.NewBlockBlobClient("slow")
	r := must[blob.StartCopyFromURLResponse](t)(slow.StartCopyFromURL(ctx, other.URL+"/slow", nil))
	if *r.CopyStatus != blob.CopyStatusTypePending {
		t.Errorf("started: %v", *r.CopyStatus)
	}
	<-held
	_, err := slow.Upload(ctx, body([]byte("x")), nil)
	wantCode(t, "a write meanwhile", err, 409, "PendingCopyOperation")
	if _, err := slow.AbortCopyFromURL(ctx, *r.CopyID, nil); err != nil {
		t.Error(err)
	}
	if p := await(slow.BlobClient()); *p.CopyStatus != blob.CopyStatusTypeAborted || *p.ContentLength != 0 {
		t.Errorf("aborted: %v, %d bytes", *p.CopyStatus, *p.ContentLength)
	}
	if _, err := slow.Upload(ctx, body([]byte("x")), nil); err != nil {
		t.Error(err)
	}
	broken := c.NewBlobClient("broken")
	must[blob.StartCopyFromURLResponse](t)(broken.StartCopyFromURL(ctx, other.URL+"/broken", nil))
	if p := await(broken); *p.CopyStatus != blob.CopyStatusTypeFailed || p.CopyStatusDescription == nil || *p.ContentLength != 0 {
		t.Errorf("a source that broke off: %v, %d bytes", *p.CopyStatus, *p.ContentLength)
	}
	// A server that stops fails its copies.
	must[blob.StartCopyFromURLResponse](t)(slow.StartCopyFromURL(ctx, other.URL+"/slow", nil))
	<-held
	again := openStore(t, e.dir, store.Options{})
	if b, err := again.Stat(ctx, account, "videos", "slow"); err != nil || b.Copy.Status != "failed" {
		t.Errorf("after a restart: %+v, %v", b.Copy, err)
	}
	close(hold)
	// In one request.
	put := c.NewBlockBlobClient("put")
	if _, err := put.UploadBlobFromURL(ctx, other.URL+"/film.mp4", nil); err != nil {
		t.Error(err)
	}
	if _, err := put.StageBlockFromURL(ctx, "AAAA", other.URL+"/film.mp4", &blockblob.StageBlockFromURLOptions{Range: blob.HTTPRange{Offset: 5, Count: 5}}); err != nil {
		t.Error(err)
	}
	if _, err := put.CommitBlockList(ctx, []string{"AAAA"}, nil); err != nil {
		t.Error(err)
	}
	if got := must[[]byte](t)(download(put.BlobClient(), nil)); !bytes.Equal(got, data[5:10]) {
		t.Errorf("a block from elsewhere: %q", got)
	}
	_, err = put.CopyFromURL(ctx, other.URL+"/absent", nil)
	wantCode(t, "absent", err, 404, "CannotVerifyCopySource")
	// The guard.
	for _, source := range []string{"http://10.0.0.1/x", "http://169.254.169.254/latest", "http://localhost:1/x", other.URL + "/redirect", "http://[::1]:" + netip.MustParseAddrPort(host).String()[10:] + "/film.mp4"} {
		_, err = put.StartCopyFromURL(ctx, source, nil)
		wantCode(t, source, err, 404, "CannotVerifyCopySource")
	}
}

func TestCORS(t *testing.T) {
	e := serve(t)
	c := e.container(t, "videos")
	c.NewBlockBlobClient("f").Upload(ctx, body([]byte("x")), nil)
	if _, err := e.service().SetProperties(ctx, &service.SetPropertiesOptions{CORS: []*service.CORSRule{
		{AllowedOrigins: to.Ptr("https://a.example,https://b.example"), AllowedMethods: to.Ptr("GET,PUT"), AllowedHeaders: to.Ptr("x-ms-*,content-type"), ExposedHeaders: to.Ptr("x-ms-*,etag"), MaxAgeInSeconds: to.Ptr(int32(200))},
		{AllowedOrigins: to.Ptr("*"), AllowedMethods: to.Ptr("GET"), AllowedHeaders: to.Ptr(""), ExposedHeaders: to.Ptr(""), MaxAgeInSeconds: to.Ptr(int32(5))},
	}}); err != nil {
		t.Fatal(err)
	}
	if p := must[service.GetPropertiesResponse](t)(e.service().GetProperties(ctx, nil)); len(p.CORS) != 2 || *p.CORS[0].AllowedHeaders != "x-ms-*,content-type" || *p.CORS[1].MaxAgeInSeconds != 5 {
		t.Errorf("properties: %+v", p.CORS)
	}
	path := "/" + account + "/videos/f"
	for _, tt := range []struct {
		origin, method, headers string
		status                  int
		allowed, age            string
	}{
		{"https://a.example", "PUT", "x-ms-blob-type,x-ms-version, Content-Type", 200, "https://a.example", "200"},
		{"https://a.example", "PUT", "authorization", 403, "", ""},
		{"https://a.example", "DELETE", "", 403, "", ""},
		{"https://A.example", "PUT", "", 403, "", ""}, // case counts
		{"https://c.example", "GET", "", 200, "*", "5"},
		{"https://portal.example", "DELETE", "anything", 200, "https://portal.example", "3600"},
		{"", "GET", "", 400, "", ""},
	} {
		r := e.send(t, "OPTIONS", path, "", "Origin", tt.origin, "Access-Control-Request-Method", tt.method, "Access-Control-Request-Headers", tt.headers)
		h := r.Header.Get
		if r.StatusCode != tt.status || h("Access-Control-Allow-Origin") != tt.allowed || h("Access-Control-Max-Age") != tt.age ||
			r.StatusCode == 200 && (h("Access-Control-Allow-Methods") != tt.method || h("Access-Control-Allow-Headers") != tt.headers) {
			t.Errorf("%s %s %s: %s %v", tt.origin, tt.method, tt.headers, r.Status, r.Header)
		}
	}
	r := e.send(t, "GET", path+"?"+full("videos"), "", "Origin", "https://b.example")
	if h := r.Header.Get; h("Access-Control-Allow-Origin") != "https://b.example" || !strings.Contains(h("Access-Control-Expose-Headers"), "Etag,X-Ms-Access-Tier") || !strings.Contains(h("Vary"), "Origin") {
		t.Errorf("an answer to a page: %v", r.Header)
	}
	// A refusal too can be read by the page.
	if r := e.send(t, "GET", path, "", "Origin", "https://b.example"); r.StatusCode != 401 || r.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("a refusal to a page: %s %v", r.Status, r.Header)
	}
	if r := e.send(t, "PUT", path, "", "Origin", "https://c.example"); r.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another page may PUT: %v", r.Header)
	}
	e.service().SetProperties(ctx, &service.SetPropertiesOptions{CORS: []*service.CORSRule{}})
}

func TestUserDelegation(t *testing.T) {
	e := serve(t)
	e.container(t, "videos").NewBlockBlobClient("f").Upload(ctx, body([]byte("x")), nil)
	e.users.rights.Store("writer", [2]bool{true, true})
	now := time.Now().UTC()
	ask := func(expiry time.Time) *http.Response {
		return e.send(t, "POST", "/"+account+"/?restype=service&comp=userdelegationkey",
			"<KeyInfo><Start>"+now.Format(time.RFC3339)+"</Start><Expiry>"+expiry.Format(time.RFC3339)+"</Expiry></KeyInfo>", "Authorization", "Bearer writer", "x-ms-version", "2026-06-06")
	}
	wantStatus(t, "eight days", ask(now.Add(8*24*time.Hour)), 400, "InvalidXmlNodeValue")
	// The SDK sends tokens over TLS alone, and signs for the account that the
	// host's name starts with.
	secure := httptest.NewTLSServer(e.server.Config.Handler)
	defer secure.Close()
	options := once
	options.Transport = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, secure.Listener.Addr().String())
		},
	}}
	client := must[*service.Client](t)(service.NewClient("https://"+account+".blob.example.com", bearer("writer"), &service.ClientOptions{ClientOptions: options}))
	expiry := now.Add(time.Hour)
	cred := must[*service.UserDelegationCredential](t)(client.GetUserDelegationCredential(ctx,
		service.KeyInfo{Start: to.Ptr(now.Format(sas.TimeFormat)), Expiry: to.Ptr(expiry.Format(sas.TimeFormat))}, nil))
	sign := func(v sas.BlobSignatureValues) string {
		t.Helper()
		v.ContainerName, v.Protocol, v.ExpiryTime = "videos", sas.ProtocolHTTPSandHTTP, expiry
		q := must[sas.QueryParameters](t)(v.SignWithUserDelegation(cred))
		return "/" + account + "/videos/f?" + q.Encode()
	}
	read := sign(sas.BlobSignatureValues{BlobName: "f", Permissions: "r"})
	write := sign(sas.BlobSignatureValues{Permissions: "rw"})
	wantStatus(t, "read", e.send(t, "GET", read, ""), 200, "")
	wantStatus(t, "write by a reader's", e.send(t, "PUT", read, "y", "x-ms-blob-type", "BlockBlob"), 403, "AuthorizationPermissionMismatch")
	wantStatus(t, "write", e.send(t, "PUT", write, "y", "x-ms-blob-type", "BlockBlob"), 201, "")
	wantStatus(t, "another user", e.send(t, "GET", strings.Replace(read, "skoid=writer", "skoid=other", 1), ""), 403, "AuthenticationFailed")
	// What the user may do now counts.
	e.users.rights.Store("writer", [2]bool{true, false})
	wantStatus(t, "write by a user who lost the right", e.send(t, "PUT", write, "y", "x-ms-blob-type", "BlockBlob"), 403, "AuthorizationPermissionMismatch")
	e.users.rights.Delete("writer")
	wantStatus(t, "read by a user who is gone", e.send(t, "GET", read, ""), 403, "AuthenticationFailed")
	e.users.rights.Store("writer", [2]bool{true, true})
	e.clock.Store(int64(2 * time.Hour))
	wantStatus(t, "expired", e.send(t, "GET", read, ""), 403, "AuthenticationFailed")
}

// A bearer's token is its name.
type bearer string

func (b bearer) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(b), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func TestTags(t *testing.T) {
	e := serve(t)
	bb := e.container(t, "videos").NewBlockBlobClient("f")
	if _, err := bb.Upload(ctx, body([]byte("x")), &blockblob.UploadOptions{Tags: map[string]string{"a": "b c"}}); err != nil {
		t.Fatal(err)
	}
	if p := must[blob.GetPropertiesResponse](t)(bb.GetProperties(ctx, nil)); p.TagCount == nil || *p.TagCount != 1 {
		t.Errorf("tag count %v", p.TagCount)
	}
	if _, err := bb.SetTags(ctx, map[string]string{"k": "v", "l": "w"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := must[blob.GetTagsResponse](t)(bb.GetTags(ctx, nil)); len(got.BlobTagSet) != 2 || *got.BlobTagSet[1].Value != "w" {
		t.Errorf("tags: %v", got.BlobTagSet)
	}
	_, err := bb.SetTags(ctx, map[string]string{"k": "<"}, nil)
	wantCode(t, "a bad tag", err, 400, "InvalidTag")
}

// A key that was replaced opens nothing from then on.
func TestRotation(t *testing.T) {
	e := serve(t)
	e.container(t, "videos").NewBlockBlobClient("f").Upload(ctx, body([]byte("x")), nil)
	path := "/" + account + "/videos/f?" + full("videos")
	wantStatus(t, "before", e.send(t, "GET", path, ""), 200, "")
	fresh := []byte("another key")
	e.keys.first.Store(&fresh)
	wantStatus(t, "signed with the old key", e.send(t, "GET", path, ""), 403, "AuthenticationFailed")
	_, err := e.service().NewContainerClient("videos").GetProperties(ctx, nil)
	wantCode(t, "the old key itself", err, 403, "AuthenticationFailed")
	if _, err := newClient(t, e.url, credential(t, key2)).ServiceClient().NewContainerClient("videos").GetProperties(ctx, nil); err != nil {
		t.Errorf("the other key: %v", err)
	}
	if _, err := newClient(t, e.url, credential(t, fresh)).ServiceClient().NewContainerClient("videos").GetProperties(ctx, nil); err != nil {
		t.Errorf("the new key: %v", err)
	}
}
