package restblob_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openams/openams/sas"
)

// A source is read like any blob, whatever else its address asks for.
func TestCopySourceNeedsRead(t *testing.T) {
	e := serve(t)
	e.container(t, "videos")
	c := e.container(t, "private")
	if _, err := c.NewBlockBlobClient("p").Upload(ctx, body([]byte("secret")), nil); err != nil {
		t.Fatal(err)
	}
	sign := func(v sas.Values) string {
		v.Version, v.Expiry = sas.DefaultVersion, "2100-01-01"
		container := "private"
		if v.Services != "" {
			container = ""
		}
		return v.Sign(key1, account, container, "")
	}
	for _, tt := range []struct {
		name, ask, source string
		status            int
	}{
		{"read", "", sign(sas.Values{Resource: "c", Permissions: "r"}), 202},
		{"read, and tags asked for", "comp=tags&", sign(sas.Values{Resource: "c", Permissions: "r"}), 202},
		{"write", "", sign(sas.Values{Resource: "c", Permissions: "w"}), 403},
		{"write, account's properties asked for", "restype=account&comp=properties&", sign(sas.Values{Resource: "c", Permissions: "w"}), 403},
		{"list, account's properties asked for", "restype=account&comp=properties&", sign(sas.Values{Resource: "c", Permissions: "l"}), 403},
		{"all but read", "restype=account&comp=properties&", sign(sas.Values{Resource: "c", Permissions: "acwdlxytmefopi"}), 403},
		{"tags", "comp=tags&", sign(sas.Values{Resource: "c", Permissions: "t"}), 403},
		{"batch", "comp=query&", sign(sas.Values{Resource: "c", Permissions: "w"}), 403},
		{"account signature for containers", "restype=account&comp=properties&", sign(sas.Values{Services: "b", ResourceTypes: "c", Permissions: "r"}), 403},
		{"account signature that lists", "restype=account&comp=properties&", sign(sas.Values{Services: "b", ResourceTypes: "sco", Permissions: "l"}), 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code := ""
			if tt.status != 202 {
				code = "CannotVerifyCopySource"
			}
			source := e.url + "/private/p?" + tt.ask + tt.source
			for _, how := range [][]string{nil, {"x-ms-requires-sync", "true"}, {"x-ms-blob-type", "BlockBlob"}} {
				status := tt.status
				if status == 202 && len(how) > 0 && how[0] == "x-ms-blob-type" {
					status = 201
				}
				r := e.send(t, "PUT", "/"+account+"/videos/copy?"+full("videos"), "", append(how, "x-ms-copy-source", source)...)
				wantStatus(t, strings.Join(how, " "), r, status, code)
			}
			r := e.send(t, "PUT", "/"+account+"/videos/copy?comp=block&blockid=AAAA&"+full("videos"), "", "x-ms-copy-source", source)
			if tt.status == 202 {
				wantStatus(t, "block", r, 201, "")
			} else {
				wantStatus(t, "block", r, tt.status, code)
			}
		})
	}
}

// An elsewhere answers every request with an endless-looking body, and tells
// what became of it.
type elsewhere struct {
	size   int64 // of the body; its length is not told
	read   int64
	closed bool
	ctx    context.Context // of the request
}

func (o *elsewhere) Do(r *http.Request) (*http.Response, error) {
	o.ctx, o.read, o.closed = r.Context(), 0, false
	return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Body: o}, nil
}

func (o *elsewhere) Read(p []byte) (int, error) {
	if o.read == o.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), o.size-o.read))
	o.read += int64(n)
	return n, nil
}

func (o *elsewhere) Close() error {
	o.closed = true
	return nil
}

// A copy that is refused lets go of the source it was to read.
func TestRefusedCopyClosesSource(t *testing.T) {
	far := &elsewhere{size: 10}
	e := (&endpoint{dir: t.TempDir(), outgoing: far}).start(t)
	c := e.container(t, "videos")
	if _, err := c.NewBlockBlobClient("leased").Upload(ctx, body([]byte("x")), nil); err != nil {
		t.Fatal(err)
	}
	to := "/" + account + "/videos/leased?" + full("videos")
	wantStatus(t, "lease", e.send(t, "PUT", to+"&comp=lease", "", leaseHeaders("acquire 1 -1")...), 201, "")
	source := []string{"x-ms-copy-source", "http://far.example/film"}
	for _, tt := range []struct {
		name, to string
		header   []string
		status   int
		code     string
	}{
		{"leased", to, nil, 412, "LeaseIdMissing"},
		{"leased, in one request", to, []string{"x-ms-requires-sync", "true"}, 412, "LeaseIdMissing"},
		{"condition", to, []string{"x-ms-lease-id", guid1, "If-Match", "0x1"}, 412, "ConditionNotMet"},
		{"no container", "/" + account + "/absent/f?" + full("absent"), nil, 404, "ContainerNotFound"},
	} {
		r := e.send(t, "PUT", tt.to, "", append(tt.header, source...)...)
		wantStatus(t, tt.name, r, tt.status, tt.code)
		if far.ctx == nil || !far.closed || far.ctx.Err() == nil {
			t.Errorf("%s: the source stays open (closed: %v)", tt.name, far.closed)
		}
	}
}

// What is copied while the client waits has a limit, told or not.
func TestSyncCopyLimit(t *testing.T) {
	far := &elsewhere{}
	e := (&endpoint{dir: t.TempDir(), outgoing: far}).start(t)
	e.container(t, "videos")
	to := "/" + account + "/videos/f?" + full("videos")
	for _, tt := range []struct {
		size   int64
		status int
		code   string
	}{
		{1 << 20, 202, ""},
		{256<<20 + 1, 409, "CannotVerifyCopySource"},
	} {
		far.size = tt.size
		r := e.send(t, "PUT", to, "", "x-ms-requires-sync", "true", "x-ms-copy-source", "http://far.example/film")
		wantStatus(t, "copy", r, tt.status, tt.code)
		if !far.closed {
			t.Errorf("%d bytes: the source stays open", tt.size)
		}
	}
	r := e.send(t, "HEAD", to, "")
	if r.ContentLength != 1<<20 {
		t.Errorf("the blob has %d bytes after a copy that was refused, want those before", r.ContentLength)
	}
}
