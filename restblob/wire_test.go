package restblob_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc64"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	store "github.com/openams/openams/blob"
	"github.com/openams/openams/sas"
)

// send makes a request with alternating header names and values.
func (e *endpoint) send(t testing.TB, method, path, text string, header ...string) *http.Response {
	t.Helper()
	r := must[*http.Request](t)(http.NewRequest(method, e.server.URL+path, strings.NewReader(text)))
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	resp := must[*http.Response](t)(http.DefaultClient.Do(r))
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func text(t testing.TB, r *http.Response) string {
	return string(must[[]byte](t)(io.ReadAll(r.Body)))
}

// wantStatus checks status and error code.
func wantStatus(t testing.TB, what string, r *http.Response, status int, code string) {
	t.Helper()
	if got := r.Header.Get("x-ms-error-code"); r.StatusCode != status || got != code {
		t.Errorf("%s: %s %s, want %d %s: %s", what, r.Status, got, status, code, text(t, r))
	}
}

// full is a query that may do everything with the container's blobs.
func full(container string) string {
	return sas.Values{Version: sas.DefaultVersion, Resource: "c", Permissions: "racwdl", Expiry: "2100-01-01"}.Sign(key1, account, container, "")
}

// Every generation of signature that is out there, on the URLs it was used with.
func TestSignatureVersions(t *testing.T) {
	e := serve(t)
	c := e.container(t, "videos")
	c.NewBlockBlobClient("dir/f").Upload(ctx, body([]byte("x")), nil)
	for _, sv := range []string{"", "2012-02-12", "2013-08-15", "2014-02-14", "2015-02-21", "2015-04-05", "2017-07-29", "2018-03-28", "2018-11-09", "2020-10-02", "2020-12-06", "2021-06-08", "2026-12-06", "2099-01-01"} {
		for _, resource := range []string{"b", "c"} {
			v := sas.Values{Version: sv, Resource: resource, Permissions: "r", Expiry: "2100-01-01T00:00:00Z", Start: "2020-01-01"}
			for _, key := range [][]byte{key1, key2} {
				r := e.send(t, "GET", "/"+account+"/videos/dir/f?"+v.Sign(key, account, "videos", "dir/f"), "")
				if r.StatusCode != 200 {
					t.Errorf("sv=%s sr=%s: %s %s", sv, resource, r.Status, text(t, r))
				}
				// The escaped slash is the same name, the other key is not.
				r = e.send(t, "GET", "/"+account+"/videos/dir%2Ff?"+v.Sign(key, account, "videos", "dir/f"), "")
				if r.StatusCode != 200 {
					t.Errorf("sv=%s sr=%s, %%2F: %s", sv, resource, r.Status)
				}
			}
			r := e.send(t, "GET", "/"+account+"/videos/dir/f?"+v.Sign([]byte("guess"), account, "videos", "dir/f"), "")
			wantStatus(t, "another key", r, 403, "AuthenticationFailed")
			if s := v.Sign(key1, account, "videos", "dir/f"); strings.Contains(text(t, r), s[strings.Index(s, "sig="):]) {
				t.Error("the answer reveals the signature")
			}
		}
	}
}

// A v2 locator: the policy holds only the permissions, the URL the times.
func TestV2Locator(t *testing.T) {
	e := serve(t)
	e.container(t, "asset-1")
	const locator = "1dbfdf7d-3a60-4d0c-b1d7-41e8f0b0e5fa"
	set := func(list ...ams.AccessPolicy) {
		_, err := e.store.UpdateContainer(ctx, account, "asset-1", func(c *ams.Container) error { c.Policies = list; return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	set(ams.AccessPolicy{ID: locator, Permissions: "w"})
	v := sas.Values{Version: "2012-02-12", Resource: "c", Identifier: locator, Start: "2013-08-28T12:22:12Z", Expiry: "2100-01-01T00:00:00Z"}
	q := v.Sign(key1, account, "asset-1", "")
	old := []string{"x-ms-version", "2011-08-18", "x-ms-blob-type", "BlockBlob"}
	r := e.send(t, "PUT", "/"+account+"/asset-1/clip.mp4?"+q, "data", old...)
	wantStatus(t, "put by locator", r, 201, "")
	if r.Header.Get("x-ms-version") != "2011-08-18" {
		t.Errorf("answered version %s", r.Header.Get("x-ms-version"))
	}
	id := base64.StdEncoding.EncodeToString([]byte("0001"))
	wantStatus(t, "block", e.send(t, "PUT", "/"+account+"/asset-1/b.mp4?comp=block&blockid="+url.QueryEscape(id)+"&"+q, "data", old...), 201, "")
	wantStatus(t, "list", e.send(t, "PUT", "/"+account+"/asset-1/b.mp4?comp=blocklist&"+q, "<BlockList><Latest>"+id+"</Latest></BlockList>", old...), 201, "")
	wantStatus(t, "read by a writer", e.send(t, "GET", "/"+account+"/asset-1/b.mp4?"+q, ""), 403, "AuthorizationPermissionMismatch")
	set(ams.AccessPolicy{ID: locator, Permissions: "w", Expiry: "2099-01-01"})
	wantStatus(t, "expiry in both", e.send(t, "PUT", "/"+account+"/asset-1/b.mp4?"+q, "", old...), 403, "AuthenticationFailed")
	set()
	wantStatus(t, "locator deleted", e.send(t, "PUT", "/"+account+"/asset-1/b.mp4?"+q, "", old...), 403, "AuthenticationFailed")
}

func TestSharedKeyByHand(t *testing.T) {
	e := serve(t)
	e.container(t, "videos")
	path := "/" + account + "/videos/f"
	date := time.Now().UTC().Format(http.TimeFormat)
	sign := func(scheme string, key []byte, text string) string {
		return scheme + " " + account + ":" + sas.MAC(key, text)
	}
	head := "x-ms-blob-type:BlockBlob\nx-ms-date:" + date + "\nx-ms-version:2021-06-08\n"
	put := "PUT\n\n\n4\n\n\n\n\n\n\n\n\n" + head + "/" + account + path
	with := func(auth string) []string {
		return []string{"x-ms-blob-type", "BlockBlob", "x-ms-date", date, "x-ms-version", "2021-06-08", "Authorization", auth}
	}
	wantStatus(t, "SharedKey", e.send(t, "PUT", path, "data", with(sign("SharedKey", key1, put))...), 201, "")
	wantStatus(t, "second key", e.send(t, "PUT", path, "data", with(sign("SharedKey", key2, put))...), 201, "")
	wantStatus(t, "other key", e.send(t, "PUT", path, "data", with(sign("SharedKey", []byte("x"), put))...), 403, "AuthenticationFailed")
	lite := "PUT\n\n\n\n" + head + "/" + account + path
	wantStatus(t, "Lite", e.send(t, "PUT", path, "data", with(sign("SharedKeyLite", key1, lite))...), 201, "")
	wantStatus(t, "Lite as the other", e.send(t, "PUT", path, "data", with(sign("SharedKeyLite", key1, put))...), 403, "AuthenticationFailed")
	list := "GET\n\n\n" + date + "\nx-ms-version:2021-06-08\n/" + account + "/" + account + "/videos?comp=list"
	wantStatus(t, "Lite with comp", e.send(t, "GET", "/"+account+"/videos?restype=container&comp=list", "",
		"Date", date, "x-ms-version", "2021-06-08", "Authorization", sign("SharedKeyLite", key1, list)), 200, "")
	// An empty body: "0" before 2015-02-21, nothing since.
	for version, length := range map[string]string{"2014-02-14": "0", "2015-02-21": ""} {
		empty := "PUT\n\n\n" + length + "\n\n\n\n\n\n\n\n\nx-ms-blob-type:BlockBlob\nx-ms-date:" + date + "\nx-ms-version:" + version + "\n/" + account + path
		wantStatus(t, "empty "+version, e.send(t, "PUT", path, "", "x-ms-blob-type", "BlockBlob", "x-ms-date", date, "x-ms-version", version,
			"Authorization", sign("SharedKey", key1, empty)), 201, "")
	}
	// Host-style addresses leave the account out of the path.
	host := "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:" + date + "\n/" + account + "/videos/f"
	wantStatus(t, "host-style", e.send(t, "GET", "/videos/f", "", "Host", account+".blob.core.windows.net", "x-ms-date", date,
		"Authorization", sign("SharedKey", key1, host)), 200, "")
	e.now = time.Now().Add(16 * time.Minute)
	wantStatus(t, "16 minutes late", e.send(t, "PUT", path, "data", with(sign("SharedKey", key1, put))...), 403, "AuthenticationFailed")
	e.now = time.Now().Add(-14 * time.Minute)
	wantStatus(t, "14 minutes early", e.send(t, "PUT", path, "data", with(sign("SharedKey", key1, put))...), 201, "")
}

func TestRefusals(t *testing.T) {
	e := serve(t)
	c := e.container(t, "videos")
	c.NewBlockBlobClient("f").Upload(ctx, body([]byte("0123456789")), nil)
	q := full("videos")
	https := sas.Values{Version: sas.DefaultVersion, Resource: "c", Permissions: "r", Expiry: "2100-01-01", Protocol: "https"}.Sign(key1, account, "videos", "")
	elsewhere := sas.Values{Version: sas.DefaultVersion, Resource: "c", Permissions: "r", Expiry: "2100-01-01", IP: "10.0.0.1-10.0.0.9"}.Sign(key1, account, "videos", "")
	queue := sas.Values{Version: sas.DefaultVersion, Services: "q", ResourceTypes: "sco", Permissions: "rl", Expiry: "2100-01-01"}.Sign(key1, account, "", "")
	f := "/" + account + "/videos/f?" + q
	many := "<BlockList>" + strings.Repeat("<Latest>AAAA</Latest>", store.MaxBlocks+1) + "</BlockList>"
	bomb := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><BlockList><Latest>&b;</Latest></BlockList>`
	for _, tt := range []struct {
		what, method, path, body string
		header                   []string
		status                   int
		code                     string
	}{
		{"no signature", "GET", "/" + account + "/videos/f", "", nil, 401, "NoAuthenticationInformation"},
		{"no account", "GET", "/nobodys/videos/f?" + q, "", nil, 404, "ResourceNotFound"},
		{"another scheme", "GET", "/" + account + "/videos/f", "", []string{"Authorization", "Basic x"}, 400, "InvalidAuthenticationInfo"},
		{"https only", "GET", "/" + account + "/videos/f?" + https, "", nil, 403, "AuthorizationProtocolMismatch"},
		{"other address", "GET", "/" + account + "/videos/f?" + elsewhere, "", nil, 403, "AuthorizationSourceIPMismatch"},
		{"other service", "GET", "/" + account + "/videos/f?" + queue, "", nil, 403, "AuthorizationServiceMismatch"},
		{"version", "GET", f, "", []string{"x-ms-version", "latest"}, 400, "InvalidHeaderValue"},
		{"no blob type", "PUT", f, "x", nil, 400, "MissingRequiredHeader"},
		{"bad MD5", "PUT", f, "x", []string{"x-ms-blob-type", "BlockBlob", "Content-MD5", "x"}, 400, "InvalidMd5"},
		{"other MD5", "PUT", f, "x", []string{"x-ms-blob-type", "BlockBlob", "x-ms-blob-content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="}, 400, "Md5Mismatch"},
		{"bad metadata", "PUT", f, "x", []string{"x-ms-blob-type", "BlockBlob", "x-ms-meta-1a", "x"}, 400, "InvalidMetadata"},
		{"empty metadata", "PUT", f, "x", []string{"x-ms-blob-type", "BlockBlob", "x-ms-meta-", "x"}, 400, "EmptyMetadataKey"},
		{"much metadata", "PUT", f, "x", []string{"x-ms-blob-type", "BlockBlob", "x-ms-meta-a", strings.Repeat("x", 9000)}, 400, "MetadataTooLarge"},
		{"bad date", "GET", f, "", []string{"If-Modified-Since", "yesterday"}, 400, "InvalidHeaderValue"},
		{"read if absent", "GET", f, "", []string{"If-None-Match", "*"}, 400, "UnsatisfiableCondition"},
		{"range at the end", "GET", f, "", []string{"Range", "bytes=10-"}, 416, "InvalidRange"},
		{"sum of a large range", "GET", f, "", []string{"x-ms-range-get-content-md5", "true"}, 400, "InvalidInput"},
		{"snapshot", "GET", f + "&snapshot=2026-11-21T22:40:23.7960000Z", "", nil, 404, "BlobNotFound"},
		{"maxresults", "GET", "/" + account + "/videos?restype=container&comp=list&maxresults=0&" + q, "", nil, 400, "OutOfRangeQueryParameterValue"},
		{"marker", "GET", "/" + account + "/videos?restype=container&comp=list&marker=!&" + q, "", nil, 400, "OutOfRangeQueryParameterValue"},
		{"lease", "PUT", f + "&comp=lease", "", nil, 400, "MissingRequiredHeader"},
		{"lease for 14 s", "PUT", f + "&comp=lease", "", []string{"x-ms-lease-action", "acquire", "x-ms-lease-duration", "14"}, 400, "InvalidHeaderValue"},
		{"lease id", "PUT", f + "&comp=metadata", "", []string{"x-ms-lease-id", "mine"}, 400, "InvalidHeaderValue"},
		{"copy", "PUT", f, "", []string{"x-ms-copy-source", "http://127.0.0.1/x"}, 403, "CannotVerifyCopySource"},
		{"copy of no URL", "PUT", f, "", []string{"x-ms-copy-source", "file:///etc/passwd"}, 400, "InvalidHeaderValue"},
		{"delegated", "GET", "/" + account + "/videos/f?skoid=x&sks=b&sv=2021-06-08&sr=b&sig=x", "", nil, 403, "AuthenticationFailed"},
		{"customer key", "PUT", f, "x", []string{"x-ms-blob-type", "BlockBlob", "x-ms-encryption-key", "eA=="}, 501, "NotImplemented"},
		{"include", "GET", "/" + account + "/videos?restype=container&comp=list&include=foo&" + q, "", nil, 400, "InvalidQueryParameterValue"},
		{"lease that is none", "PUT", f, "x", []string{"x-ms-blob-type", "BlockBlob", "x-ms-lease-id", guid1}, 412, "LeaseNotPresentWithBlobOperation"},
		{"unknown comp", "PUT", f + "&comp=teleport", "", nil, 400, "InvalidQueryParameterValue"},
		{"verb", "PATCH", f, "", nil, 405, "UnsupportedHttpVerb"},
		{"many blocks", "PUT", f + "&comp=blocklist", many, nil, 400, "BlockListTooLong"},
		{"entities", "PUT", f + "&comp=blocklist", bomb, nil, 400, "InvalidXmlDocument"},
		{"huge list", "PUT", f + "&comp=blocklist", strings.Repeat(" ", 11<<20), nil, 413, "RequestBodyTooLarge"},
		{"no list", "PUT", f + "&comp=blocklist", "<Other/>", nil, 400, "InvalidXmlNodeValue"},
		{"preflight", "OPTIONS", f, "", []string{"Origin", "http://x", "Access-Control-Request-Method", "PUT"}, 403, "CorsPreflightFailure"},
		{"structured, unknown", "PUT", f, "x", []string{"x-ms-blob-type", "BlockBlob", "x-ms-structured-body", "XSM/2.0"}, 400, "UnsupportedHeader"},
	} {
		r := e.send(t, tt.method, tt.path, tt.body, tt.header...)
		wantStatus(t, tt.what, r, tt.status, tt.code)
		if r.Header.Get("x-ms-request-id") == "" || r.Header.Get("x-ms-version") == "" && tt.what != "version" {
			t.Errorf("%s: no request id or version", tt.what)
		}
	}
	if got := text(t, e.send(t, "GET", f, "")); got != "0123456789" {
		t.Errorf("a refused request changed the blob to %q", got)
	}
	head := e.send(t, "HEAD", "/"+account+"/videos/absent?"+q, "")
	wantStatus(t, "HEAD", head, 404, "BlobNotFound")
}

func TestReads(t *testing.T) {
	e := serve(t)
	c := e.container(t, "videos")
	c.NewBlockBlobClient("f").Upload(ctx, body([]byte("0123456789")), nil)
	v := sas.Values{Version: sas.DefaultVersion, Resource: "b", Permissions: "r", Expiry: "2100-01-01", Disposition: "attachment; filename=x", ContentType: "video/mp4"}
	f := "/" + account + "/videos/f?" + v.Sign(key1, account, "videos", "f")
	for _, tt := range []struct{ name, value, want, rng string }{
		{"Range", "bytes=2-4", "234", "bytes 2-4/10"},
		{"Range", "bytes=8-100", "89", "bytes 8-9/10"},
		{"Range", "bytes=7-", "789", "bytes 7-9/10"},
		{"x-ms-range", "bytes=0-0", "0", "bytes 0-0/10"},
		{"Range", "bytes=-3", "0123456789", ""}, // malformed here: the whole blob
		{"Range", "bytes=4-2", "0123456789", ""},
		{"Range", "bytes=0-1,3-4", "0123456789", ""},
		{"Range", "lines=0-1", "0123456789", ""},
	} {
		r := e.send(t, "GET", f, "", tt.name, tt.value)
		if got := text(t, r); got != tt.want || r.Header.Get("Content-Range") != tt.rng || (r.StatusCode == 206) != (tt.rng != "") {
			t.Errorf("%s: %s: %s %q %q", tt.name, tt.value, r.Status, got, r.Header.Get("Content-Range"))
		}
	}
	r := e.send(t, "HEAD", f, "")
	if r.Header.Get("Content-Disposition") != "attachment; filename=x" || r.Header.Get("Content-Type") != "video/mp4" || r.ContentLength != 10 {
		t.Errorf("overrides: %v", r.Header)
	}
	if r := e.send(t, "GET", "/"+account+"/videos/f", ""); r.StatusCode != 401 {
		t.Errorf("a stranger reads a private container: %s", r.Status)
	}
	e.store.UpdateContainer(ctx, account, "videos", func(c *ams.Container) error { c.PublicAccess = "blob"; return nil })
	if r := e.send(t, "GET", "/"+account+"/videos/f", ""); r.StatusCode != 200 || r.Header.Get("x-ms-version") != "2009-09-19" {
		t.Errorf("a stranger reads a public blob: %s %v", r.Status, r.Header)
	}
	if r := e.send(t, "GET", "/"+account+"/videos?restype=container&comp=list", ""); r.StatusCode != 401 {
		t.Errorf("a stranger lists: %s", r.Status)
	}
	if r := e.send(t, "PUT", "/"+account+"/videos/f", "x", "x-ms-blob-type", "BlockBlob"); r.StatusCode != 401 {
		t.Errorf("a stranger writes: %s", r.Status)
	}
	for token, want := range map[string][2]int{"reader": {200, 403}, "writer": {200, 201}, "stranger": {403, 403}, "forged": {401, 401}} {
		get := e.send(t, "GET", "/"+account+"/videos/f", "", "Authorization", "Bearer "+token).StatusCode
		put := e.send(t, "PUT", "/"+account+"/videos/f2", "x", "x-ms-blob-type", "BlockBlob", "Authorization", "Bearer "+token).StatusCode
		if [2]int{get, put} != want {
			t.Errorf("%s: get %d, put %d, want %v", token, get, put, want)
		}
	}
}

// structuredMessage frames data in segments of n bytes.
func structuredMessage(data []byte, n int) []byte {
	table := store.NewCRC()
	var b []byte
	segments := (len(data) + n - 1) / n
	total := 13 + segments*18 + len(data) + 8
	b = append(b, 1)
	b = binary.LittleEndian.AppendUint64(b, uint64(total))
	b = binary.LittleEndian.AppendUint16(b, 1)
	b = binary.LittleEndian.AppendUint16(b, uint16(segments))
	for i := range segments {
		p := data[i*n : min((i+1)*n, len(data))]
		b = binary.LittleEndian.AppendUint16(b, uint16(i+1))
		b = binary.LittleEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
		b = binary.LittleEndian.AppendUint64(b, crc64.Checksum(p, table))
	}
	return binary.LittleEndian.AppendUint64(b, crc64.Checksum(data, table))
}

func TestStructuredMessage(t *testing.T) {
	e := serve(t)
	e.container(t, "videos")
	f := "/" + account + "/videos/f?" + full("videos")
	head := func(n int) []string {
		return []string{"x-ms-blob-type", "BlockBlob", "x-ms-structured-body", "XSM/1.0; properties=crc64", "x-ms-structured-content-length", fmt.Sprint(n)}
	}
	for _, n := range []int{0, 1, 5, 100, 700_000} {
		data := random(n)
		msg := structuredMessage(data, 64<<10)
		wantStatus(t, "put", e.send(t, "PUT", f, string(msg), head(n)...), 201, "")
		if got := text(t, e.send(t, "GET", f, "")); got != string(data) {
			t.Errorf("%d bytes came back as %d", n, len(got))
		}
		if n == 0 {
			continue
		}
		for _, at := range []int{0, 3, 9, 11, 13, 20, len(msg) / 2, len(msg) - 1} {
			broken := bytes.Clone(msg)
			broken[at] ^= 1
			if r := e.send(t, "PUT", f, string(broken), head(n)...); r.StatusCode != 400 {
				t.Errorf("%d bytes, byte %d flipped: %s", n, at, r.Status)
			}
		}
		wantStatus(t, "other length", e.send(t, "PUT", f, string(msg), head(n+1)...), 400, "InvalidStructuredMessage")
		wantStatus(t, "cut", e.send(t, "PUT", f, string(msg[:len(msg)-9]), head(n)...), 400, "InvalidStructuredMessage")
		if got := text(t, e.send(t, "GET", f, "")); got != string(data) {
			t.Error("a refused message changed the blob")
		}
	}
	// The other way, whole and in part.
	data := random(9 << 20)
	wantStatus(t, "put", e.send(t, "PUT", f, string(data), "x-ms-blob-type", "BlockBlob"), 201, "")
	for _, tt := range []struct {
		span     string
		from, to int
	}{{"", 0, len(data)}, {"bytes=5-8", 5, 9}, {"bytes=100-5000000", 100, 5_000_001}} {
		headers := []string{"x-ms-structured-body", "XSM/1.0; properties=crc64"}
		if tt.span != "" {
			headers = append(headers, "x-ms-range", tt.span)
		}
		r := e.send(t, "GET", f, "", headers...)
		want := data[tt.from:tt.to]
		if got := text(t, r); got != string(structuredMessage(want, 4<<20)) || r.Header.Get("x-ms-structured-content-length") != fmt.Sprint(len(want)) ||
			r.Header.Get("x-ms-structured-body") != "XSM/1.0; properties=crc64" || r.ContentLength != int64(len(got)) {
			t.Errorf("%q: %s, %d bytes, %v", tt.span, r.Status, len(got), r.Header)
		}
	}
	wantStatus(t, "another kind", e.send(t, "GET", f, "", "x-ms-structured-body", "XSM/2.0"), 400, "UnsupportedHeader")
	wantStatus(t, "put empty", e.send(t, "PUT", f, "", "x-ms-blob-type", "BlockBlob"), 201, "")
	if got := text(t, e.send(t, "GET", f, "", "x-ms-structured-body", "XSM/1.0; properties=crc64")); got != string(structuredMessage(nil, 4<<20)) {
		t.Errorf("an empty blob is the message %q", got)
	}
	if got := crc64.Checksum([]byte("hello"), store.NewCRC()); base64.StdEncoding.EncodeToString(binary.LittleEndian.AppendUint64(nil, got)) != "V0JSBnCFdzM=" {
		t.Errorf("CRC-64 of hello: %x", got)
	}
}

// A client that hangs up in the middle leaves nothing, and a chunked body
// without a length is taken.
func TestBrokenAndChunked(t *testing.T) {
	e := serve(t)
	e.container(t, "videos")
	path := "/" + account + "/videos/f?" + full("videos")
	conn := must[net.Conn](t)(net.Dial("tcp", e.server.Listener.Addr().String()))
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 1000\r\n\r\nhalf", path)
	conn.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, conn)
	conn.Close()
	wantStatus(t, "after a broken upload", e.send(t, "GET", path, ""), 404, "BlobNotFound")
	if left := files(t, e.dir+"/blobs"); len(left) != 0 {
		t.Errorf("a broken upload left %v", left)
	}
	r := must[*http.Request](t)(http.NewRequest("PUT", e.server.URL+path, io.MultiReader(strings.NewReader("chun"), strings.NewReader("ked"))))
	r.Header.Set("x-ms-blob-type", "BlockBlob")
	r.Header.Set("Expect", "100-continue")
	wantStatus(t, "chunked", must[*http.Response](t)(http.DefaultClient.Do(r)), 201, "")
	if got := text(t, e.send(t, "GET", path, "")); got != "chunked" {
		t.Errorf("chunked body came back as %q", got)
	}
}

// A client that stops in the middle is not waited for.
func TestPatience(t *testing.T) {
	e := (&endpoint{dir: t.TempDir(), patience: 400 * time.Millisecond}).start(t)
	e.container(t, "videos")
	path := "/" + account + "/videos/f?" + full("videos")
	conn := must[net.Conn](t)(net.Dial("tcp", e.server.Listener.Addr().String()))
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 1000\r\n\r\nhalf", path)
	answer := string(must[[]byte](t)(io.ReadAll(conn)))
	if !strings.HasPrefix(answer, "HTTP/1.1 400") || !strings.Contains(answer, "IncompleteBody") {
		t.Errorf("a stalled upload was answered %q", answer)
	}
	// One that is slow, and takes longer than that in all, is honest.
	slow, drip := io.Pipe()
	go func() {
		for range 10 {
			drip.Write([]byte("x"))
			time.Sleep(100 * time.Millisecond)
		}
		drip.Close()
	}()
	r := must[*http.Request](t)(http.NewRequest("PUT", e.server.URL+path, slow))
	r.Header.Set("x-ms-blob-type", "BlockBlob")
	wantStatus(t, "a slow upload", must[*http.Response](t)(http.DefaultClient.Do(r)), 201, "")
}
