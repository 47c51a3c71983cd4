package restblob

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

func FuzzRange(f *testing.F) {
	f.Add("bytes=0-9", int64(10))
	f.Add("bytes=5-", int64(10))
	f.Add("bytes=-5", int64(10))
	f.Add("bytes=9223372036854775807-9223372036854775807", int64(1<<62))
	f.Add("bytes=0-1,2-3", int64(0))
	f.Fuzz(func(t *testing.T, text string, size int64) {
		if size < 0 {
			return
		}
		s, err := readRange(http.Header{"Range": {text}}, size)
		if s.off < 0 || s.n < 0 || s.off+s.n > size || s.part && s.n == 0 || err != nil && s.part {
			t.Fatalf("%q of %d: %+v, %v", text, size, s, err)
		}
	})
}

func FuzzBlockList(f *testing.F) {
	f.Add(`<?xml version="1.0" encoding="utf-8"?><BlockList><Latest>AAAA</Latest><Committed>AAAB</Committed><Uncommitted>AAAC</Uncommitted></BlockList>`)
	f.Add("<BlockList/>")
	f.Add("<BlockList><Latest>AA<!-- x -->AA</Latest></BlockList><BlockList/>")
	f.Add("<BlockList><Latest><Latest>AAAA</Latest></Latest>")
	f.Add(`<!DOCTYPE x [<!ENTITY a "b">]><BlockList><Latest>&a;</Latest></BlockList>`)
	names := map[blob.BlockSource]string{blob.Latest: "Latest", blob.Committed: "Committed", blob.Uncommitted: "Uncommitted"}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseBlockList([]byte(text))
		if err != nil {
			return
		}
		var b strings.Builder
		b.WriteString("<BlockList>")
		for _, ref := range list {
			b.WriteString("<" + names[ref.From] + ">")
			xml.EscapeText(&b, []byte(ref.ID))
			b.WriteString("</" + names[ref.From] + ">")
		}
		b.WriteString("</BlockList>")
		again, err := parseBlockList([]byte(b.String()))
		if err != nil || len(again) != len(list) {
			t.Fatalf("%q reads as %v, and that as %v, %v", text, list, again, err)
		}
		for i := range list {
			if list[i] != again[i] {
				t.Fatalf("%q: %v and %v", text, list[i], again[i])
			}
		}
	})
}

// What addresses a blob must name it exactly, and nothing else.
func FuzzTarget(f *testing.F) {
	for _, path := range []string{"/acct/cont/a/b", "/acct/cont//", "/acct/cont/..%2f..", "/acct", "/acct/", "/acct/cont/", "/acct/$root/x", "/a%63ct/cont/%00", "//cont/x", "/acct/cont/%ff"} {
		f.Add(path, "127.0.0.1:10000")
		f.Add(path, "acct.blob.core.windows.net")
	}
	f.Fuzz(func(t *testing.T, path, host string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		r := &http.Request{Method: "GET", URL: u, RequestURI: path, Host: host, Header: http.Header{}}
		got, err := parseTarget(r)
		if err != nil {
			return
		}
		if strings.ContainsAny(got.account+got.container, "/.%\x00") || !utf8.ValidString(got.blob) || got.blob != "" && got.container == "" {
			t.Fatalf("%s: %+v", path, got)
		}
		sharedKeyTexts(r, got.account, got.path, u.Query(), "2021-06-08")
		if got.hostStyle {
			return
		}
		again := "/" + got.account + "/" + got.container + "/" + url.PathEscape(got.blob)
		u, err = url.ParseRequestURI(again)
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseTarget(&http.Request{URL: u, RequestURI: again, Host: host})
		if err != nil || back.account != got.account || back.container != got.container || back.blob != got.blob {
			t.Fatalf("%s is %+v, and %s is %+v, %v", path, got, again, back, err)
		}
	})
}

func FuzzACL(f *testing.F) {
	f.Add(`<SignedIdentifiers><SignedIdentifier><Id>p</Id><AccessPolicy><Start>2026-11-21T22:40:23.7960000Z</Start><Expiry/><Permission>rwl</Permission></AccessPolicy></SignedIdentifier></SignedIdentifiers>`)
	f.Add(`<SignedIdentifiers/>`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseACL([]byte(text))
		if err == nil && len(list) > 5 {
			t.Fatalf("%d policies", len(list))
		}
	})
}

// .NET's order of header names, as the Go and JavaScript clients sort them.
func TestCultureOrder(t *testing.T) {
	h := http.Header{}
	for _, name := range []string{"x-ms-meta-a_b", "x-ms-meta-ab", "x-ms-meta-a1", "x-ms-meta-a-b"} {
		h.Set(name, "v")
	}
	want := "x-ms-meta-a_b:v\nx-ms-meta-a1:v\nx-ms-meta-a-b:v\nx-ms-meta-ab:v\n"
	got := canonicalHeaders(h)
	for _, text := range got {
		if text == want {
			return
		}
	}
	t.Errorf("%q is none of %q", want, got)
}

func FuzzConditions(f *testing.F) {
	f.Add(`"0x1", W/"2"`, "*", "Sun, 22 Nov 2026 01:00:00 GMT", guidSeed)
	f.Add(",,", `"`, "yesterday", "")
	f.Fuzz(func(t *testing.T, match, none, since, lease string) {
		h := http.Header{"If-Match": {match}, "If-None-Match": {none}, "If-Modified-Since": {since}, "X-Ms-Lease-Id": {lease}}
		c, err := conditions(h)
		if err != nil {
			return
		}
		if c.Lease != "" && len(c.Lease) != 36 {
			t.Fatalf("%q is a lease id", c.Lease)
		}
		for _, tag := range append(c.IfMatch, c.IfNoneMatch...) {
			if tag == "" || strings.Contains(tag, ",") {
				t.Fatalf("%q is an entity tag", tag)
			}
		}
	})
}

const guidSeed = "11111111-1111-4111-8111-111111111111"

// Canonical texts name every header and parameter once, whatever they hold.
func FuzzSharedKey(f *testing.F) {
	f.Add("x-ms-meta-a_b", "two  spaces", "comp", "list", "2026-06-06")
	f.Add("X-MS-", "\n", "COMP", "a,b", "")
	f.Fuzz(func(t *testing.T, header, value, name, text, version string) {
		r := &http.Request{Method: "GET", Header: http.Header{header: {value}, "X-Ms-Date": {"now"}}}
		query := url.Values{name: {text}, "b": {"2", "1"}}
		texts := sharedKeyTexts(r, "acct", "/acct/c", query, version)
		if len(texts) == 0 || len(texts) > 4 {
			t.Fatalf("%d texts", len(texts))
		}
		for _, s := range append(texts, liteTexts(r, "acct", "/acct/c", query)...) {
			if !strings.HasPrefix(s, "GET\n") || !strings.Contains(s, "x-ms-date:now\n") || !strings.Contains(s, "/acct/acct/c") {
				t.Fatalf("%q", s)
			}
		}
	})
}

func FuzzStructured(f *testing.F) {
	f.Add([]byte("\x01\x2c\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x00\x01\x00\x05\x00\x00\x00\x00\x00\x00\x00hello"), int64(5))
	f.Add([]byte{1}, int64(-1))
	f.Fuzz(func(t *testing.T, message []byte, size int64) {
		r := &http.Request{Header: http.Header{"X-Ms-Structured-Body": {structuredMark}, "X-Ms-Structured-Content-Length": {strconv.FormatInt(size, 10)}},
			Body: io.NopCloser(bytes.NewReader(message)), ContentLength: -1}
		body, n, err := structuredBody(&request{Request: r}, 1<<20)
		if err != nil {
			return
		}
		if got, err := io.ReadAll(body); err == nil && (int64(len(got)) != n || len(got) > len(message)) {
			t.Fatalf("%d bytes, said %d, of a message of %d", len(got), n, len(message))
		}
	})
}

func FuzzServiceXML(f *testing.F) {
	f.Add(`<Cors><CorsRule><AllowedOrigins>*</AllowedOrigins><AllowedMethods>GET</AllowedMethods></CorsRule></Cors>`, "x-ms-*, content-type", "X-Ms-Version")
	f.Fuzz(func(t *testing.T, origins, list, name string) {
		rule := ams.CORSRule{AllowedOrigins: origins, AllowedMethods: list}
		if checkRules([]ams.CORSRule{rule}) == nil && listed(list, name) && !slices.Contains(corsMethods, name) {
			t.Fatalf("%q is a method of %q", name, list)
		}
		if headerListed("", name) {
			t.Fatalf("%q is in an empty list", name)
		}
		allListed(list, name)
	})
}

func FuzzBatch(f *testing.F) {
	f.Add([]byte("--x\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nDELETE /acct/c/b?x=y HTTP/1.1\r\nx-ms-date: now\r\nContent-Length: 0\r\n\r\n\r\n--x--"))
	f.Add([]byte("--x--"))
	f.Add([]byte("--x\n\nPUT //a/../b?comp=tier HTTP/1.0\n\n--x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseBatch(text, "x")
		if err == nil && (len(list) == 0 || len(list) > maxBatch) {
			t.Errorf("%d parts", len(list))
		}
		for _, p := range list {
			if strings.ContainsAny(p.id, "\r\n") || p.request.URL == nil {
				t.Errorf("%q %+v", p.id, p.request)
			}
			parseTarget(p.request)
		}
	})
}
